//! The names that are taken, by which connection, and at which address.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wire::{ErrorCode, Event, Person, UserName};

use crate::identity::client::Identity;
use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};

/// The most names that are kept for clients whose connection has ended: one for each connection
/// of a full server.
const MAX_KEPT: usize = 100_000;

/// Why a connection is closed that has lost its name to another one. A client that was replaced by
/// itself must not come back, or it would throw itself out in turn; any other one comes back with
/// another name.
pub(crate) fn lost_to(is_same_client: bool) -> (ErrorCode, &'static str) {
    match is_same_client {
        true => (
            ErrorCode::Replaced,
            "the same client has come back on another connection",
        ),
        false => (
            ErrorCode::NameTaken,
            "somebody had your name first, at a server that this one couldn't reach; the \
             connection is closed; come back with another name",
        ),
    }
}

/// The names that are taken. The lock is held only for a table lookup.
pub(crate) struct Directory {
    names: Mutex<Names>,
    /// Told which names become free, in a cluster.
    released: OnceLock<Box<Released>>,
}

/// Is told of a name, of the claim by which it was taken, and for how long it is kept, if it is.
type Released = dyn Fn(&UserName, u64, Option<Duration>) + Send + Sync;

#[derive(Default)]
struct Names {
    /// How long a name is kept for the client that had it.
    grace: Duration,
    users: HashMap<UserName, Holder>,
    /// Names that are kept, with the time until which they are; the first to become free first.
    kept: VecDeque<(Instant, UserName)>,
}

/// The connection that has a name.
struct Holder {
    identity: Arc<Identity>,
    outbox: Weak<Outbox<dyn Transport>>,
    /// The claim in the cluster by which it has the name; 0 on a server alone.
    claim: u64,
    /// Set when the connection has ended: its client may come back until then.
    kept_until: Option<Instant>,
}

/// Another client has the name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NameTaken {
    /// It has it on a connection.
    InUse,
    /// Its connection has ended. The name may be free after this time.
    Kept(Duration),
}

/// A name that a connection holds. Dropping it frees the name, or keeps it for its client.
pub(crate) struct HeldName {
    directory: Arc<Directory>,
    identity: Arc<Identity>,
    claim: u64,
    /// Whether the client has a key, by which it can prove to be the same.
    has_key: bool,
    /// Whether the client has left on purpose.
    is_released: bool,
}

impl Directory {
    pub(crate) fn new(grace: Duration) -> Self {
        let names = Names {
            grace,
            ..Names::default()
        };
        Self {
            names: Mutex::new(names),
            released: OnceLock::new(),
        }
    }

    /// From now on this is told which names become free. It is told while names are locked.
    pub(crate) fn on_release(&self, released: Box<Released>) {
        // There is one cluster.
        let _ = self.released.set(released);
    }

    /// For how long names are kept.
    pub(crate) fn grace(&self) -> Duration {
        self.names.lock().grace
    }

    /// Changes for how long names are kept from now on.
    pub(crate) fn set_grace(&self, grace: Duration) {
        self.names.lock().grace = grace;
    }

    /// Takes the identity's name for a connection; `None` if it has none.
    ///
    /// A client that comes back with the holder's key is the same client. Its old connection,
    /// which may be dead, is closed.
    ///
    /// In a cluster the name was claimed before; `claim` stands for that.
    pub(crate) fn take(
        self: &Arc<Self>,
        identity: &Arc<Identity>,
        has_key: bool,
        outbox: &SharedOutbox,
        claim: u64,
    ) -> Result<Option<HeldName>, NameTaken> {
        let Some(user) = &identity.user else {
            return Ok(None);
        };
        let holder = Holder {
            identity: identity.clone(),
            outbox: Arc::downgrade(outbox),
            claim,
            kept_until: None,
        };
        let replaced = {
            let now = Instant::now();
            let mut names = self.names.lock();
            names.free(now);
            match names.users.get_mut(user) {
                None => {
                    names.users.insert(user.clone(), holder);
                    None
                }
                Some(known) if has_key && known.identity.is_client_of(identity) => {
                    Some(std::mem::replace(known, holder))
                }
                Some(known) => return Err(known.taken(now)),
            }
        };
        if let Some(old) = replaced.and_then(|holder| holder.outbox.upgrade())
            && !old.is(outbox)
        {
            let (code, text) = lost_to(true);
            old.close(code, text);
        }
        Ok(Some(HeldName {
            directory: self.clone(),
            identity: identity.clone(),
            claim,
            has_key,
            is_released: false,
        }))
    }

    /// Whether a connection has this name, or its client may come back for it.
    pub(crate) fn has(&self, user: &UserName) -> bool {
        let mut names = self.names.lock();
        names.free(Instant::now());
        names.users.contains_key(user)
    }

    /// The answer to a lookup; `None` if no connection has the name.
    pub(crate) fn find(&self, user: &str) -> Option<Vec<u8>> {
        let found = |person: Person<'_>| Event::Found(person).to_line();
        self.holder(user)?.person().map(found)
    }

    /// Who has a name, on a connection.
    pub(crate) fn holder(&self, user: &str) -> Option<Arc<Identity>> {
        let names = self.names.lock();
        let holder = names.users.get(user)?;
        holder.kept_until.is_none().then(|| holder.identity.clone())
    }

    /// Another server has given the name to another connection. The one that has it by this claim
    /// is closed, and the name is kept for nobody.
    pub(crate) fn replace(&self, user: &UserName, claim: u64, is_same_client: bool) {
        let holder = {
            let mut names = self.names.lock();
            let is_it = names
                .users
                .get(user)
                .is_some_and(|holder| holder.claim == claim);
            if !is_it {
                return;
            }
            names.users.remove(user)
        };
        if let Some(outbox) = holder.and_then(|holder| holder.outbox.upgrade()) {
            let (code, text) = lost_to(is_same_client);
            outbox.close(code, text);
        }
    }
}

impl Names {
    /// Frees names whose clients have not come back in time.
    fn free(&mut self, now: Instant) {
        while let Some((until, _)) = self.kept.front()
            && (*until <= now || self.kept.len() > MAX_KEPT)
            && let Some((until, user)) = self.kept.pop_front()
        {
            if self.users.get(&user).and_then(|holder| holder.kept_until) == Some(until) {
                self.users.remove(&user);
            }
        }
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
        }
    }
}

impl Holder {
    fn taken(&self, now: Instant) -> NameTaken {
        match self.kept_until {
            None => NameTaken::InUse,
            Some(until) => NameTaken::Kept(until.saturating_duration_since(now)),
        }
    }
}

impl HeldName {
    /// Sets whether the client has left on purpose, so that the name needn't be kept for it.
    pub(crate) fn set_released(&mut self, is_released: bool) {
        self.is_released = is_released;
    }
}

impl Drop for HeldName {
    fn drop(&mut self) {
        let Some(user) = &self.identity.user else {
            return;
        };
        let mut names = self.directory.names.lock();
        let grace = names.grace;
        let Some(holder) = names.users.get_mut(user) else {
            return;
        };
        // The client may have taken it on another connection.
        if !Arc::ptr_eq(&holder.identity, &self.identity) {
            return;
        }
        let is_kept = self.has_key && !self.is_released && !grace.is_zero();
        if let Some(released) = self.directory.released.get() {
            released(user, self.claim, is_kept.then_some(grace));
        }
        if !is_kept {
            names.users.remove(user);
            return;
        }
        let now = Instant::now();
        let until = now + grace;
        holder.kept_until = Some(until);
        names.kept.push_back((until, user.clone()));
        names.free(now);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use wire::ClientKey;

    use super::*;
    use crate::identity::client::Hashes;
    use crate::outbox::tests::endless_outbox;

    struct Test {
        directory: Arc<Directory>,
        hashes: Hashes,
    }

    impl Test {
        fn take(&self, key: Option<&str>, outbox: &SharedOutbox) -> Result<HeldName, NameTaken> {
            let peer = SocketAddr::from(([10, 0, 0, 1], 7));
            let key = key.and_then(ClientKey::new);
            let user = UserName::new("alice").ok();
            let identity = Identity::new(&self.hashes, peer, user, key.as_ref(), Some(2001));
            self.directory
                .take(&Arc::new(identity), key.is_some(), outbox, 0)
                .map(Option::unwrap)
        }
    }

    fn test() -> Test {
        Test {
            directory: Arc::new(Directory::new(Duration::ZERO)),
            hashes: Hashes::random().unwrap(),
        }
    }

    #[test]
    fn a_name_is_taken_once_and_found_until_it_is_given_back() {
        let test = test();
        assert_eq!(test.directory.find("alice"), None);
        let held = test.take(None, &endless_outbox()).ok().unwrap();
        assert_eq!(
            test.take(None, &endless_outbox()).err(),
            Some(NameTaken::InUse)
        );
        assert_eq!(
            test.take(Some("k"), &endless_outbox()).err(),
            Some(NameTaken::InUse)
        );
        let found = test.directory.find("alice").unwrap();
        let expected = "{\"extended\":{\"found\":{\"user\":\"alice\",\"ip\":\"10.0.0.1\",\"port\":\"2001\"}}}\n";
        assert_eq!(String::from_utf8(found).unwrap(), expected);
        drop(held);
        assert_eq!(test.directory.find("alice"), None);
    }

    #[test]
    fn a_client_takes_its_name_from_its_own_old_connection() {
        let test = test();
        let (old, new) = (endless_outbox(), endless_outbox());
        let first = test.take(Some("k"), &old).ok().unwrap();
        let second = test.take(Some("k"), &new).ok().unwrap();
        assert_eq!(old.closing(), Some(Some(ErrorCode::Replaced)));
        assert_eq!(new.closing(), None);
        drop(first);
        assert!(test.directory.find("alice").is_some());
        drop(second);
        assert_eq!(test.directory.find("alice"), None);
    }

    #[test]
    fn a_name_is_kept_for_its_client_for_a_while() {
        let grace = Duration::from_secs(1000);
        let test = Test {
            directory: Arc::new(Directory::new(grace)),
            hashes: Hashes::random().unwrap(),
        };
        drop(test.take(Some("k"), &endless_outbox()).ok().unwrap());
        assert_eq!(test.directory.find("alice"), None, "nobody is there");
        assert!(test.directory.has(&UserName::new("alice").unwrap()));
        for other in [None, Some("another")] {
            let taken = test.take(other, &endless_outbox()).err();
            assert!(matches!(taken, Some(NameTaken::Kept(left)) if left <= grace));
        }
        let mut back = test.take(Some("k"), &endless_outbox()).ok().unwrap();
        assert_eq!(
            test.take(None, &endless_outbox()).err(),
            Some(NameTaken::InUse)
        );
        assert!(test.directory.find("alice").is_some());
        back.set_released(true);
        drop(back);
        let other = test.take(None, &endless_outbox()).ok().unwrap();
        // No client can prove that it is the owner, so the name isn't kept.
        drop(other);
        assert!(test.take(Some("another"), &endless_outbox()).is_ok());
    }

    #[test]
    fn names_that_nobody_comes_back_for_become_free() {
        let mut names = Names::default();
        let now = Instant::now();
        let name = |number: usize| UserName::new(&number.to_string()).unwrap();
        let hashes = Hashes::random().unwrap();
        for number in 0..MAX_KEPT + 10 {
            let until = now + Duration::from_secs(if number < 100 { 1 } else { 2 });
            let peer = SocketAddr::from(([10, 0, 0, 1], 7));
            let identity = Identity::new(&hashes, peer, Some(name(number)), None, None);
            let outbox = Arc::downgrade(&endless_outbox());
            let holder = Holder {
                identity: Arc::new(identity),
                outbox,
                claim: 0,
                kept_until: Some(until),
            };
            names.users.insert(name(number), holder);
            names.kept.push_back((until, name(number)));
        }
        names.free(now);
        assert_eq!(names.users.len(), MAX_KEPT, "no more than those are kept");
        names.free(now + Duration::from_secs(1));
        assert_eq!(names.users.len(), MAX_KEPT + 10 - 100);
        names.free(now + Duration::from_secs(2));
        assert!(names.users.is_empty() && names.kept.is_empty());
    }
}
