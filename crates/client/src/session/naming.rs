//! By which name others know us: the one that is wished, one like it, or another one.

use wire::UserName;

use super::{Name, Session, State};
use crate::claim::{Claim, ClaimError};
use crate::event::{Event, RequestRefused};

impl Session {
    /// Another name is wished.
    pub(super) fn rename(&mut self, name: UserName) {
        match self.state {
            State::Extended => self.to_claim = Some((name, true)),
            State::Unanswered => self.emit(Event::RequestRefused(RequestRefused::NotConnected)),
            State::Classic => self.emit(Event::RequestRefused(RequestRefused::Unsupported)),
        }
    }

    /// Somebody has left whose name may be the one that we wish.
    pub(super) fn on_name_free(&mut self, user: &str) {
        let is_wished = self
            .wished
            .as_ref()
            .is_some_and(|name| name.as_str() == user);
        let has_other = self.config.name.get() != self.wished.as_ref();
        if is_wished && has_other && self.state == State::Extended && self.to_claim.is_none() {
            self.to_claim = self.wished.clone().map(|name| (name, false));
        }
    }

    /// A new connection asks for what is wished again.
    pub(super) fn wish_again(&mut self) {
        if let (Name::Preferred(name), Some(wished)) = (&mut self.config.name, &self.wished) {
            name.clone_from(wished);
        }
    }

    /// The server has registered us on this connection.
    pub(crate) fn is_registered(&self) -> bool {
        self.state == State::Extended
    }

    /// The name that is to be claimed, once.
    pub(crate) fn take_claim(&mut self) -> Option<Claim> {
        let (name, is_asked) = self.to_claim.take()?;
        let key = self.config.key.clone();
        Some(Claim {
            name,
            key,
            is_asked,
        })
    }

    /// It is granted: the next connection registers with it.
    pub(crate) fn renamed(&mut self, claim: &Claim) {
        self.wished = Some(claim.name.clone());
        self.config.name = Name::Preferred(claim.name.clone());
    }

    /// It is not, and nothing has changed.
    pub(crate) fn claim_refused(&mut self, claim: &Claim, error: ClaimError) {
        if claim.is_asked {
            self.emit(match error {
                ClaimError::Refused(error) => Event::ServerError(error),
                ClaimError::Lost => Event::RequestRefused(RequestRefused::NotConnected),
            });
        }
    }
}
