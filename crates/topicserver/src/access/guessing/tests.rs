//! Who guesses, from one place or from many, and who doesn't.

use super::*;

struct Clock {
    guessing: Arc<Guessing>,
    now: Instant,
}

impl Clock {
    fn new() -> Self {
        Self {
            guessing: Arc::default(),
            now: Instant::now(),
        }
    }

    fn begin(&self, from: &str, account: &str) -> Result<Attempt, u64> {
        let begun = self
            .guessing
            .begin(from.parse().unwrap(), account, self.now);
        begun.map_err(|error| error.seconds())
    }

    /// How long a try has to wait, which fails if it hasn't.
    fn fail(&self, from: &str, account: &str) -> Result<(), u64> {
        self.begin(from, account).map(Attempt::failed)
    }

    fn succeed(&self, from: &str, account: &str) -> Result<(), u64> {
        self.begin(from, account)
            .map(|attempt| attempt.succeeded(self.now))
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

const HOME: &str = "203.0.113.9";

#[test]
fn ten_failures_are_free_and_then_the_wait_doubles_up_to_a_minute() {
    let mut clock = Clock::new();
    for _ in 0..FREE_FAILURES {
        assert_eq!(clock.fail(HOME, "alice"), Ok(()));
    }
    for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        assert_eq!(clock.fail(HOME, "alice"), Err(wait));
        clock.wait(wait - 1);
        assert_eq!(clock.fail(HOME, "alice"), Err(1));
        clock.wait(1);
        assert_eq!(clock.fail(HOME, "alice"), Ok(()));
    }
    // Others, and the same one elsewhere, are not concerned.
    assert_eq!(clock.fail(HOME, "bob"), Ok(()));
    assert_eq!(clock.fail("203.0.113.10", "alice"), Ok(()));
}

#[test]
fn a_success_and_time_forgive() {
    let mut clock = Clock::new();
    for _ in 0..FREE_FAILURES {
        assert_eq!(clock.fail(HOME, "alice"), Ok(()));
    }
    clock.wait(1);
    assert_eq!(clock.succeed(HOME, "alice"), Ok(()));
    for _ in 0..FREE_FAILURES {
        assert_eq!(clock.fail(HOME, "alice"), Ok(()));
    }
    assert_eq!(clock.fail(HOME, "alice"), Err(1));
    clock.wait(FORGIVEN.as_secs());
    for _ in 0..FREE_FAILURES {
        assert_eq!(clock.fail(HOME, "alice"), Ok(()));
    }
}

#[test]
fn one_customer_has_all_addresses_of_a_slash_64() {
    let clock = Clock::new();
    for host in 0..FREE_FAILURES {
        let from = format!("2001:db8:1:2::{host}");
        assert_eq!(clock.fail(&from, "alice"), Ok(()));
    }
    assert_eq!(clock.fail("2001:db8:1:2:ffff::", "alice"), Err(1));
    assert_eq!(clock.fail("2001:db8:1:3::", "alice"), Ok(()));
}

#[test]
fn from_many_places_an_account_has_one_failure_a_second() {
    let mut clock = Clock::new();
    let from = |number: u32| format!("10.0.{}.{}", number / 250, number % 250);
    for number in 0..ACCOUNT_BURST {
        assert_eq!(clock.fail(&from(number), "alice"), Ok(()));
    }
    for number in ACCOUNT_BURST..ACCOUNT_BURST + 100 {
        assert_eq!(clock.fail(&from(number), "alice"), Err(1));
        clock.wait(1);
        assert_eq!(clock.fail(&from(number), "alice"), Ok(()));
    }
    assert_eq!(clock.fail(HOME, "bob"), Ok(()));
}

#[test]
fn who_has_logged_in_from_a_place_is_not_kept_out_by_others() {
    let mut clock = Clock::new();
    assert_eq!(clock.succeed(HOME, "alice"), Ok(()));
    clock.wait(60 * 60);
    for number in 0..ACCOUNT_BURST {
        let from = format!("10.0.0.{number}");
        assert_eq!(clock.fail(&from, "alice"), Ok(()));
    }
    assert_eq!(clock.fail("10.0.1.1", "alice"), Err(1));
    // He may mistype, too, but not for ever.
    for _ in 0..FREE_FAILURES - 1 {
        assert_eq!(clock.fail(HOME, "alice"), Ok(()));
    }
    assert_eq!(clock.succeed(HOME, "alice"), Ok(()));
    for _ in 0..FREE_FAILURES {
        assert_eq!(clock.fail(HOME, "alice"), Ok(()));
    }
    assert_eq!(clock.fail(HOME, "alice"), Err(1));
}

#[test]
fn many_at_once_are_no_way_around() {
    let clock = Clock::new();
    let begun: Vec<_> = (0..FREE_FAILURES)
        .map(|_| clock.begin(HOME, "alice").ok().unwrap())
        .collect();
    assert_eq!(clock.begin(HOME, "alice").err(), Some(1));
    // Those that are given up count as nothing.
    drop(begun);
    for _ in 0..FREE_FAILURES {
        assert_eq!(clock.fail(HOME, "alice"), Ok(()));
    }
    assert_eq!(clock.fail(HOME, "alice"), Err(1));
    let from = |number: u32| format!("10.0.0.{number}");
    for number in FREE_FAILURES..ACCOUNT_BURST {
        assert_eq!(clock.fail(&from(number), "alice"), Ok(()));
    }
    assert_eq!(clock.fail("10.0.1.1", "alice"), Err(1));
}

#[test]
fn successes_cost_an_account_nothing() {
    let clock = Clock::new();
    for number in 0..2 * ACCOUNT_BURST {
        let from = format!("10.0.{}.{}", number / 250, number % 250);
        assert_eq!(clock.succeed(&from, "alice"), Ok(()));
    }
}

#[test]
fn the_tables_are_bounded_and_what_is_over_goes_first() {
    let mut clock = Clock::new();
    let spray = |clock: &Clock, users: std::ops::Range<usize>| {
        for number in users {
            assert_eq!(clock.fail(HOME, &format!("user {number}")), Ok(()));
        }
    };
    let sizes = |clock: &Clock| {
        let table = clock.guessing.table.lock();
        (table.pairs.len(), table.accounts.len())
    };
    spray(&clock, 0..MAX_ENTRIES);
    assert_eq!(sizes(&clock), (MAX_ENTRIES, MAX_ENTRIES));
    clock.wait(FORGIVEN.as_secs());
    spray(&clock, 0..1);
    assert_eq!(sizes(&clock), (1, 1));
    for _ in 0..FREE_FAILURES {
        assert_eq!(clock.fail("10.0.0.1", "alice"), Ok(()));
    }
    spray(&clock, 0..MAX_ENTRIES - 2);
    assert_eq!(clock.fail("10.0.0.1", "alice"), Err(1));
    spray(&clock, MAX_ENTRIES..MAX_ENTRIES + 10);
    // One of them still found room.
    assert_eq!(sizes(&clock), (9, 9));
}

#[test]
fn what_is_given_up_or_refused_leaves_nothing() {
    let clock = Clock::new();
    for number in 0..10 {
        drop(clock.begin(HOME, &format!("user {number}")));
    }
    let table = clock.guessing.table.lock();
    assert_eq!((table.pairs.len(), table.accounts.len()), (0, 0));
    drop(table);
    for number in 0..ACCOUNT_BURST {
        let from = format!("10.0.0.{number}");
        assert_eq!(clock.fail(&from, "alice"), Ok(()));
    }
    for number in 0..10 {
        let from = format!("10.0.1.{number}");
        assert_eq!(clock.fail(&from, "alice"), Err(1));
    }
    assert_eq!(
        clock.guessing.table.lock().pairs.len(),
        ACCOUNT_BURST as usize
    );
}
