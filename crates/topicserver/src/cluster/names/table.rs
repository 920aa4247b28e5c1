//! The names that connections here have, and those on which this server decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use wire::UserName;

use super::message::{Claim, Question};
use crate::cluster::nodes::{NodeId, Owner};

/// After servers have come or gone, this server doesn't know all names on which it decides for
/// about so long.
const UNSURE: Duration = Duration::from_secs(3);

/// What one server knows of names.
pub(super) struct Table {
    own: NodeId,
    /// Names of connections here, and names that are kept for their clients.
    here: BTreeMap<UserName, Here>,
    /// Who has the names on which this server decides, as far as it knows.
    decided: BTreeMap<UserName, Holder>,
    /// Names whose holders here must be announced to those who decide on them.
    unannounced: BTreeSet<UserName>,
    /// What is to be told to other servers.
    letters: Vec<(NodeId, Question)>,
    unsure_until: Instant,
    /// The servers that live.
    living: BTreeSet<NodeId>,
    /// Claims of connections here that were replaced, maybe before it was known that they were
    /// granted: when, and whether by the same client.
    replaced: BTreeMap<u64, (Instant, bool)>,
}

/// A name here.
struct Here {
    holder: Holder,
    /// The server that has decided, or knows.
    owner: Option<NodeId>,
}

/// Who has a name.
#[derive(Clone)]
pub(super) struct Holder {
    claim: Claim,
    since: Instant,
    kept_until: Option<Instant>,
}

impl Holder {
    fn new(claim: Claim) -> Self {
        let now = Instant::now();
        Self {
            since: now.checked_sub(claim.held).unwrap_or(now),
            kept_until: claim.kept.map(|kept| now + kept),
            claim,
        }
    }

    /// The claim as it is now; `None` if it is over.
    pub(super) fn now(&self) -> Option<Claim> {
        let now = Instant::now();
        if self.kept_until.is_some_and(|until| until <= now) {
            return None;
        }
        Some(Claim {
            held: now - self.since,
            kept: self.kept_until.map(|until| until - now),
            ..self.claim.clone()
        })
    }
}

impl Table {
    pub(super) fn new(own: NodeId) -> Self {
        Self {
            own,
            here: BTreeMap::new(),
            decided: BTreeMap::new(),
            unannounced: BTreeSet::new(),
            letters: Vec::new(),
            unsure_until: Instant::now() + UNSURE,
            living: BTreeSet::new(),
            replaced: BTreeMap::new(),
        }
    }

    /// A connection here has got a name; `owner` has decided it, or nobody has yet.
    pub(super) fn hold(&mut self, claim: Claim, owner: Option<NodeId>) {
        if self.replaced.contains_key(&claim.serial) {
            return;
        }
        let user = claim.user.clone();
        match owner {
            Some(_) => self.unannounced.remove(&user),
            None => self.unannounced.insert(user.clone()),
        };
        let holder = Holder::new(claim);
        self.here.insert(user, Here { holder, owner });
    }

    fn holds(&self, user: &UserName, serial: u64) -> bool {
        let here = self.here.get(user);
        here.is_some_and(|here| here.holder.claim.serial == serial)
    }

    /// See [`Names::lost`](super::Names::lost).
    pub(super) fn lost(&self, user: &UserName, serial: u64) -> Option<bool> {
        if self.holds(user, serial) {
            return None;
        }
        // Only a client that comes again gets a name that one of its connections has.
        Some(self.replaced.get(&serial).is_none_or(|(_, same)| *same))
    }

    /// A connection here has ended, and its name is free, or kept for its client.
    pub(super) fn release(&mut self, user: &UserName, serial: u64, kept: Option<Duration>) {
        if !self.holds(user, serial) {
            return;
        }
        let Some(mut here) = self.here.remove(user) else {
            return;
        };
        here.holder.kept_until = kept.map(|kept| Instant::now() + kept);
        let claim = Claim {
            kept,
            ..here.holder.claim.clone()
        };
        match here.owner {
            Some(owner) if owner == self.own => self.is_released(&claim),
            Some(owner) => self.letters.push((owner, Question::Release(claim))),
            None => {}
        }
        if kept.is_some() {
            self.here.insert(user.clone(), here);
        } else {
            self.unannounced.remove(user);
        }
    }

    /// Who has a name here.
    pub(super) fn holder_here(&self, user: &UserName) -> Option<Claim> {
        self.here.get(user)?.holder.now()
    }

    /// A name here was given to another connection.
    pub(super) fn is_replaced(&mut self, user: &UserName, serial: u64, is_same_client: bool) {
        if self.holds(user, serial) {
            self.here.remove(user);
            self.unannounced.remove(user);
        }
        self.replaced
            .insert(serial, (Instant::now(), is_same_client));
    }

    /// Who has a name on which this server decides.
    pub(super) fn decided(&mut self, user: &UserName) -> Option<Claim> {
        let holder = self.decided.get(user)?.now();
        if holder.is_none() {
            self.decided.remove(user);
        }
        holder
    }

    /// Decides on a name.
    pub(super) fn decide(&mut self, claim: Claim) {
        self.decided.insert(claim.user.clone(), Holder::new(claim));
    }

    /// The holder's server has said this of a name on which this server decides.
    pub(super) fn update(&mut self, now: Claim) {
        let known = self.decided.get(&now.user);
        if known.is_some_and(|known| known.claim.is(&now)) {
            self.decide(now);
        }
    }

    /// The holder of a name on which this server decides has gone.
    pub(super) fn is_released(&mut self, claim: &Claim) {
        let Some(known) = self.decided.get_mut(&claim.user) else {
            return;
        };
        if known.claim.is(claim) {
            match claim.kept {
                Some(kept) => known.kept_until = Some(Instant::now() + kept),
                None => {
                    self.decided.remove(&claim.user);
                }
            }
        }
    }

    /// Has the server of a claim be told that another connection has its name.
    pub(super) fn tell_replaced(&mut self, claim: Claim, is_same_client: bool) {
        let node = claim.node;
        let question = Question::Replaced(claim, is_same_client);
        self.letters.push((node, question));
    }

    /// A server wasn't reached.
    pub(super) fn tell_again(&mut self, node: NodeId, question: Question) {
        self.letters.push((node, question));
    }

    /// A server wants to hear again of the names on which it decides.
    pub(super) fn announce_again(&mut self, owner: NodeId) {
        for (user, here) in &mut self.here {
            if here.owner == Some(owner) {
                here.owner = None;
                self.unannounced.insert(user.clone());
            }
        }
    }

    /// Whether others may have names on which this server decides without its knowing.
    pub(super) fn is_unsure(&self) -> bool {
        Instant::now() < self.unsure_until
    }

    /// Other servers have come or gone.
    pub(super) fn follow(
        &mut self,
        living: BTreeSet<NodeId>,
        owner: impl Fn(&UserName) -> Owner,
        grace: Duration,
    ) {
        let now = Instant::now();
        self.unsure_until = now + UNSURE;
        self.decided.retain(|user, holder| {
            let is_kept = holder.claim.client.is_some() && !grace.is_zero();
            if !living.contains(&holder.claim.node) && holder.kept_until.is_none() {
                // Its client may come back to another server.
                holder.kept_until = Some(if is_kept { now + grace } else { now });
            }
            owner(user) == Owner::This && holder.kept_until.is_none_or(|until| until > now)
        });
        // One that returns hasn't noticed that it was taken for dead.
        for node in living
            .difference(&self.living)
            .filter(|node| **node != self.own)
        {
            self.letters.push((*node, Question::Reannounce(self.own)));
        }
        self.living = living;
        for (user, here) in &self.here {
            let owner = match owner(user) {
                Owner::This => self.own,
                Owner::Other(node) => node,
            };
            if here.owner != Some(owner) {
                self.unannounced.insert(user.clone());
            }
        }
    }

    /// Forgets what isn't kept any longer.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        let counts = |holder: &Holder| holder.kept_until.is_none_or(|until| until > now);
        self.decided.retain(|_, holder| counts(holder));
        self.here.retain(|_, here| counts(&here.holder));
        self.replaced.retain(|_, (when, _)| when.elapsed() < UNSURE);
        let here = &self.here;
        self.unannounced.retain(|user| here.contains_key(user));
    }

    pub(super) fn take_letters(&mut self) -> Vec<(NodeId, Question)> {
        std::mem::take(&mut self.letters)
    }

    /// What is to be announced, by the server that decides.
    pub(super) fn unannounced(
        &self,
        owner: impl Fn(&UserName) -> Owner,
    ) -> BTreeMap<NodeId, Vec<Claim>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for user in &self.unannounced {
            let owner = match owner(user) {
                Owner::This => self.own,
                Owner::Other(node) => node,
            };
            if let Some(claim) = self.holder_here(user) {
                all.entry(owner).or_default().push(claim);
            }
        }
        all
    }

    /// A server that decides knows this claim.
    pub(super) fn is_announced(&mut self, claim: &Claim, owner: NodeId) {
        let here = self.here.get_mut(&claim.user);
        let Some(here) = here.filter(|here| here.holder.claim.is(claim)) else {
            return;
        };
        here.owner = Some(owner);
        self.unannounced.remove(&claim.user);
    }

    /// This server decides on a name that may be here. Another one may have when it was asked.
    pub(super) fn is_decided_by(&mut self, user: &UserName, owner: NodeId) {
        if self
            .here
            .get(user)
            .is_some_and(|here| here.owner != Some(owner))
        {
            self.unannounced.insert(user.clone());
        }
    }
}
