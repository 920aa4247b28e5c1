//! The names of the people here, our own name, and who is calling.
//!
//! Filled from the server's events; read by completion and by what recognises a mention
//! of us. Each access holds the lock for a moment and never waits.

#![expect(
    clippy::disallowed_types,
    reason = "the lock is taken in one function, which ignores poisoning: what it guards is always whole"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sanitize::push_name;

/// Names that are remembered: more than anybody completes. Further ones are not.
const MOST: usize = 1_000;

/// A handle to them; each clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct People(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    me: Option<String>,
    others: BTreeSet<String>,
    /// Where they are, as the server says: IP addresses.
    addresses: BTreeMap<String, String>,
    /// Who is calling us, and waits for an answer.
    caller: Option<String>,
}

/// It looks the same whether it is escaped or not, so that it can be typed.
fn is_harmless(name: &str) -> bool {
    let mut escaped = String::new();
    push_name(&mut escaped, name);
    escaped == name
}

impl People {
    fn lock(&self) -> MutexGuard<'_, Known> {
        // Each change is one step, so that nothing half done is ever seen.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds names of people who are, or were, here.
    pub(crate) fn add_names(&self, names: &[impl AsRef<str>]) {
        let mut known = self.lock();
        for name in names.iter().map(AsRef::as_ref) {
            let is_new = !known.others.contains(name) && known.me.as_deref() != Some(name);
            if is_new && known.others.len() < MOST {
                known.others.insert(name.into());
            }
        }
    }

    /// This is what we are called: true if that is new.
    pub(crate) fn set_me(&self, name: &str) -> bool {
        let before = self.lock().me.replace(name.into());
        before.as_deref() != Some(name)
    }

    /// What we are called.
    pub(crate) fn me(&self) -> Option<String> {
        self.lock().me.clone()
    }

    /// Somebody is calling, or nobody is any more.
    pub(crate) fn set_caller(&self, caller: Option<&str>) {
        self.lock().caller = caller.map(Into::into);
    }

    /// Who is calling.
    pub(crate) fn caller(&self) -> Option<String> {
        self.lock().caller.clone()
    }

    /// Adds the name of somebody who is here, and where they are.
    pub(crate) fn add_at(&self, name: &str, ip: &str) {
        self.add_names(&[name]);
        let mut known = self.lock();
        if known.addresses.len() < MOST && known.me.as_deref() != Some(name) {
            known.addresses.insert(name.into(), ip.into());
        }
    }

    /// The names of those who are at that address.
    pub(crate) fn at(&self, ip: &str) -> Vec<String> {
        let known = self.lock();
        let here = known.addresses.iter().filter(|(_, at)| *at == ip);
        here.map(|(name, _)| name.clone()).collect()
    }

    /// The names that begin with `start`.
    pub(crate) fn beginning_with(&self, start: &str) -> Vec<String> {
        let known = self.lock();
        let others = known.others.iter();
        others
            .filter(|name| name.starts_with(start) && is_harmless(name))
            .cloned()
            .collect()
    }
}
