//! Makes a connection an extended one, and gives it its identity and its name.

use std::sync::Arc;

use wire::{ErrorCode, RegistrationOptions, UserName};

use crate::access::Principal;
use crate::gate::Admitted;
use crate::identity::Identity;
use crate::identity::names::{HeldName, NameTaken};
use crate::session::handler::Handler;
use crate::session::handler::claim::Claimed;
use crate::session::handler::pace::Pace;
use crate::session::handler::pending::PendingLogin;
use crate::session::handler::registering::Registering;
use crate::session::ranges::Ranges;
use crate::topic::handle::Topic;

/// What only an extended connection has. It is in a box, so that a classic connection keeps no
/// room for it.
#[derive(Default)]
pub(super) struct Extended {
    /// Who the peer has proven to be.
    pub(super) principal: Principal,
    /// The connection only listens. It ends when it may no longer listen to any topic.
    pub(super) is_listener: bool,
    /// The publisher's identity of a classic connection whose address belongs to an account.
    pub(super) publisher: Option<Arc<Identity>>,
    /// The identity from the registration as an extended connection.
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) name: Option<HeldName>,
    /// A registration that isn't answered yet.
    pub(super) registering: Option<Registering>,
    /// A topic that was asked something and is busy.
    pub(super) slowed_by: Option<Arc<Topic>>,
    /// Ranges of the history that the peer has asked for.
    pub(super) ranges: Ranges,
    /// The name that was claimed in a cluster for a registration.
    pub(super) claimed: Option<Claimed>,
    /// A login that is being checked, or a name that is being claimed.
    pub(super) login: Option<Box<PendingLogin>>,
    /// The limits of the connection, if it has any.
    pub(super) pace: Option<Box<Pace>>,
    /// The peer has said that it sends no more.
    pub(super) has_ended: bool,
}

impl Handler {
    /// Registers the connection as an extended one, which it stays.
    pub(super) fn register_extended(&mut self, topics: &[Admitted], options: &RegistrationOptions) {
        let was_classic = self.identity().is_none();
        let Some(identity) = self.identify(options) else {
            return;
        };
        let registry = self.guard.state().registry();
        let answer = self
            .subscriptions
            .register(topics, options, &identity, registry, was_classic);
        if registry.is_clustered() {
            let extended = self.extended.get_or_insert_default();
            extended.registering.get_or_insert_default().answer = Some(answer);
        }
        self.subscriptions.set_registered();
        self.note_goodbye();
    }

    /// The peer's new identity. `None` if it is refused, and the peer was told so.
    fn identify(&mut self, options: &RegistrationOptions) -> Option<Arc<Identity>> {
        let known = self.identity().cloned();
        if let Some(known) = &known {
            match (&known.user, &options.user) {
                (_, None) => return Some(known.clone()),
                (Some(name), Some(same)) if name == same => return Some(known.clone()),
                (Some(name), Some(other)) => {
                    self.tell_name(&format!(
                        "you are called {name:?} on this connection and can't become {other:?}; \
                         connect again for that"
                    ));
                    return None;
                }
                (None, Some(_)) => {}
            }
        }
        if let Some(name) = &options.user
            && let Err(denied) = self.gate().check_name(name)
        {
            self.refuse(&denied, None);
            return None;
        }
        if let Some(identity) = self.take_name_of_login(options) {
            return Some(identity);
        }
        match self.take_name(options.user.clone(), options) {
            Ok(identity) => Some(identity),
            Err(taken) => {
                let name = options.user.as_ref().map_or("", UserName::as_str);
                self.tell_name(&match taken {
                    NameTaken::InUse => {
                        format!("somebody else is called {name:?} here; register with another name")
                    }
                    NameTaken::Kept(left) => format!(
                        "{name:?} is kept for a client that has lost its connection; register \
                         with another name, or try again in {} s",
                        left.as_secs() + 1
                    ),
                });
                None
            }
        }
    }

    /// Takes the login's name if the peer gives no name, and if the name is free.
    fn take_name_of_login(&mut self, options: &RegistrationOptions) -> Option<Arc<Identity>> {
        if options.user.is_some() || self.identity().is_some() {
            return None;
        }
        let name = self.principal().name().cloned()?;
        let access = self.state().access();
        access.check_name(self.principal(), &name).ok()?;
        self.take_name(Some(name), options).ok()
    }

    fn take_name(
        &mut self,
        user: Option<UserName>,
        options: &RegistrationOptions,
    ) -> Result<Arc<Identity>, NameTaken> {
        let claim = match &user {
            Some(user) => self.take_claim(user)?,
            None => 0,
        };
        let outbox = self.subscriptions.outbox();
        let identity = Identity::new(
            self.state().hashes(),
            outbox.peer(),
            user,
            options.client.as_ref(),
            options.port,
        );
        let identity = identity.going_on(self.identity().map(Arc::as_ref));
        let identity = Arc::new(identity.with_account(self.principal().account().cloned()));
        let directory = self.state().directory();
        let name = directory.take(&identity, options.client.is_some(), outbox, claim);
        if let Some(user) = &identity.user {
            self.settle_claim(user, claim, name.is_ok());
        }
        let name = name?;
        let extended = self.extended.get_or_insert_default();
        extended.name = name;
        extended.identity = Some(identity.clone());
        Ok(identity)
    }

    /// A client that has left all topics doesn't come back for the name.
    pub(super) fn note_goodbye(&mut self) {
        let has_left = self.subscriptions.len() == 0;
        if let Some(extended) = &mut self.extended
            && let Some(name) = &mut extended.name
        {
            name.set_released(has_left);
        }
    }

    fn tell_name(&self, text: &str) {
        self.outbox().send_error(ErrorCode::NameTaken, text, None);
    }
}
