//! Claims a name in a cluster, before a connection takes it.

use std::pin::Pin;

use wire::{ErrorCode, RegistrationOptions, TopicName, UserName};

use crate::cluster::names::Refused;
use crate::identity::names::{NameTaken, lost_to};
use crate::outbox::reply::PendingReply;
use crate::session::handler::Handler;

/// Resolves with what came of a claim.
pub(super) type Claiming = Pin<Box<dyn Future<Output = Claimed> + Send>>;

/// What came of the claim of a name.
pub(super) struct Claimed {
    user: UserName,
    /// What stands for the claim.
    result: Result<u64, Refused>,
}

impl Handler {
    /// Registers the peer, when its name was claimed in the cluster, if there is one.
    pub(super) fn join_with_name(
        &mut self,
        topics: Vec<TopicName>,
        options: Box<RegistrationOptions>,
    ) {
        match self.claim_name(&options) {
            None => self.join(topics, Some(options)),
            Some(claiming) => self.wait_for_claim(claiming, topics, options),
        }
    }

    /// Registers the peer when its name was claimed.
    pub(super) fn join_claimed(
        &mut self,
        claimed: Claimed,
        topics: Vec<TopicName>,
        options: Box<RegistrationOptions>,
    ) {
        self.extended.get_or_insert_default().claimed = Some(claimed);
        self.join(topics, Some(options));
        // It wasn't needed: the registration was refused for another reason.
        let claimed = self
            .extended
            .as_mut()
            .and_then(|known| known.claimed.take());
        if let Some(Claimed {
            user,
            result: Ok(claim),
        }) = claimed
            && let Some(names) = self.state().names()
        {
            names.give_back(&user, claim);
        }
    }

    /// Claims the name that the peer is about to take.
    fn claim_name(&self, options: &RegistrationOptions) -> Option<Claiming> {
        let names = self.state().names()?.clone();
        let user = self.name_to_take(options)?;
        let key = options.client.as_ref();
        let client = key.map(|key| self.state().hashes().client_of(key));
        Some(Box::pin(async move {
            let result = names.claim(&user, client).await;
            Claimed { user, result }
        }))
    }

    /// The name that a registration takes, if it takes one.
    fn name_to_take(&self, options: &RegistrationOptions) -> Option<UserName> {
        if self.user().is_some() {
            return None;
        }
        let user = match &options.user {
            Some(user) => user.clone(),
            None if self.identity().is_some() => return None,
            None => self.principal().name().cloned()?,
        };
        let access = self.state().access();
        access.check_name(self.principal(), &user).ok()?;
        Some(user)
    }

    /// The claim that was made for a name; 0 on a server alone.
    pub(super) fn take_claim(&mut self, user: &UserName) -> Result<u64, NameTaken> {
        let claimed = self
            .extended
            .as_mut()
            .and_then(|known| known.claimed.take());
        match claimed.filter(|claimed| claimed.user == *user) {
            None => Ok(0),
            Some(claimed) => claimed.result.map_err(|refused| match refused {
                Refused::InUse => NameTaken::InUse,
                Refused::Kept(left) => NameTaken::Kept(left),
            }),
        }
    }

    /// A claimed name was taken, or couldn't be.
    pub(super) fn settle_claim(&self, user: &UserName, claim: u64, is_taken: bool) {
        let Some(names) = self.state().names().filter(|_| claim != 0) else {
            return;
        };
        if !is_taken {
            names.give_back(user, claim);
        } else if let Some(is_same_client) = names.lost(user, claim) {
            let (code, text) = lost_to(is_same_client);
            self.outbox().close(code, text);
        }
    }

    /// Looks a user up at the other servers of a cluster.
    pub(super) fn look_up_elsewhere(&self, user: &str) {
        let unknown = format!("nobody here is called {user:?}");
        let outbox = self.subscriptions.outbox().clone();
        let names = self.state().names().cloned();
        let (Some(names), Ok(user)) = (names, UserName::new(user)) else {
            return outbox.send_error(ErrorCode::UnknownUser, &unknown, None);
        };
        let reply = PendingReply::new(outbox.clone(), 0);
        tokio::spawn(async move {
            match names.find(&user).await {
                Some(found) => reply.send(found),
                None => outbox.send_error(ErrorCode::UnknownUser, &unknown, None),
            }
        });
    }
}
