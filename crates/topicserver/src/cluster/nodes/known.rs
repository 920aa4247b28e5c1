//! What is known of the other servers.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::heartbeat::{Heartbeat, State};
use super::node::NodeId;

/// A server that isn't heard of for so long is dead.
pub(super) const SILENCE: Duration = Duration::from_secs(3);

/// For how long it is known that a server is dead, so that what it has said before, and arrives
/// later, doesn't bring it back.
const MEMORY: Duration = Duration::from_secs(60);

/// The pause between two complaints in the log.
const COMPLAINT: Duration = Duration::from_secs(60);

/// The other servers, by the number of their run.
#[derive(Default)]
pub(super) struct Known {
    nodes: BTreeMap<NodeId, Entry>,
    last_complaint: Option<Instant>,
}

struct Entry {
    /// What it has said last.
    last: Heartbeat,
    heard: Instant,
    lives: bool,
}

/// What is new of another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum News {
    None,
    Joined,
    Changed,
}

impl Known {
    pub(super) fn take(&mut self, heard: Heartbeat) -> News {
        let now = Instant::now();
        if self.is_replaced(&heard) {
            return News::None;
        }
        let lives = heard.state != State::Gone;
        let Some(known) = self.nodes.get_mut(&heard.id) else {
            if lives {
                self.end_earlier_runs(&heard);
            }
            let id = heard.id;
            let entry = Entry {
                last: heard,
                heard: now,
                lives,
            };
            self.nodes.insert(id, entry);
            return if lives { News::Joined } else { News::None };
        };
        // It was said before what is known already. Nothing is said after the end.
        if heard.number <= known.last.number || known.last.state == State::Gone {
            return News::None;
        }
        let news = match (known.lives, lives) {
            (false, true) => News::Joined,
            (false, false) => News::None,
            (true, true) if known.last.is_like(&heard) => News::None,
            (true, _) => News::Changed,
        };
        *known = Entry {
            last: heard,
            heard: now,
            lives,
        };
        news
    }

    /// Whether there is a later run of the same server.
    fn is_replaced(&self, heard: &Heartbeat) -> bool {
        let order = |heartbeat: &Heartbeat| (heartbeat.started, heartbeat.id);
        let mut nodes = self.nodes.values();
        nodes.any(|known| known.last.name == heard.name && order(&known.last) > order(heard))
    }

    /// A server was started anew: its earlier runs are over.
    fn end_earlier_runs(&mut self, heard: &Heartbeat) {
        for known in self.nodes.values_mut() {
            if known.last.name == heard.name {
                known.last.state = State::Gone;
                known.lives = false;
            }
        }
    }

    /// Takes all others to have been heard of so much later.
    pub(super) fn excuse(&mut self, time: Duration, now: Instant) {
        for known in self.nodes.values_mut() {
            known.heard = now.min(known.heard + time);
        }
    }

    /// Returns whether a server is taken for dead that wasn't before.
    pub(super) fn forget_silent(&mut self, now: Instant) -> bool {
        let mut has_changed = false;
        self.nodes.retain(|_, known| {
            let silence = now.saturating_duration_since(known.heard);
            if known.lives && silence >= SILENCE {
                known.lives = false;
                has_changed = true;
            }
            known.lives || silence < MEMORY
        });
        has_changed
    }

    /// The servers that live.
    pub(super) fn living(&self) -> Vec<&Heartbeat> {
        let living = self.nodes.values().filter(|known| known.lives);
        living.map(|known| &known.last).collect()
    }

    /// Whether the last complaint is long ago.
    pub(super) fn is_first_complaint(&mut self) -> bool {
        let now = Instant::now();
        let is_first = self
            .last_complaint
            .is_none_or(|last| now - last >= COMPLAINT);
        if is_first {
            self.last_complaint = Some(now);
        }
        is_first
    }
}
