//! Clocks that jump, or are wrong from the start: nothing is deleted for it, no id is
//! remembered for longer, and no time stays ahead.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use topicserver::{Config, TimeSource};

use crate::common::{Client, Directory, TestServer};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What the wall clock says at first.
const START: i64 = 1_780_000_000_000;

/// Clocks that stand still until a test moves them.
struct Clocks(Mutex<(i64, i64)>);

impl Clocks {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((START, 5 * DAY))))
    }

    /// Time passes.
    fn pass(&self, milliseconds: i64) {
        let mut clocks = self.0.lock();
        clocks.0 += milliseconds;
        clocks.1 += milliseconds;
    }

    /// Somebody sets the wall clock.
    fn jump(&self, milliseconds: i64) {
        self.0.lock().0 += milliseconds;
    }

    fn wall_now(&self) -> i64 {
        self.0.lock().0
    }
}

fn duration(milliseconds: i64) -> Duration {
    Duration::from_millis(milliseconds.try_into().unwrap())
}

impl TimeSource for Clocks {
    fn wall(&self) -> Duration {
        duration(self.0.lock().0)
    }

    fn monotonic(&self) -> Duration {
        duration(self.0.lock().1)
    }
}

/// A server on a directory, with its clocks and a publisher.
struct Test {
    clocks: Arc<Clocks>,
    server: TestServer,
    publisher: Client,
    published: u64,
}

fn serve(directory: Option<&Directory>, clocks: &Arc<Clocks>) -> Test {
    let config = Config {
        data: directory.map(|directory| directory.path().to_owned()),
        keep_age: duration(30 * DAY),
        ..Config::default()
    };
    let server = TestServer::with_clocks(config, clocks.clone());
    let (publisher, answer) = server.extended(&["T"], json!({"client": "k"}));
    Test {
        clocks: clocks.clone(),
        server,
        publisher,
        published: answer["topics"]["T"]["seq"].as_u64().unwrap(),
    }
}

impl Test {
    /// Publishes the number of the message, under an id that nobody used; its time.
    fn publish(&mut self) -> i64 {
        let number = (self.published + 1).to_string();
        self.publish_as(&number, &format!("id {number}"))
    }

    /// Publishes a message that is new; its time.
    fn publish_as(&mut self, text: &str, id: &str) -> i64 {
        self.publisher.say_with_id("T", text, id);
        self.published += 1;
        assert_eq!(self.publisher.expect_ack("T", id), self.published);
        self.newest_time()
    }

    fn newest_time(&self) -> i64 {
        let (mut reader, _) = self.server.extended(&["T"], json!({"last": 1}));
        reader.delivered().time.try_into().unwrap()
    }

    /// The numbers that a newcomer gets who asks for this.
    fn asked(&self, options: Value) -> Vec<u64> {
        let (mut reader, _) = self.server.extended(&["T"], options);
        reader.finish_sending();
        let lines = std::iter::from_fn(|| reader.next_line());
        let frames = lines.map(|line| serde_json::from_slice::<Value>(&line).unwrap());
        frames
            .map(|frame| frame["extended"]["seq"].as_u64().unwrap())
            .collect()
    }

    fn since(&self, time: i64) -> Vec<u64> {
        self.asked(json!({ "since": time }))
    }

    fn all(&self) -> Vec<u64> {
        self.asked(json!({"last": 100_000}))
    }

    fn publish_several(&mut self, count: u32) {
        for _ in 0..count {
            self.publish();
        }
    }

    /// Minutes pass, with a message in each.
    fn minutes(&mut self, minutes: u32) {
        for _ in 0..minutes {
            self.clocks.pass(MINUTE);
            self.publish();
        }
    }

    fn stop(mut self) {
        self.server.stop();
        self.server.ended();
    }
}

fn up_to(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

#[test]
fn a_jump_of_forty_days_deletes_nothing() {
    for minutes_before in [0, 10] {
        for jump in [40 * DAY, -40 * DAY] {
            let directory = Directory::new();
            let clocks = Clocks::new();
            let mut test = serve(Some(&directory), &clocks);
            test.publish_several(20);
            test.minutes(minutes_before);
            clocks.jump(jump);
            for _ in 0..20 {
                clocks.pass(75);
                test.publish();
                test.all();
            }
            assert_eq!(test.all(), up_to(test.published));
            // As a server leaves it that is killed now.
            let copy = directory.copy();
            clocks.jump(-jump);
            test.publish();
            test.minutes(10);
            assert_eq!(test.all(), up_to(test.published));
            let mut again = serve(Some(&copy), &clocks);
            again.minutes(10);
            assert_eq!(again.all(), up_to(again.published));
        }
    }
}

/// A machine without a battery for its clock.
#[test]
fn what_came_before_the_clock_was_set_is_kept_as_long_as_the_rest() {
    for wrong in [10 * SECOND - START, -200 * DAY, 5000 * DAY] {
        let directory = Directory::new();
        let clocks = Clocks::new();
        clocks.jump(wrong);
        let mut test = serve(Some(&directory), &clocks);
        test.publish_several(5);
        clocks.pass(10 * SECOND);
        clocks.jump(-wrong);
        test.minutes(10);
        test.stop();
        let mut test = serve(Some(&directory), &clocks);
        clocks.pass(29 * DAY);
        test.publish_several(5);
        assert_eq!(test.all(), up_to(test.published), "{wrong}");
        clocks.pass(DAY);
        test.publish_several(5);
        let all = test.all();
        assert_eq!(all, (15..=test.published).collect::<Vec<_>>(), "{wrong}");
    }
}

#[test]
fn no_time_stays_ahead_after_the_clock_was_two_hours_ahead() {
    for (minutes_before, minutes_ahead) in [(0, 1), (10, 1), (10, 30)] {
        let directory = Directory::new();
        let clocks = Clocks::new();
        let mut test = serve(Some(&directory), &clocks);
        test.publish();
        test.minutes(minutes_before);
        clocks.jump(2 * HOUR);
        test.minutes(minutes_ahead);
        clocks.jump(-2 * HOUR);
        test.minutes(20);
        assert_eq!(test.newest_time(), clocks.wall_now());
        test.stop();
        let mut test = serve(Some(&directory), &clocks);
        clocks.pass(SECOND);
        assert_eq!(test.publish(), clocks.wall_now());
        // From a time after it was set right, that is: from memory and from disk.
        let newest = test.published;
        for test in [test, serve(Some(&directory.copy()), &clocks)] {
            let last = |count: u64| (newest + 1 - count..=newest).collect::<Vec<_>>();
            assert_eq!(test.since(clocks.wall_now()), last(1));
            assert_eq!(test.since(clocks.wall_now() - MINUTE), last(2));
            assert_eq!(test.since(clocks.wall_now() - 8 * MINUTE), last(9));
            assert_eq!(test.since(START), up_to(newest));
        }
    }
}

#[test]
fn a_server_that_ran_two_hours_ahead_leaves_no_trace() {
    let directory = Directory::new();
    let clocks = Clocks::new();
    for jump in [0, 2 * HOUR, -2 * HOUR] {
        clocks.jump(jump);
        let mut test = serve(Some(&directory), &clocks);
        for _ in 0..20 {
            clocks.pass(SECOND);
            test.publish();
        }
        test.stop();
    }
    let test = serve(Some(&directory), &clocks);
    assert_eq!(test.newest_time(), clocks.wall_now());
    let since = test.since(clocks.wall_now() - 10 * SECOND);
    assert_eq!(since, (50..=60).collect::<Vec<_>>());
}

#[test]
fn an_id_is_free_after_its_window_whatever_the_clock_says() {
    for minutes_before in [0, 10] {
        for jump in [2 * HOUR, -2 * HOUR] {
            let directory = Directory::new();
            let clocks = Clocks::new();
            let mut test = serve(Some(&directory), &clocks);
            test.minutes(minutes_before);
            clocks.jump(jump);
            test.publish_as("good morning", "greeting");
            let first = test.published;
            clocks.jump(-jump);
            clocks.pass(9 * MINUTE);
            test.publisher.say_with_id("T", "good morning", "greeting");
            assert_eq!(test.publisher.expect_ack("T", "greeting"), first);
            clocks.pass(MINUTE + SECOND);
            // It is new.
            test.publish_as("good morning", "greeting");
            test.stop();
            let mut test = serve(Some(&directory), &clocks);
            test.publisher.say_with_id("T", "good morning", "greeting");
            let again = test.publisher.expect_ack("T", "greeting");
            assert_eq!(again, test.published, "it is known after a restart");
            clocks.pass(10 * MINUTE + SECOND);
            test.publish_as("good morning", "greeting");
        }
    }
}

#[test]
fn what_has_gone_for_its_age_stays_gone() {
    let directory = Directory::new();
    let clocks = Clocks::new();
    let mut test = serve(Some(&directory), &clocks);
    test.publish_several(20);
    test.minutes(10);
    clocks.pass(30 * DAY - 5 * MINUTE);
    test.publish_several(3);
    let all = test.all();
    assert_eq!(all.first(), Some(&25));
    // A server that is killed now, and finds a clock that is behind.
    let copy = directory.copy();
    clocks.jump(-10 * DAY);
    assert_eq!(serve(Some(&copy), &clocks).all(), all);
}

#[test]
fn in_memory_it_is_the_same() {
    let clocks = Clocks::new();
    let mut test = serve(None, &clocks);
    test.minutes(10);
    clocks.jump(2 * HOUR);
    test.publish_as("good morning", "greeting");
    clocks.jump(-2 * HOUR);
    test.minutes(11);
    assert_eq!(test.newest_time(), clocks.wall_now());
    test.publish_as("good morning", "greeting");
    assert_eq!(test.since(clocks.wall_now() - MINUTE), [21, 22, 23]);
}
