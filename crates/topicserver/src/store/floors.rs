//! Where the history of each topic begins, for the database's threads. When they merge
//! tables, they leave out earlier records.
//!
//! So deleting costs one note for a topic and not one for each record, and what has
//! been deleted is never read again. A floor is set when the catalogue's note of it is
//! durable, never before: after a crash the catalogue must not name deleted messages.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};
use parking_lot::RwLock;

use super::record;
use super::types::TopicId;

/// The oldest sequence number of each topic of which something was deleted since the
/// start. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct Floors(Arc<AssertUnwindSafe<RwLock<HashMap<TopicId, u64>>>>);

impl Floors {
    /// The topic no longer needs anything before `first`.
    pub(crate) fn raise(&self, topic: TopicId, first: u64) {
        let mut floors = self.0.write();
        let floor = floors.entry(topic).or_default();
        *floor = first.max(*floor);
    }

    /// Stalls the database's threads for as long as the result is kept, when they merge.
    #[cfg(test)]
    pub(crate) fn stall(&self) -> parking_lot::RwLockWriteGuard<'_, HashMap<TopicId, u64>> {
        self.0.write()
    }

    /// The topic's oldest sequence number; 0 if it is unknown.
    fn of(&self, topic: TopicId) -> u64 {
        self.0.read().get(&topic).copied().unwrap_or(0)
    }
}

impl Factory for Floors {
    fn name(&self) -> &'static str {
        "history before the floor"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(BeforeFloor {
            floors: self.clone(),
            topic: TopicId(0),
            floor: 0,
        })
    }
}

/// Drops records before the floors. Keys come in their order, so that a topic is looked up once.
struct BeforeFloor {
    floors: Floors,
    topic: TopicId,
    floor: u64,
}

impl CompactionFilter for BeforeFloor {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let Ok((topic, seq)) = record::place_of(item.key()) else {
            return Ok(Verdict::Keep);
        };
        if topic != self.topic {
            (self.topic, self.floor) = (topic, self.floors.of(topic));
        }
        Ok(match seq < self.floor {
            // Nothing that lies before the floor is ever written again.
            true => Verdict::Destroy,
            false => Verdict::Keep,
        })
    }
}
