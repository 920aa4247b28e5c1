//! Where a topic begins after it was trimmed to its limits. A message is deleted for its age only
//! by a trusted clock, and only with all messages before it.

use crate::clock::{Correction, corrected, is_plausible};
use crate::store::catalogue;
use crate::store::database::Tables;
use crate::store::error::StoreError;
use crate::store::record::Header;
use crate::store::timeline::Span;
use crate::store::topic::{Extent, Oldest, RetentionLimits};
use crate::store::types::TopicId;

/// Milliseconds: a message that is further in the future has a wrong time.
const FUTURE: u64 = 60_000;

/// The limits of a topic at one moment.
pub(super) struct Limit<'a> {
    pub(super) limits: &'a RetentionLimits,
    /// The time by a trusted clock. With `None` nothing is deleted for its age.
    pub(super) now: Option<u64>,
    pub(super) corrections: &'a [Correction],
}

/// What is known of a record's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Young,
    TooOld,
    /// Its time is wrong. It is deleted when something after it is too old.
    Unknown,
}

/// The first record that is kept.
struct Kept {
    seq: u64,
    oldest: Oldest,
    age: Age,
}

impl Limit<'_> {
    /// Whether a topic that begins with the message `first` exceeds its limits.
    pub(super) fn is_exceeded(&self, extent: &Extent, first: u64) -> bool {
        extent.oldest.is_some_and(|oldest| {
            self.age_of(oldest.time) == Age::TooOld
                || extent.next - first > self.limits.messages
                || extent.total - oldest.before > self.limits.bytes
        })
    }

    /// Where a trimmed topic begins, and its oldest record then.
    pub(super) fn begin(
        &self,
        tables: &Tables,
        id: TopicId,
        extent: &Extent,
        span: &Span,
    ) -> Result<(u64, Option<Oldest>), StoreError> {
        let mut kept: Option<Kept> = None;
        for (begin, end) in span.rises() {
            let Some(found) = self.begin_within(tables, id, extent, (begin, end))? else {
                kept = None;
                continue;
            };
            let age = found.age;
            // No earlier record is younger than those deleted here.
            if found.seq > begin || kept.is_none() {
                kept = Some(found);
            }
            if age != Age::Unknown {
                break;
            }
        }
        Ok(match kept {
            Some(kept) => (kept.seq, Some(kept.oldest)),
            None => (extent.next, None),
        })
    }

    /// The first record that is kept in a part of the topic in which times rise. A binary search
    /// finds it, because each record says how many bytes were before it.
    fn begin_within(
        &self,
        tables: &Tables,
        id: TopicId,
        extent: &Extent,
        (begin, end): (u64, u64),
    ) -> Result<Option<Kept>, StoreError> {
        // It begins in `low..=high`.
        let (mut low, mut high) = (begin, end);
        let mut kept = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let found = catalogue::readable_at(tables, id, low, middle)?;
            let Some((seq, header, len)) = found else {
                low = middle + 1;
                continue;
            };
            let age = self.age_of(header.time);
            if age == Age::TooOld || self.is_too_much(extent, seq, &header, len) {
                low = (seq + u64::from(header.messages)).max(middle + 1);
            } else {
                high = seq;
                let oldest = Oldest {
                    time: header.time,
                    before: header.total.saturating_sub(len),
                };
                kept = Some(Kept { seq, oldest, age });
            }
        }
        Ok(kept)
    }

    /// Whether the oldest record of a topic exceeds the limits.
    fn is_too_much(&self, extent: &Extent, seq: u64, header: &Header, len: u64) -> bool {
        let end = seq + u64::from(header.messages);
        let newer = extent.next.saturating_sub(end);
        let bytes = (extent.total + len).saturating_sub(header.total);
        // The newest record stays, however large it is.
        newer >= self.limits.messages || (newer > 0 && bytes > self.limits.bytes)
    }

    fn age_of(&self, time: u64) -> Age {
        let Some(now) = self.now else {
            return Age::Unknown;
        };
        // Corrections never make a record older than its own time.
        let time = corrected(time, self.corrections).max(time);
        if !is_plausible(time) || time > now.saturating_add(FUTURE) {
            Age::Unknown
        } else if time.saturating_add(self.limits.age) < now {
            Age::TooOld
        } else {
            Age::Young
        }
    }
}
