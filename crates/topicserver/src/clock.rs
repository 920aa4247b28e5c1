//! Time. Windows and deadlines use the monotonic clock. The system's wall clock may be wrong
//! and may be set, so it is only a stamp; deletion for age uses it after it has agreed with
//! the monotonic clock for some minutes. No other file reads the wall clock (`clippy.toml`).

pub(crate) mod civil;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// How far the two clocks may drift apart and still agree, in milliseconds. A time server
/// slews smaller errors away, which moves both.
const TOLERANCE: u64 = 1000;

/// How far a stamp may be from the wall clock, in milliseconds. Below that it goes on with
/// the monotonic clock, so that the stamp of a message is the same whenever it is computed.
const STAMP_TOLERANCE: u64 = 20;

/// Two clocks are read at the same moment if no more time passed between.
const NEAR: Duration = Duration::from_millis(1);

/// How often reading both at the same moment is tried.
const TRIES: u32 = 4;

/// The two clocks must agree in this many readings before the wall clock is trusted.
const READINGS: u32 = 3;

/// A wall clock before 2025 is wrong: machines without a battery start in 1970. In milliseconds
/// since the Unix epoch.
const EARLIEST: u64 = 1_735_689_600_000;

/// Corrections that are remembered: more than any machine needs to find the right time.
const CORRECTIONS: usize = 32;

/// Time between two log lines about the clock, in milliseconds.
const LOG_PERIOD: u64 = 60_000;

/// The source of time. Tests use one that they can set.
pub trait TimeSource: Send + Sync + 'static {
    /// The wall clock: time since the Unix epoch; 0 before it.
    fn wall(&self) -> Duration;

    /// Time since some fixed moment, which nobody can set.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the system.
pub struct SystemClocks;

impl TimeSource for SystemClocks {
    fn wall(&self) -> Duration {
        date().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        // This clock goes on while the machine sleeps. Otherwise each sleep would look like a
        // jump of the wall clock.
        #[cfg(target_os = "linux")]
        let clock = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

/// The date, for the head of an HTTP answer.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub(crate) fn date() -> SystemTime {
    SystemTime::now()
}

/// The server's clock. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Inner>);

struct Inner {
    source: Arc<dyn TimeSource>,
    /// For how long the clocks must agree, in milliseconds.
    trust_after: u64,
    /// The readings of both clocks at the start.
    start: (Duration, Duration),
    state: Mutex<State>,
}

/// The times of one moment, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// For people: the wall clock, since the Unix epoch.
    pub(crate) stamp: u64,
    /// For stored messages: the wall clock without its jumps, once it is trusted; before that,
    /// the wall clock.
    pub(crate) index: u64,
    /// For windows and deadlines: begins with the wall clock at the start, and goes on with the
    /// monotonic clock.
    pub(crate) elapsed: u64,
}

/// What is known about the wall clock. Offsets are its distance from `elapsed`.
struct State {
    /// The offset of stamps.
    stamp_offset: i64,
    /// The offset of the index.
    index_offset: i64,
    /// The wall clock has agreed with the monotonic one for long enough, at `index_offset`.
    is_trusted: bool,
    candidate: Candidate,
    /// The corrections, oldest first.
    corrections: Vec<Correction>,
    /// When a jump was logged last.
    logged: Option<u64>,
}

/// A correction of indexes that were given while the clock was wrong: it was wrong at the start,
/// and was set later. Corrections are applied one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Correction {
    /// From this index on,
    pub(crate) from: u64,
    /// up to this one,
    pub(crate) to: u64,
    /// this has to be added.
    pub(crate) shift: i64,
}

/// A new offset of the wall clock that may prove right.
struct Candidate {
    offset: i64,
    /// Since when it holds, in `elapsed`.
    since: u64,
    readings: u32,
}

impl Clock {
    /// A clock that trusts the wall clock when it has agreed with the monotonic one for
    /// `trust_after`; with zero, at once.
    pub(crate) fn new(source: Arc<dyn TimeSource>, trust_after: Duration) -> Self {
        let (wall, monotonic) = read_both(&*source);
        let start = (wall.unwrap_or_else(|| source.wall()), monotonic);
        let clock = Self(Arc::new(Inner {
            trust_after: milliseconds(trust_after),
            state: Mutex::new(State {
                stamp_offset: 0,
                index_offset: 0,
                is_trusted: false,
                candidate: Candidate {
                    offset: 0,
                    since: milliseconds(start.0),
                    readings: 0,
                },
                corrections: Vec::new(),
                logged: None,
            }),
            source,
            start,
        }));
        clock.read();
        clock
    }

    /// The current times.
    pub(crate) fn read(&self) -> Reading {
        self.read_with(|_| ()).0
    }

    /// The time by which messages may be deleted for their age; `None` as long as the wall
    /// clock isn't trusted. It never follows a jump that the clock may still take back.
    pub(crate) fn trusted(&self) -> Option<u64> {
        let (reading, is_trusted) = self.read_with(|state| state.is_trusted);
        is_trusted.then_some(reading.index)
    }

    /// The corrections of indexes that are known now.
    pub(crate) fn corrections(&self) -> Vec<Correction> {
        self.read_with(|state| state.corrections.clone()).1
    }

    /// Adds the corrections that were known before the start.
    pub(crate) fn restore(&self, corrections: Vec<Correction>) {
        self.0.state.lock().corrections.splice(..0, corrections);
    }

    /// Reads the clocks from time to time, so that a jump is noticed when nothing happens.
    pub(crate) async fn watch(&self) {
        let period = Duration::from_millis((self.0.trust_after / 10).clamp(100, 30_000));
        loop {
            tokio::time::sleep(period).await;
            self.read();
        }
    }

    fn read_with<T>(&self, look: impl FnOnce(&State) -> T) -> (Reading, T) {
        let Inner { source, start, .. } = &*self.0;
        let mut state = self.0.state.lock();
        let (wall, monotonic) = read_both(&**source);
        let elapsed = milliseconds(start.0 + monotonic.saturating_sub(start.1));
        if let Some(wall) = wall {
            let began = milliseconds(start.0);
            state.update(milliseconds(wall), began, elapsed, self.0.trust_after);
        }
        // While the clocks agree, both offsets are the same.
        let is_near = state.stamp_offset.abs_diff(state.index_offset) <= TOLERANCE;
        let index_offset = match is_near {
            true => state.stamp_offset,
            false => state.index_offset,
        };
        let reading = Reading {
            stamp: elapsed.saturating_add_signed(state.stamp_offset),
            index: elapsed.saturating_add_signed(index_offset),
            elapsed,
        };
        (reading, look(&state))
    }
}

impl Reading {
    /// The value of `elapsed` when the index was `index`, which may be before the start. A time
    /// in the future counts as now.
    pub(crate) fn elapsed_at(&self, index: u64) -> u64 {
        let age = self.index.saturating_sub(index);
        self.elapsed.saturating_sub(age)
    }

    /// The stamp of a message that came at `elapsed`, by the present state of the clock.
    pub(crate) fn stamp_of(&self, elapsed: u64) -> u64 {
        let age = self.elapsed.saturating_sub(elapsed);
        self.stamp.saturating_sub(age)
    }

    /// The index of a message that comes after one with the index `before`. It doesn't go back by
    /// less than the tolerance of the clocks.
    pub(crate) fn index_after(&self, before: u64) -> u64 {
        match before.checked_sub(self.index) {
            Some(back) if back <= TOLERANCE => before,
            _ => self.index,
        }
    }
}

impl State {
    fn update(&mut self, wall: u64, began: u64, elapsed: u64, trust_after: u64) {
        let offset = wall.cast_signed().wrapping_sub(elapsed.cast_signed());
        if offset.abs_diff(self.stamp_offset) > STAMP_TOLERANCE {
            self.stamp_offset = offset;
        }
        if offset.abs_diff(self.candidate.offset) > TOLERANCE {
            self.note_jump(offset, elapsed, trust_after);
            self.candidate = Candidate {
                offset,
                since: elapsed,
                readings: 0,
            };
        }
        let candidate = &mut self.candidate;
        candidate.readings = candidate.readings.saturating_add(1);
        if !is_plausible(wall) {
            return;
        }
        let has_agreed = elapsed.saturating_sub(candidate.since) >= trust_after;
        if has_agreed && (candidate.readings >= READINGS || trust_after == 0) {
            self.index_offset = candidate.offset;
            self.is_trusted = true;
        } else if !self.is_trusted {
            // No better clock is known yet, and the indexes given before were wrong.
            self.correct(began, elapsed);
        }
    }

    /// Follows a jump of a clock that was never trusted.
    fn correct(&mut self, began: u64, elapsed: u64) {
        let offset = self.candidate.offset;
        let shift = offset.wrapping_sub(self.index_offset);
        if shift == 0 {
            return;
        }
        if self.corrections.len() == CORRECTIONS {
            self.corrections.remove(0);
        }
        self.corrections.push(Correction {
            from: began.saturating_add_signed(self.index_offset),
            to: elapsed.saturating_add_signed(self.index_offset),
            shift,
        });
        self.index_offset = offset;
    }

    fn note_jump(&mut self, offset: i64, elapsed: u64, trust_after: u64) {
        let is_due = |logged| elapsed.saturating_sub(logged) >= LOG_PERIOD;
        if !self.logged.is_none_or(is_due) {
            return;
        }
        self.logged = Some(elapsed);
        let seconds = offset.wrapping_sub(self.candidate.offset) / 1000;
        let trust_after = trust_after / 1000;
        tracing::warn!(
            "the system's clock jumped by {seconds} s; no message is deleted for its age by \
             the new time before the clock has kept it for {trust_after} s"
        );
    }
}

/// Reads both clocks at nearly the same moment. The thread may be suspended in between; if that
/// happens at each try, there is no reading of the wall clock.
fn read_both(source: &dyn TimeSource) -> (Option<Duration>, Duration) {
    let mut before = source.monotonic();
    for _ in 0..TRIES {
        let wall = source.wall();
        let after = source.monotonic();
        if after.saturating_sub(before) <= NEAR {
            return (Some(wall), after);
        }
        before = after;
    }
    (None, before)
}

/// Whether a time is plausible.
pub(crate) fn is_plausible(index: u64) -> bool {
    index >= EARLIEST
}

/// An index with all known corrections.
pub(crate) fn corrected(index: u64, corrections: &[Correction]) -> u64 {
    corrections.iter().fold(index, |index, correction| {
        match (correction.from..=correction.to).contains(&index) {
            true => index.saturating_add_signed(correction.shift),
            false => index,
        }
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
