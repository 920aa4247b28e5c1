//! A login whose password is being checked, or a name that is being claimed, and the registration
//! that waits for it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use wire::{RegistrationOptions, TopicName};

use crate::access::{LoginError, Principal};
use crate::session::handler::Handler;
use crate::session::handler::claim::Claiming;
use crate::session::handler::login::LogIn;

/// Resolves with who the peer is.
pub(super) type Checking = Pin<Box<dyn Future<Output = Result<Principal, LoginError>> + Send>>;

/// What a registration waits for. Nothing is read meanwhile, so there is one.
pub(super) struct PendingLogin {
    step: Step,
    /// The registration that it came with.
    registration: Option<(Vec<TopicName>, Box<RegistrationOptions>)>,
}

enum Step {
    Login(Checking),
    Name(Claiming),
}

impl Handler {
    /// Keeps a registration whose name is being claimed. Nothing is read until that is done.
    pub(super) fn wait_for_claim(
        &mut self,
        claiming: Claiming,
        topics: Vec<TopicName>,
        options: Box<RegistrationOptions>,
    ) {
        let pending = PendingLogin {
            step: Step::Name(claiming),
            registration: Some((topics, options)),
        };
        self.extended.get_or_insert_default().login = Some(Box::new(pending));
    }

    /// Keeps a login that is being checked. Nothing is read until it is done.
    pub(super) fn check_login(&mut self, checking: Checking) {
        let pending = PendingLogin {
            step: Step::Login(checking),
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

    /// Waits for the login, if one is being checked, and for the name, and then carries on.
    pub(super) fn poll_login(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let extended = self.extended.as_mut();
            let Some(slot) = extended.map(|extended| &mut extended.login) else {
                return Poll::Ready(());
            };
            let Some(pending) = slot else {
                return Poll::Ready(());
            };
            let registration = &mut pending.registration;
            match &mut pending.step {
                Step::Login(checking) => {
                    let done = ready!(checking.as_mut().poll(cx));
                    let registration = registration.take();
                    *slot = None;
                    if self.finish_login(done) == LogIn::Accepted
                        && let Some((topics, options)) = registration
                    {
                        self.join_with_name(topics, options);
                    }
                }
                Step::Name(claiming) => {
                    let claimed = ready!(claiming.as_mut().poll(cx));
                    let registration = registration.take();
                    *slot = None;
                    if let Some((topics, options)) = registration {
                        self.join_claimed(claimed, topics, options);
                    }
                }
            }
        }
    }
}
