//! What the server has found about our credential, and what it refuses because of it.

use wire::{Authenticated, ErrorCode, Removed, TopicName};

use super::membership::Membership;
use super::{Session, State};
use crate::error::{ClientError, Disconnect, Refusal, ServerError, SessionError};
use crate::event::Event;

/// The errors after which every registration with the same name and credential is refused.
const REFUSED: [ErrorCode; 6] = [
    ErrorCode::Unauthenticated,
    ErrorCode::Forbidden,
    ErrorCode::Protected,
    ErrorCode::Expired,
    ErrorCode::Revoked,
    ErrorCode::TooManyAttempts,
];

/// The errors of a connection after which another one ends in the same way.
const HOPELESS: [ErrorCode; 8] = [
    ErrorCode::NameReserved,
    ErrorCode::Replaced,
    ErrorCode::TlsRequired,
    ErrorCode::Unauthenticated,
    ErrorCode::Forbidden,
    ErrorCode::Protected,
    ErrorCode::Expired,
    ErrorCode::Revoked,
];

/// The errors that a classic client is told in a message before the connection is closed.
const CLASSIC: [ErrorCode; 4] = [
    ErrorCode::TlsRequired,
    ErrorCode::Protected,
    ErrorCode::Expired,
    ErrorCode::Revoked,
];

/// The errors by which a server may refuse to let us join one more topic.
const DENIALS: [ErrorCode; 3] = [
    ErrorCode::Forbidden,
    ErrorCode::Unauthenticated,
    ErrorCode::TooManyTopics,
];

/// What the server has found about our credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing yet on this connection; on the one before, this.
    Unchecked { before: Option<Option<String>> },
    /// The server has checked the credential.
    Checked { user: Option<String> },
}

impl Identity {
    /// Nothing was ever checked.
    pub(super) const NEW: Self = Self::Unchecked { before: None };

    /// A new connection was made, on which nothing is checked.
    pub(super) fn connected(&mut self) {
        if let Self::Checked { user } = self {
            let before = Some(user.take());
            *self = Self::Unchecked { before };
        }
    }
}

/// Whether another connection would end in the same way.
pub(crate) fn is_hopeless(cause: &Disconnect) -> bool {
    match cause {
        Disconnect::Server(error) => HOPELESS.iter().any(|code| error.is(*code)),
        Disconnect::Dial(error) => error.is_final(),
        Disconnect::Link(_) | Disconnect::Silent | Disconnect::Asked => false,
    }
}

impl Session {
    /// The server has checked the credential. The program is told if that is new.
    pub(super) fn on_authenticated(&mut self, told: &Authenticated<'_>) {
        let user = told.user.as_deref().map(str::to_owned);
        let is_new = match &self.identity {
            Identity::Unchecked { before } => before.as_ref() != Some(&user),
            Identity::Checked { user: before } => *before != user,
        };
        let checked = user.clone();
        self.identity = Identity::Checked { user: checked };
        if is_new {
            let expires = told.expires;
            self.emit(Event::Authenticated { user, expires });
        }
    }

    /// The server has registered us. It knows no accounts if it hasn't checked the credential
    /// before.
    pub(super) fn check_identity(&mut self) {
        let is_unchecked = matches!(self.identity, Identity::Unchecked { .. });
        if is_unchecked && self.config.credential.is_some() {
            self.identity = Identity::Checked { user: None };
            self.emit(Event::NotAuthenticated);
        }
    }

    /// Fails if the server refuses the registration because of our name or credential.
    pub(super) fn check_refusal(&mut self, error: &ServerError) -> Result<(), SessionError> {
        let is_refusal = REFUSED.iter().any(|code| error.is(*code));
        if error.is(ErrorCode::TlsRequired) || is_refusal && self.has_joined() {
            return Err(SessionError::Lost(error.clone().into()));
        }
        match is_refusal && self.state == State::Unanswered {
            true => {
                let refusal = Refusal::Server(error.clone());
                Err(SessionError::Failed(ClientError::Refused(refusal)))
            }
            false => Ok(()),
        }
    }

    /// Fails if a message tells a classic client why it is refused. A message under that topic
    /// counts as a normal one if we have joined a topic of that name.
    pub(super) fn check_classic_refusal(
        &mut self,
        topic: &str,
        text: &str,
    ) -> Result<(), SessionError> {
        if topic != ErrorCode::TOPIC || self.membership(topic).is_some() {
            return Ok(());
        }
        let error = ServerError::read(text);
        match CLASSIC.iter().any(|code| error.is(*code)) {
            true => Err(SessionError::Lost(error.into())),
            false => Ok(()),
        }
    }

    /// Handles an error of the server. If it denies a topic, later registrations leave the topic
    /// out, because they would be refused as a whole.
    pub(super) fn on_server_error(&mut self, error: ServerError) {
        let is_denial = DENIALS.iter().any(|code| error.is(*code));
        let mut memberships = self.memberships.iter();
        let pending = memberships.position(Membership::is_pending);
        let pending = pending.filter(|_| is_denial);
        if pending.is_none() && is_denial && self.unanswered_who.pop_front().is_some() {
            // The program has not asked for the list of members, so the topic goes on without it.
            return;
        }
        let event = match pending {
            Some(place) => {
                let topic = self.memberships.remove(place).topic;
                Event::JoinRefused { topic, error }
            }
            None => Event::ServerError(error),
        };
        self.emit(event);
    }

    /// Handles that we may no longer be in a topic.
    pub(super) fn on_removed(&mut self, removed: &Removed<'_>) {
        let Ok(topic) = TopicName::new(&removed.topic) else {
            return;
        };
        self.memberships.retain(|one| one.topic != topic);
        let code = removed.code.to_string();
        self.emit(Event::Removed { topic, code });
    }
}
