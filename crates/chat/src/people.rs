//! Who is known to be here, who we are, and who calls.
//!
//! Filled by whoever hears of people; read by what completes names and tells a
//! mention of ours. Each holds it for a moment and never waits.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sanitize::push_name;

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
    /// Who calls us, and waits to be let through.
    caller: Option<String>,
    /// A call has ended since that was asked last.
    call_ended: bool,
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

    /// Somebody calls, or nobody does any more.
    pub(crate) fn call_from(&self, caller: Option<&str>) {
        self.lock().caller = caller.map(Into::into);
    }

    /// Who calls.
    pub(crate) fn caller(&self) -> Option<String> {
        self.lock().caller.clone()
    }

    /// The call has ended, or came to nothing.
    pub(crate) fn end_call(&self) {
        self.lock().call_ended = true;
    }

    /// True if a call has ended since this was asked last.
    pub(crate) fn has_call_ended(&self) -> bool {
        std::mem::take(&mut self.lock().call_ended)
    }

    /// Those whose names begin so.
    pub(crate) fn beginning_with(&self, start: &str) -> Vec<String> {
        let known = self.lock();
        let others = known.others.iter();
        others
            .filter(|name| name.starts_with(start) && is_harmless(name))
            .cloned()
            .collect()
    }
}
