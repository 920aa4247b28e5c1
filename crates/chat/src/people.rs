//! Who is known to be here, and who we are.
//!
//! Filled by whoever hears of people; read by what completes names and tells a
//! mention of ours. Each holds it for a moment and never waits.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names that are remembered: more than anybody completes. Beyond it, whoever is
/// new is not.
const MOST: usize = 1_000;

/// A handle to them; each clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct People(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    me: Option<String>,
    others: BTreeSet<String>,
}

impl People {
    fn lock(&self) -> MutexGuard<'_, Known> {
        // Each change is one step, so that nothing half done is ever seen.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are, or were, here.
    pub(crate) fn know(&self, names: &[&str]) {
        let mut known = self.lock();
        for name in names {
            let is_new = !known.others.contains(*name) && known.me.as_deref() != Some(name);
            if is_new && known.others.len() < MOST {
                known.others.insert((*name).into());
            }
        }
    }

    /// This is what we are called: true if that is new.
    pub(crate) fn call_me(&self, name: &str) -> bool {
        let before = self.lock().me.replace(name.into());
        before.as_deref() != Some(name)
    }

    /// What we are called.
    pub(crate) fn me(&self) -> Option<String> {
        self.lock().me.clone()
    }

    /// Those whose names begin so.
    pub(crate) fn beginning_with(&self, start: &str) -> Vec<String> {
        let known = self.lock();
        let others = known.others.iter();
        others
            .filter(|name| name.starts_with(start))
            .cloned()
            .collect()
    }
}
