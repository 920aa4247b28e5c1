//! What goes wrong, and how often.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::chance::Chance;

/// How probable each fault is, for each operation, and how long things take. By default there are
/// none, and everything takes 1 ms each way.
#[derive(Clone, Debug)]
pub struct Faults {
    /// How long a message is on its way, to the log or to another server.
    pub delay: RangeInclusive<Duration>,
    /// A message takes as long as `late`, and others pass it.
    pub slow: f64,
    /// How long something takes that is late.
    pub late: RangeInclusive<Duration>,
    /// After how long the log is taken not to answer.
    pub patience: Duration,

    /// An append is carried out, and its answer is lost.
    pub lost_answer: f64,
    /// An append doesn't reach the log.
    pub lost_append: f64,
    /// An append is carried out, or fails, `late` after it was said that nothing is known of it.
    pub late_append: f64,
    /// The log is busy with another append.
    pub busy: f64,
    /// An append is taken although another one behind the same record was, as nats-server 2.9 does.
    pub forked: f64,
    /// A question to the log isn't answered.
    pub lost_read: f64,
    /// A question is answered by a server of the log that lacks the newest records.
    pub stale_read: f64,
    /// A read gives less than was asked for.
    pub short_read: f64,

    /// A record isn't on a feed.
    pub feed_lost: f64,
    /// A record is on a feed twice.
    pub feed_doubled: f64,
    /// A feed is interrupted, in the place of a record.
    pub feed_interrupted: f64,

    /// A message to another server is lost, and so is a request.
    pub bus_lost: f64,
    /// A message to another server arrives twice.
    pub bus_doubled: f64,
    /// A request is carried out, and its answer is lost.
    pub bus_lost_answer: f64,
    /// A request is said to have no receiver although it has one.
    pub bus_nobody: f64,
}

/// What becomes of an append whose fate isn't left to chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out and answered.
    Good,
    /// It isn't carried out, because another one is.
    Busy,
    /// It is carried out, and its answer is lost.
    LostAnswer,
    /// It isn't carried out, and nothing is known of it.
    Lost,
    /// Nothing is known of it; this long afterwards it is carried out.
    Late(Duration),
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(1)..=Duration::from_millis(1),
            slow: 0.0,
            late: Duration::from_millis(100)..=Duration::from_secs(8),
            patience: Duration::from_secs(2),
            lost_answer: 0.0,
            lost_append: 0.0,
            late_append: 0.0,
            busy: 0.0,
            forked: 0.0,
            lost_read: 0.0,
            stale_read: 0.0,
            short_read: 0.0,
            feed_lost: 0.0,
            feed_doubled: 0.0,
            feed_interrupted: 0.0,
            bus_lost: 0.0,
            bus_doubled: 0.0,
            bus_lost_answer: 0.0,
            bus_nobody: 0.0,
        }
    }
}

impl Faults {
    /// Faults that this seed chooses: of each kind none, few, or many.
    #[must_use]
    pub fn by_seed(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 1);
        let mut some = |few: f64, many: f64| match chance.below(3) {
            0 => 0.0,
            1 => few,
            _ => many,
        };
        let mut faults = Self {
            slow: some(0.002, 0.02),
            lost_answer: some(0.01, 0.1),
            lost_append: some(0.01, 0.1),
            late_append: some(0.01, 0.1),
            busy: some(0.02, 0.3),
            lost_read: some(0.01, 0.05),
            stale_read: some(0.02, 0.3),
            short_read: some(0.05, 0.5),
            feed_lost: some(0.01, 0.3),
            feed_doubled: some(0.01, 0.3),
            feed_interrupted: some(0.01, 0.1),
            bus_lost: some(0.01, 0.1),
            bus_doubled: some(0.01, 0.1),
            bus_lost_answer: some(0.01, 0.1),
            bus_nobody: some(0.005, 0.05),
            ..Self::default()
        };
        let slowest = [1, 5, 40][chance.below(3) as usize];
        faults.delay = Duration::ZERO..=Duration::from_millis(slowest);
        faults
    }

    pub(super) fn fate(&self, chance: &mut Chance) -> Fate {
        let kinds = [
            (self.busy, Fate::Busy),
            (self.lost_answer, Fate::LostAnswer),
            (self.lost_append, Fate::Lost),
            (self.late_append, Fate::Late(chance.within(&self.late))),
        ];
        let fate = kinds.map(|(probability, fate)| chance.happens(probability).then_some(fate));
        fate.into_iter().flatten().next().unwrap_or(Fate::Good)
    }

    /// How long a message is on its way, and whether others may pass it.
    pub(super) fn way(&self, chance: &mut Chance) -> (Duration, bool) {
        let is_slow = chance.happens(self.slow);
        let (delay, late) = (chance.within(&self.delay), chance.within(&self.late));
        (if is_slow { late } else { delay }, is_slow)
    }
}
