//! The name by which others know us: the preferred one, a similar one, or a new one.

use std::time::{Duration, Instant};

use wire::{ErrorCode, UserName};

use super::{Name, Session, State};
use crate::claim::{Claim, ClaimError, ClaimReason};
use crate::event::{Event, RequestRefused};

/// Pauses before each attempt to get the preferred name while another client has it. A server
/// keeps the name of a lost connection for its client for `--name-grace`, 30 s by default, and
/// does not announce when that time is over. These pauses are twice as long together. After them,
/// the next attempt follows when the server announces that a user of this name has left.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(32),
];

/// The name that the program prefers, and how to get it if another client has it.
#[derive(Debug)]
pub(super) struct Wish {
    /// The name, also while the server knows us by another one.
    name: Option<UserName>,
    to_claim: Option<(UserName, ClaimReason)>,
    /// When to claim the name again.
    next_attempt: Option<Instant>,
    /// The pauses that are still to come.
    pauses: std::slice::Iter<'static, Duration>,
}

impl Wish {
    pub(super) fn new(name: &Name) -> Self {
        let name = match name {
            Name::Preferred(name) => Some(name.clone()),
            Name::Anonymous | Name::Required(_) => None,
        };
        Self {
            name,
            to_claim: None,
            next_attempt: None,
            pauses: PAUSES.iter(),
        }
    }

    /// A new connection ends every claim that was planned on the one before.
    fn stop(&mut self) {
        self.to_claim = None;
        self.next_attempt = None;
    }

    /// Gives up the preferred name.
    pub(super) fn give_up(&mut self) {
        self.stop();
        self.name = None;
    }

    /// Plans the next attempt, if there is one left.
    fn pause(&mut self, now: Instant) {
        self.next_attempt = self.pauses.next().map(|pause| now + *pause);
    }

    /// When the next attempt is due.
    pub(super) fn next_attempt(&self) -> Option<Instant> {
        self.next_attempt
    }

    fn claim(&mut self) {
        if self.to_claim.is_none() {
            let name = self.name.clone();
            self.to_claim = name.map(|name| (name, ClaimReason::Wished));
        }
    }
}

impl Session {
    /// The program asks for another name.
    pub(super) fn rename(&mut self, name: UserName) {
        match self.state {
            State::Extended => self.wish.to_claim = Some((name, ClaimReason::Asked)),
            State::Unanswered => self.emit(Event::RequestRefused(RequestRefused::NotConnected)),
            State::Classic => self.emit(Event::RequestRefused(RequestRefused::Unsupported)),
        }
    }

    /// The server has registered us on a new connection, by this name or a similar one.
    pub(super) fn on_named(&mut self, now: Instant) {
        if self.has_other_name() {
            self.wish.pauses = PAUSES.iter();
            self.wish.pause(now);
        }
    }

    /// A user has left who may have had the preferred name.
    pub(super) fn on_name_free(&mut self, user: &str) {
        let is_wished = self
            .wish
            .name
            .as_ref()
            .is_some_and(|name| name.as_str() == user);
        if is_wished && self.has_other_name() && self.state == State::Extended {
            self.wish.next_attempt = None;
            self.wish.pauses = PAUSES.iter();
            self.wish.claim();
        }
    }

    fn has_other_name(&self) -> bool {
        self.wish.name.is_some() && self.config.name.get() != self.wish.name.as_ref()
    }

    /// Claims the preferred name again, if that is due.
    pub(super) fn check_wish(&mut self, now: Instant) {
        if self.wish.next_attempt.is_some_and(|due| due <= now) {
            self.wish.next_attempt = None;
            if self.state == State::Extended && !self.is_finishing {
                self.wish.claim();
            }
        }
    }

    /// Has a new connection register with the preferred name again.
    pub(super) fn wish_again(&mut self) {
        self.wish.stop();
        if let (Name::Preferred(name), Some(wished)) = (&mut self.config.name, &self.wish.name) {
            name.clone_from(wished);
        }
    }

    /// Whether the server has registered us on this connection.
    pub(crate) fn is_registered(&self) -> bool {
        self.state == State::Extended
    }

    /// Takes the name that should be claimed.
    pub(crate) fn take_claim(&mut self) -> Option<Claim> {
        let (name, reason) = self.wish.to_claim.take()?;
        let key = self.config.key.clone();
        let credential = self.config.credential.clone();
        Some(Claim {
            name,
            key,
            credential,
            reason,
        })
    }

    /// The name is granted: the next connection registers with it.
    pub(crate) fn renamed(&mut self, claim: &Claim) {
        self.wish.stop();
        self.wish.name = Some(claim.name.clone());
        self.config.name = Name::Preferred(claim.name.clone());
    }

    /// The name is not granted, and nothing has changed.
    pub(crate) fn claim_refused(&mut self, claim: &Claim, error: ClaimError, now: Instant) {
        match (claim.reason, error) {
            (ClaimReason::Asked, ClaimError::Refused(error)) => {
                self.emit(Event::ServerError(error));
            }
            (ClaimReason::Asked, ClaimError::Lost) => {
                self.emit(Event::RequestRefused(RequestRefused::NotConnected));
            }
            (ClaimReason::Wished, ClaimError::Refused(error))
                if !error.is(ErrorCode::NameTaken) =>
            {
                self.wish.stop();
            }
            (ClaimReason::Wished, _) => self.wish.pause(now),
        }
    }
}
