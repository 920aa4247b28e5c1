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

/// The most names that are remembered: more than anybody completes.
const MOST: usize = 1_000;

/// A handle to the names, shared by all clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct People(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    me: Option<String>,
    others: BTreeSet<String>,
    /// Who is in which of our topics now, and where, as the server says: IP addresses.
    members: BTreeMap<String, BTreeMap<String, String>>,
    /// Who is calling us, and waits for an answer.
    caller: Option<String>,
}

/// Whether a name looks the same with and without escapes, so that it can be typed.
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

    /// Sets our own name. True if it is new.
    pub(crate) fn set_me(&self, name: &str) -> bool {
        let before = self.lock().me.replace(name.into());
        before.as_deref() != Some(name)
    }

    /// Our own name.
    pub(crate) fn me(&self) -> Option<String> {
        self.lock().me.clone()
    }

    /// Sets who is calling, or that nobody is.
    pub(crate) fn set_caller(&self, caller: Option<&str>) {
        self.lock().caller = caller.map(Into::into);
    }

    /// Who is calling.
    pub(crate) fn caller(&self) -> Option<String> {
        self.lock().caller.clone()
    }

    /// That topic is ours now: who is in it is remembered.
    pub(crate) fn join(&self, topic: &str) {
        self.lock().members.entry(topic.into()).or_default();
    }

    /// That topic is ours no longer.
    pub(crate) fn leave(&self, topic: &str) {
        self.lock().members.remove(topic);
    }

    /// All who are in a topic now: names and addresses.
    pub(crate) fn set_members<'a>(
        &self,
        topic: &str,
        members: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) {
        self.add_names(&members.clone().map(|(name, _)| name).collect::<Vec<_>>());
        if let Some(known) = self.lock().members.get_mut(topic) {
            let members = members.take(MOST);
            *known = members.map(|(name, ip)| (name.into(), ip.into())).collect();
        }
    }

    /// Somebody has joined a topic, at that address.
    pub(crate) fn add_member(&self, topic: &str, name: &str, ip: &str) {
        self.add_names(&[name]);
        if let Some(members) = self.lock().members.get_mut(topic)
            && members.len() < MOST
        {
            members.insert(name.into(), ip.into());
        }
    }

    /// Somebody has left a topic.
    pub(crate) fn remove_member(&self, topic: &str, name: &str) {
        if let Some(members) = self.lock().members.get_mut(topic) {
            members.remove(name);
        }
    }

    /// The names of the others who are at that address now, each once.
    pub(crate) fn at(&self, ip: &str) -> Vec<String> {
        let known = self.lock();
        let members = known.members.values().flatten();
        let here = members.filter(|(name, at)| *at == ip && known.me.as_ref() != Some(name));
        let names: BTreeSet<&String> = here.map(|(name, _)| name).collect();
        names.into_iter().cloned().collect()
    }

    /// The names that begin with `start`, in whatever case, as in a mention.
    pub(crate) fn beginning_with(&self, start: &str) -> Vec<String> {
        let known = self.lock();
        let others = known.others.iter();
        let start = start.to_lowercase();
        others
            .filter(|name| name.to_lowercase().starts_with(&start) && is_harmless(name))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_others_who_are_in_our_topics_now_are_at_an_address() {
        let people = People::default();
        people.set_me("alice");
        people.join("t");
        people.join("u");
        for (topic, name) in [("t", "alice"), ("t", "bob"), ("u", "bob"), ("v", "eve")] {
            people.add_member(topic, name, "10.0.0.1");
        }
        people.add_member("t", "dave", "10.0.0.2");
        assert_eq!(people.at("10.0.0.1"), ["bob"]);
        people.set_members(
            "u",
            [("bob", "10.0.0.1"), ("carol", "10.0.0.1")].into_iter(),
        );
        // He is still in the other topic.
        people.remove_member("t", "bob");
        assert_eq!(people.at("10.0.0.1"), ["bob", "carol"]);
        people.remove_member("u", "bob");
        assert_eq!(people.at("10.0.0.1"), ["carol"]);
        people.leave("u");
        assert_eq!(people.at("10.0.0.1"), [""; 0]);
        // The name of somebody who is gone can be completed all the same.
        assert_eq!(people.beginning_with("bo"), ["bob"]);
    }

    #[test]
    fn a_list_of_members_replaces_what_was_known() {
        let people = People::default();
        people.join("t");
        people.add_member("t", "bob", "10.0.0.1");
        people.set_members("t", [("bobby", "10.0.0.1")].into_iter());
        assert_eq!(people.at("10.0.0.1"), ["bobby"]);
        people.set_me("bobby");
        assert_eq!(people.at("10.0.0.1"), [""; 0]);
    }
}
