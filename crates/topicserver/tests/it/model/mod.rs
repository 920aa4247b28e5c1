//! Random conversations against a simple model of what each client must see:
//! every message once and in order, gaps only where the history's limits allow
//! them, and acknowledgements, resumes and envelopes that are right.
//!
//! `MODEL_CASES=5000` tries so many conversations on each kind of server
//! instead of the few of a normal run, which takes some seconds.

mod answers;
mod harness;
mod reference;
mod test_client;

use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestRunner};

use crate::common::is_in_cluster;
use harness::{Counts, Harness};

/// Conversations in a normal run, on a server that keeps them in memory.
const CASES: u32 = 400;

/// The same on a server with a disk, which starts more slowly.
const CASES_WITH_DISK: u32 = 40;

/// Steps of a conversation at most.
const STEPS: usize = 60;

/// Topics in which they talk.
pub const TOPICS: [&str; 2] = ["T", "U"];

/// Who talks: see `test_client::WHO`.
const SEATS: usize = 4;

/// Something that happens. What makes no sense at its moment has no effect, so that
/// any part of a conversation is one too. Where somebody must be connected, it is the
/// next one who is.
#[derive(Clone, Debug)]
pub enum Step {
    /// Somebody registers, and connects before if need be.
    Register {
        client: usize,
        topics: Vec<&'static str>,
        start: Start,
    },
    /// Somebody sends several messages in one piece.
    Publish {
        client: usize,
        messages: Vec<Draft>,
    },
    /// Somebody reads everything, and nothing more may come.
    Read {
        client: usize,
    },
    Leave {
        client: usize,
        topic: &'static str,
    },
    /// Somebody reads so many frames and is gone.
    Drop {
        client: usize,
        after: usize,
    },
    /// Somebody sends no more, and reads to the end.
    Finish {
        client: usize,
    },
    /// The server ends and begins again.
    Restart,
}

/// What a registration wants of the past.
#[derive(Clone, Debug)]
pub enum Start {
    Nothing,
    Last(u64),
    /// What came after what it has read, and so many before that.
    Resume(u64),
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct Draft {
    pub topic: &'static str,
    pub id: Option<u8>,
    /// It says what all messages with this id say.
    pub is_same: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..SEATS;
    let topic = prop::sample::select(&TOPICS[..]);
    let start = prop_oneof![
        2 => Just(Start::Nothing),
        1 => (0..9u64).prop_map(Start::Last),
        3 => (0..3u64).prop_map(Start::Resume),
    ];
    let draft = (topic.clone(), prop::option::of(0..5u8), any::<bool>());
    let draft = draft.prop_map(|(topic, id, is_same)| Draft { topic, id, is_same });
    let topics = prop_oneof![
        1 => Just(Vec::new()),
        9 => subsequence(TOPICS.to_vec(), 1..=TOPICS.len()),
    ];
    let register = (client.clone(), topics, start);
    let publish = (client.clone(), prop::collection::vec(draft, 1..8));
    prop_oneof![
        5 => register.prop_map(|(client, topics, start)| Step::Register { client, topics, start }),
        8 => publish.prop_map(|(client, messages)| Step::Publish { client, messages }),
        2 => client.clone().prop_map(|client| Step::Read { client }),
        1 => (client.clone(), topic).prop_map(|(client, topic)| Step::Leave { client, topic }),
        3 => (client.clone(), 0..6usize).prop_map(|(client, after)| Step::Drop { client, after }),
        1 => client.prop_map(|client| Step::Finish { client }),
        1 => Just(Step::Restart),
    ]
}

fn converse(is_stored: bool) {
    let cases = std::env::var("MODEL_CASES");
    let usual = if is_stored { CASES_WITH_DISK } else { CASES };
    let cases = cases.map_or(usual, |cases| cases.parse().unwrap());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let steps = prop::collection::vec(step(), 1..STEPS);
    let counts = Counts::default();
    let result = TestRunner::new(config).run(&steps, |steps| {
        let mut harness = Harness::new(is_stored, &counts);
        steps.iter().for_each(|step| harness.take(step));
        harness.end();
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    println!("{cases} conversations: {counts:?}");
    if is_stored {
        assert_eq!(
            (counts.gaps.get(), counts.broken.get()),
            (0, 0),
            "{counts:?}"
        );
    }
    // It isn't about nothing, unless there are very few.
    let mut happened = vec![&counts.stored, &counts.repeated, &counts.recovered];
    if !is_stored {
        happened.extend([&counts.gaps, &counts.broken]);
    }
    assert!(
        cases < usual || happened.iter().all(|count| count.get() > 0),
        "{counts:?}"
    );
}

#[test]
fn with_memory_alone_everybody_sees_what_the_model_says() {
    // What is in the log of a cluster stays, as on a disk.
    converse(is_in_cluster());
}

#[cfg(unix)]
#[test]
fn with_a_disk_everybody_sees_what_the_model_says() {
    converse(true);
}
