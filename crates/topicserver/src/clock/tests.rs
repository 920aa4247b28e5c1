//! A clock that tests can set, and the tests of the server's clock.

use super::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The wall clock of a test at its start.
const START: u64 = EARLIEST + 500 * DAY;

/// Clocks that stand still until a test moves them.
pub(crate) struct TestClocks {
    times: Mutex<(Duration, Duration)>,
}

impl TestClocks {
    pub(crate) fn new(wall: u64) -> Arc<Self> {
        let times = (Duration::from_millis(wall), Duration::from_secs(77));
        Arc::new(Self {
            times: Mutex::new(times),
        })
    }

    /// Time passes.
    pub(crate) fn pass(&self, milliseconds: u64) {
        let mut times = self.times.lock();
        times.0 += Duration::from_millis(milliseconds);
        times.1 += Duration::from_millis(milliseconds);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn jump(&self, milliseconds: i64) {
        let mut times = self.times.lock();
        let wall = times.0.as_millis() as u64;
        times.0 = Duration::from_millis(wall.saturating_add_signed(milliseconds));
    }
}

impl TimeSource for TestClocks {
    fn wall(&self) -> Duration {
        self.times.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.times.lock().1
    }
}

impl Clock {
    /// The system's clocks, trusted at once.
    pub(crate) fn for_tests() -> Self {
        Self::new(Arc::new(SystemClocks), Duration::ZERO)
    }
}

/// A clock that needs five minutes, and its hands.
fn clock(wall: u64) -> (Clock, Arc<TestClocks>) {
    let clocks = TestClocks::new(wall);
    let clock = Clock::new(clocks.clone(), Duration::from_millis(5 * MINUTE));
    (clock, clocks)
}

/// Minutes pass in which the clock is read.
fn minutes(clock: &Clock, clocks: &TestClocks, minutes: u64) {
    for _ in 0..minutes * 2 {
        clocks.pass(MINUTE / 2);
        clock.read();
    }
}

#[test]
fn a_clock_is_trusted_when_it_has_agreed_for_some_minutes() {
    let (clock, clocks) = clock(START);
    assert_eq!(clock.trusted(), None);
    minutes(&clock, &clocks, 4);
    assert_eq!(clock.trusted(), None);
    minutes(&clock, &clocks, 1);
    assert_eq!(clock.trusted(), Some(START + 5 * MINUTE));
}

#[test]
fn two_readings_are_not_enough() {
    let (clock, clocks) = clock(START);
    clocks.pass(DAY);
    assert_eq!(clock.trusted(), None, "nobody looked meanwhile");
    clocks.pass(1);
    assert_eq!(clock.trusted(), Some(START + DAY + 1));
}

#[test]
fn a_short_jump_is_a_stamp_and_nothing_else() {
    let (clock, clocks) = clock(START);
    minutes(&clock, &clocks, 5);
    for jump in [40 * DAY as i64, -(40 * DAY as i64)] {
        let before = clock.read();
        clocks.jump(jump);
        clocks.pass(1500);
        let during = clock.read();
        assert_eq!(
            during.stamp,
            (before.stamp + 1500).saturating_add_signed(jump)
        );
        assert_eq!(during.index, before.index + 1500);
        assert_eq!(during.elapsed, before.elapsed + 1500);
        assert_eq!(clock.trusted(), Some(during.index));
        clocks.jump(-jump);
        assert_eq!(clock.read().stamp, before.stamp + 1500);
    }
}

#[test]
fn a_jump_that_lasts_is_followed_after_some_minutes() {
    for jump in [2 * HOUR as i64, -(2 * HOUR as i64)] {
        let (clock, clocks) = clock(START);
        minutes(&clock, &clocks, 6);
        clocks.jump(jump);
        minutes(&clock, &clocks, 5);
        assert_eq!(clock.trusted(), Some(START + 11 * MINUTE));
        minutes(&clock, &clocks, 1);
        let expected = (START + 12 * MINUTE).saturating_add_signed(jump);
        assert_eq!(clock.trusted(), Some(expected));
        assert_eq!(clock.read().elapsed, START + 12 * MINUTE);
    }
}

#[test]
fn a_clock_that_keeps_jumping_is_never_followed() {
    let (clock, clocks) = clock(START);
    minutes(&clock, &clocks, 5);
    for minute in 0..60 {
        clocks.jump(if minute % 2 == 0 {
            HOUR as i64
        } else {
            -(HOUR as i64)
        });
        minutes(&clock, &clocks, 1);
    }
    clocks.jump(3 * MINUTE as i64);
    // One that runs twice as fast as it should.
    for _ in 0..600 {
        clocks.jump(1000);
        clocks.pass(1000);
        clock.read();
    }
    assert_eq!(clock.trusted(), Some(START + 75 * MINUTE));
}

#[test]
fn a_machine_that_starts_with_a_wrong_clock_is_corrected() {
    for wrong in [5000, START - 300 * DAY, START + 5000 * DAY] {
        let (clock, clocks) = clock(wrong);
        minutes(&clock, &clocks, 3);
        clocks.jump((START as i64) - (wrong as i64));
        clocks.pass(1);
        let corrected = START + 3 * MINUTE + 1;
        assert_eq!(clock.read().index, corrected);
        minutes(&clock, &clocks, 4);
        assert_eq!(clock.trusted(), None);
        minutes(&clock, &clocks, 1);
        assert_eq!(clock.trusted(), Some(corrected + 5 * MINUTE));
    }
}

#[test]
fn what_was_given_under_a_wrong_clock_is_corrected() {
    let (clock, clocks) = clock(5000);
    let first = clock.read().index;
    for jump in [START as i64 - 5000, 2 * HOUR as i64, -(2 * HOUR as i64)] {
        clocks.pass(1000);
        clock.read();
        clocks.jump(jump);
        let now = clock.read();
        let corrections = clock.corrections();
        let meant = now.index - (now.elapsed - 5000);
        assert_eq!(corrected(first, &corrections), meant);
        assert_eq!(corrected(now.index, &corrections), now.index);
    }
    let (other, _) = self::clock(START + DAY);
    other.restore(clock.corrections());
    assert_eq!(corrected(first, &other.corrections()), START);
}

#[test]
fn a_clock_in_1970_is_never_trusted() {
    let (clock, clocks) = clock(0);
    minutes(&clock, &clocks, 60);
    assert_eq!(clock.trusted(), None);
}

#[test]
fn the_stamp_of_a_message_stays_the_same() {
    let (clock, clocks) = clock(START);
    let first = clock.read();
    clocks.jump(3);
    minutes(&clock, &clocks, 1);
    assert_eq!(clock.read().stamp_of(first.elapsed), first.stamp);
}

#[test]
fn what_was_kept_before_the_start_has_its_age() {
    let (clock, _) = clock(START);
    let now = clock.read();
    assert_eq!(now.elapsed_at(now.index - 1000), now.elapsed - 1000);
    assert_eq!(now.elapsed_at(now.index + HOUR), now.elapsed);
    assert_eq!(now.index_after(now.index + 500), now.index + 500);
    assert_eq!(now.index_after(now.index + HOUR), now.index);
}
