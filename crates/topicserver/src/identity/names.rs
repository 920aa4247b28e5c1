//! Names that are taken: which connection has which name, and at which address.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use wire::{ErrorCode, Event, UserName};

use crate::identity::client::Identity;
use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};

/// The names that are taken. The lock is held only for a table lookup.
#[derive(Default)]
pub(crate) struct Directory {
    users: Mutex<HashMap<UserName, Holder>>,
}

/// The connection that has a name.
struct Holder {
    identity: Arc<Identity>,
    outbox: Weak<Outbox<dyn Transport>>,
}

/// Another connection has the name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken;

/// A name that a connection holds. Dropping it frees the name.
pub(crate) struct HeldName {
    directory: Arc<Directory>,
    identity: Arc<Identity>,
}

impl Directory {
    /// Takes the identity's name for a connection; `None` if it has none.
    ///
    /// A client that comes back with the holder's key is the same client. Its old connection,
    /// which may be dead, is closed.
    pub(crate) fn take(
        self: &Arc<Self>,
        identity: &Arc<Identity>,
        has_key: bool,
        outbox: &SharedOutbox,
    ) -> Result<Option<HeldName>, Taken> {
        let Some(user) = &identity.user else {
            return Ok(None);
        };
        let holder = Holder {
            identity: identity.clone(),
            outbox: Arc::downgrade(outbox),
        };
        let replaced = {
            let mut users = self.users.lock();
            match users.get_mut(user) {
                None => {
                    users.insert(user.clone(), holder);
                    None
                }
                Some(known) if has_key && known.identity.publisher == identity.publisher => {
                    Some(std::mem::replace(known, holder))
                }
                Some(_) => return Err(Taken),
            }
        };
        if let Some(old) = replaced.and_then(|holder| holder.outbox.upgrade())
            && !old.is(outbox)
        {
            let text = "the same client has come back on another connection";
            old.close(ErrorCode::Replaced, text);
        }
        Ok(Some(HeldName {
            directory: self.clone(),
            identity: identity.clone(),
        }))
    }

    /// A connection has this name.
    pub(crate) fn has(&self, user: &UserName) -> bool {
        self.users.lock().contains_key(user)
    }

    /// The answer to a lookup; `None` if no connection has the name.
    pub(crate) fn find(&self, user: &str) -> Option<Vec<u8>> {
        let identity = self.users.lock().get(user)?.identity.clone();
        identity
            .person()
            .map(|person| Event::Found(person).to_line())
    }
}

impl Drop for HeldName {
    fn drop(&mut self) {
        let Some(user) = &self.identity.user else {
            return;
        };
        let mut users = self.directory.users.lock();
        // The client may have taken it on another connection.
        if users
            .get(user)
            .is_some_and(|holder| Arc::ptr_eq(&holder.identity, &self.identity))
        {
            users.remove(user);
        }
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
        fn take(&self, key: Option<&str>, outbox: &SharedOutbox) -> Result<HeldName, Taken> {
            let peer = SocketAddr::from(([10, 0, 0, 1], 7));
            let key = key.and_then(ClientKey::new);
            let user = UserName::new("alice").ok();
            let identity = Identity::new(&self.hashes, peer, user, key.as_ref(), Some(2001));
            self.directory
                .take(&Arc::new(identity), key.is_some(), outbox)
                .map(Option::unwrap)
        }
    }

    fn test() -> Test {
        Test {
            directory: Arc::default(),
            hashes: Hashes::random().unwrap(),
        }
    }

    #[test]
    fn a_name_is_taken_once_and_found_until_it_is_given_back() {
        let test = test();
        assert_eq!(test.directory.find("alice"), None);
        let held = test.take(None, &endless_outbox()).ok().unwrap();
        assert_eq!(test.take(None, &endless_outbox()).err(), Some(Taken));
        assert_eq!(test.take(Some("k"), &endless_outbox()).err(), Some(Taken));
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
}
