//! The writer's own work besides requests, and how far it has come.

use std::time::{Duration, Instant};

use crate::store::types::TopicId;

/// Time between two checks for unused topics in memory.
pub(super) const FORGET_PERIOD: Duration = Duration::from_secs(10 * 60);

/// Time between two checks whether space should be returned, or has been.
pub(super) const RECLAIM_PERIOD: Duration = Duration::from_secs(1);

/// The chores, and how far they have come.
pub(crate) struct Chores {
    /// The next topic to survey after the start, or after other limits; `None` when all have been surveyed.
    pub(in crate::store) survey: Option<u32>,
    /// When topics in memory are next checked.
    pub(in crate::store) forget_due: Instant,
    /// When it is next checked whether space should be returned.
    pub(super) reclaim_due: Instant,
    /// Bytes that are kept by all topics surveyed so far.
    pub(super) kept: u64,
    /// Bytes that were deleted since the last merge for returning space.
    pub(super) deleted: u64,
    /// Bytes that were written since the last check.
    pub(super) written: u64,
    /// Merged files may still be there, because a reader was using them.
    pub(super) has_replaced_files: bool,
}

impl Chores {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            survey: Some(0),
            forget_due: now + FORGET_PERIOD,
            reclaim_due: now + RECLAIM_PERIOD,
            kept: 0,
            deleted: 0,
            written: 0,
            has_replaced_files: false,
        }
    }

    /// Begins the survey anew, which finds out again how much is kept.
    pub(super) fn survey_again(&mut self) {
        self.survey = Some(0);
        self.kept = 0;
        self.deleted = 0;
    }

    /// Notes that this many bytes were written to a topic.
    pub(in crate::store) fn note_written(&mut self, topic: TopicId, bytes: u64) {
        self.written += bytes;
        // The survey counts the others when it comes to them.
        if self.survey.is_none_or(|next| topic.0 < next) {
            self.kept += bytes;
        }
    }

    pub(super) fn note_deleted(&mut self, bytes: u64) {
        self.kept = self.kept.saturating_sub(bytes);
        self.deleted += bytes;
    }
}
