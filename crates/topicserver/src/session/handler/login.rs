//! The login of a connection. What it may do can change while it is open.

use std::sync::Arc;

use wire::{Authenticated, Credential, ErrorCode, Event, UserName};

use crate::access::{Denied, Login, LoginError, Principal, Verbs};
use crate::gate::Gate;
use crate::identity::Identity;
use crate::session::handler::Handler;

/// Nothing was proven.
static EVERYONE: Principal = Principal::Everyone;

/// The result of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogIn {
    /// The peer is logged in, and was told so.
    Accepted,
    /// The login was refused, and the peer was told why.
    Refused,
    /// A password is being checked. Meanwhile nothing is read from the peer.
    Checking,
}

impl Handler {
    /// Who the peer has proven to be.
    pub(super) fn principal(&self) -> &Principal {
        let extended = self.extended.as_ref();
        extended.map_or(&EVERYONE, |extended| &extended.principal)
    }

    /// Sets who the peer has proven to be.
    pub(crate) fn set_principal(&mut self, principal: Principal) {
        let meter = self
            .state()
            .access()
            .meter(&principal, self.outbox().peer().ip());
        // A peer that has proven nothing and has no limits needs no memory here.
        if matches!(principal, Principal::Everyone) && self.extended.is_none() && meter.is_none() {
            return;
        }
        let account = principal.account().cloned();
        let identity = self.identity().cloned();
        let publisher = match (&identity, &account) {
            (None, Some(_)) => Some(self.classic_publisher(account.clone())),
            _ => None,
        };
        let extended = self.extended.get_or_insert_default();
        extended.principal = principal;
        extended.publisher = publisher;
        if let Some(identity) = identity
            && identity.account != account
        {
            let identity = Identity::clone(&identity).with_account(account);
            extended.identity = Some(Arc::new(identity));
        }
        self.set_meter(meter);
    }

    /// The publisher's identity of a connection that has given no name but has an account.
    fn classic_publisher(&self, account: Option<UserName>) -> Arc<Identity> {
        let (hashes, peer) = (self.state().hashes(), self.outbox().peer());
        let identity = Identity::new(hashes, peer, None, None, None);
        Arc::new(identity.with_account(account))
    }

    /// The publisher's identity of the messages.
    pub(super) fn publisher(&self) -> Option<&Arc<Identity>> {
        let extended = self.extended.as_ref()?;
        extended.identity.as_ref().or(extended.publisher.as_ref())
    }

    /// What the peer may do.
    pub(super) fn gate(&self) -> Gate<'_> {
        Gate::new(self.state(), self.principal(), self.outbox().peer())
    }

    /// Tells the peer that something is denied.
    pub(super) fn refuse(&self, denied: &Denied, id: Option<&str>) {
        let (outbox, text) = (self.outbox(), &denied.text);
        match &denied.exceeded {
            Some(exceeded) => outbox.send_exceeded(denied.code, text, id, exceeded.limit.as_str()),
            None => outbox.send_error(denied.code, text, id),
        }
    }

    /// Checks a credential, and tells the peer the result.
    pub(super) fn log_in(&mut self, credential: &Credential) -> LogIn {
        let state = self.state().clone();
        let now = state.clock().read().stamp;
        let peer = self.outbox().peer();
        match state.access().log_in(credential, peer.ip(), now) {
            Login::Done(done) => self.finish_login(done),
            Login::Password(login) => {
                let login = Login::Password(login);
                let checking = async move { login.finish(state.access()).await };
                self.check_login(Box::pin(checking));
                LogIn::Checking
            }
        }
    }

    /// Tells the peer the result of its login.
    pub(super) fn finish_login(&mut self, done: Result<Principal, LoginError>) -> LogIn {
        let now = self.state().clock().read().stamp;
        let peer = self.outbox().peer();
        let access = self.state().access();
        let principal = match done {
            Ok(principal) => principal,
            Err(error) => {
                access
                    .audit()
                    .failure(peer, error.code(), &error.to_string(), now);
                self.refuse_login(&error);
                return LogIn::Refused;
            }
        };
        let known = self.principal();
        if known.has_logged_in() && !known.is_same(&principal) {
            let text = format!(
                "you are {known} on this connection and can't become {principal}; connect again \
                 for that"
            );
            self.outbox()
                .send_error(ErrorCode::Unauthenticated, &text, None);
            return LogIn::Refused;
        }
        access.audit().login(peer, &principal, now);
        let authenticated = Authenticated {
            user: principal.account().map(|name| name.as_str().into()),
            expires: principal.expires(),
        };
        let answer = Event::Authenticated(authenticated).to_line();
        self.outbox().send_reply(answer);
        self.set_principal(principal);
        self.recheck();
        LogIn::Accepted
    }

    fn refuse_login(&self, error: &LoginError) {
        match error.code() {
            code @ ErrorCode::Unauthenticated => {
                self.outbox().send_error(code, &error.to_string(), None);
            }
            code => self.outbox().close(code, &error.to_string()),
        }
    }

    /// From now on the peer only listens to what it is registered for.
    pub(crate) fn set_listener(&mut self) {
        self.extended.get_or_insert_default().is_listener = true;
        self.end_idle_listener();
    }

    /// Ends a connection that only listens if it may no longer listen to any topic.
    fn end_idle_listener(&self) {
        let extended = self.extended.as_ref();
        if extended.is_some_and(|extended| extended.is_listener) && self.subscriptions.len() == 0 {
            let text = format!("you may no longer read this as {}", self.principal());
            self.outbox().close(ErrorCode::Forbidden, &text);
        }
    }

    /// Checks the permissions again if the policy has changed since the last check.
    pub(super) fn follow_policy(&mut self) {
        let version = self.state().access().version();
        if self
            .subscriptions
            .version()
            .is_some_and(|known| known != version)
        {
            self.recheck();
        }
    }

    /// Checks again who the peer is and what it may do.
    pub(crate) fn recheck(&mut self) {
        let now = self.state().clock().read().stamp;
        let (peer, access) = (self.outbox().peer(), self.state().access());
        let principal = match access.check(self.principal(), peer.ip(), now) {
            Ok(principal) => principal,
            Err(ended) => {
                let audit = access.audit();
                audit.refusal(peer, self.principal(), ended.code, &ended.text, now);
                return self.outbox().close(ended.code, &ended.text);
            }
        };
        self.set_principal(principal.clone());
        let state = self.state().clone();
        let decide = |topic: &wire::TopicName| state.access().grant(&principal, topic.as_str());
        let removed = self.subscriptions.recheck(decide);
        if removed > 0 {
            let text = format!("{removed} topics may no longer be read as {principal}");
            let audit = state.access().audit();
            audit.refusal(peer, &principal, ErrorCode::Forbidden, &text, now);
            self.end_idle_listener();
        }
    }

    /// Routes a message again when its topic was not found, or when the policy has changed.
    pub(super) fn route_again(&mut self, topic: &str, id: Option<&str>) -> Option<usize> {
        self.follow_policy();
        let Some(place) = self.subscriptions.find(topic) else {
            let text = format!(
                "you aren't registered for {topic:?}, so your message was discarded; \
                 register for it first"
            );
            self.outbox()
                .send_error(ErrorCode::NotRegistered, &text, id);
            return None;
        };
        if self.subscriptions.grant(place).verbs.contains(Verbs::WRITE) {
            return Some(place);
        }
        self.refuse(&self.gate().denied(Verbs::WRITE, topic), id);
        None
    }
}
