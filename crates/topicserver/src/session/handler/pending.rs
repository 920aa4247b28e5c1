//! A login whose password is being checked, and the registration that waits for it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use wire::{RegistrationOptions, TopicName};

use crate::access::{LoginError, Principal};
use crate::session::handler::Handler;
use crate::session::handler::login::LogIn;

/// Resolves with who the peer is.
pub(super) type Checking = Pin<Box<dyn Future<Output = Result<Principal, LoginError>> + Send>>;

/// A login that is being checked. Nothing is read meanwhile, so there is one.
pub(super) struct PendingLogin {
    checking: Checking,
    /// The registration that it came with.
    registration: Option<(Vec<TopicName>, Box<RegistrationOptions>)>,
}

impl Handler {
    /// Keeps a login that is being checked. Nothing is read until it is done.
    pub(super) fn check_login(&mut self, checking: Checking) {
        let pending = PendingLogin {
            checking,
            registration: None,
        };
        self.extended.get_or_insert_default().login = Some(Box::new(pending));
    }

    /// Registers when the login is done.
    pub(super) fn register_later(
        &mut self,
        topics: Vec<TopicName>,
        options: Box<RegistrationOptions>,
    ) {
        let pending = self.extended.as_mut();
        if let Some(login) = pending.and_then(|extended| extended.login.as_mut()) {
            login.registration = Some((topics, options));
        }
    }

    /// Waits for the login, if one is being checked, and then carries on.
    pub(super) fn poll_login(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let extended = self.extended.as_mut();
        let Some(slot) = extended.map(|extended| &mut extended.login) else {
            return Poll::Ready(());
        };
        let Some(login) = slot else {
            return Poll::Ready(());
        };
        let done = ready!(login.checking.as_mut().poll(cx));
        let registration = login.registration.take();
        *slot = None;
        if self.finish_login(done) == LogIn::Accepted
            && let Some((topics, options)) = registration
        {
            self.join(topics, Some(options));
        }
        Poll::Ready(())
    }
}
