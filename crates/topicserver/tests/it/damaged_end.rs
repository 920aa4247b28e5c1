//! A server that was killed, and whose last writes are on disk only in part: it
//! starts, and either everything is there or it says what isn't.

use std::ops::Range;

use serde_json::{Value, json};

use crate::common::{Directory, Process};

/// Places within the last record at which the file is cut.
const CUTS: u64 = 20;

/// Messages that were acknowledged before the last one.
const BEFORE: u64 = 5;

/// A directory whose server was killed after it had acknowledged a last message.
struct Killed {
    directory: Directory,
    epoch: Value,
    /// Where the last record lies in the newest journal.
    last: Range<u64>,
}

impl Killed {
    fn new() -> Self {
        let directory = Directory::new();
        let mut server = directory.serve(&[]);
        let mut publisher = server.connect();
        let answer = publisher.register_extended(&["T"], json!({"client": "k"}));
        let mut publish = |number: u64| {
            let number_as_text = number.to_string();
            publisher.say_with_id("T", &number_as_text, &number_as_text);
            assert_eq!(publisher.expect_ack("T", &number_as_text), number);
        };
        (1..=BEFORE).for_each(&mut publish);
        let begin = directory.end_of_journal();
        publish(BEFORE + 1);
        let last = begin..directory.end_of_journal();
        assert!(last.end > last.start + CUTS, "{last:?}");
        server.kill();
        Self {
            directory,
            epoch: answer["topics"]["T"]["epoch"].clone(),
            last,
        }
    }

    /// Starts the server on a copy that was cut there; says whether it holds all.
    fn is_whole_when_cut_at(&self, end: u64) -> bool {
        let directory = self.directory.copy();
        directory.cut_journal(end);
        let mut server = directory.serve(&[]);
        let (epoch, is_whole) = self.resume(&server, BEFORE + 1);
        // What comes then has numbers that nobody has seen, and stays.
        let mut publisher = server.connect();
        publisher.register_extended(&["T"], json!({"client": "k"}));
        publisher.say_with_id("T", "new", "new");
        let next = BEFORE + 2;
        assert_eq!(publisher.expect_ack("T", "new"), next);
        server.kill();
        // Its log is complete now.
        assert_eq!(says(&server, "has lost the messages 6 to 6"), !is_whole);
        let mut server = directory.serve(&[]);
        let mut reader = server.connect();
        let resume = json!({"resume": {"T": {"epoch": epoch, "seq": next - 1}}});
        let answer = reader.register_extended(&["T"], resume);
        assert_eq!(answer["topics"]["T"]["recovered"], true);
        reader.expect_delivered("T", "new", next);
        server.kill();
        assert!(!says(&server, "has lost"), "{:#?}", server.log());
        is_whole
    }

    /// Comes back with the first message and what it is told then: the epoch, and
    /// whether all is there.
    fn resume(&self, server: &Process, newest: u64) -> (Value, bool) {
        let mut reader = server.connect();
        let resume = json!({"resume": {"T": {"epoch": self.epoch, "seq": 1}}});
        let answer = reader.register_extended(&["T"], resume);
        let state = &answer["topics"]["T"];
        // Never a number that was acknowledged for something else.
        assert_eq!(state["seq"], newest);
        let is_whole = state["recovered"] == true;
        assert_eq!(state["epoch"] == self.epoch, is_whole, "{answer}");
        let there = match is_whole {
            true => 2..=BEFORE + 1,
            false => 1..=BEFORE,
        };
        for number in there {
            reader.expect_delivered("T", &number.to_string(), number);
        }
        if !is_whole {
            let lost = json!({"topic": "T", "from": newest, "to": newest});
            assert_eq!(reader.expect_event("gap"), lost);
        }
        reader.sync_topic("T");
        (state["epoch"].clone(), is_whole)
    }
}

fn says(server: &Process, part: &str) -> bool {
    server.log().iter().any(|line| line.contains(part))
}

#[test]
fn what_is_cut_from_the_last_record_is_told_and_the_rest_is_there() {
    let killed = Killed::new();
    assert!(killed.is_whole_when_cut_at(killed.last.end));
    let len = killed.last.end - killed.last.start;
    for cut in 0..CUTS {
        let end = killed.last.start + cut * len / CUTS;
        assert!(
            !killed.is_whole_when_cut_at(end),
            "{end} of {:?}",
            killed.last
        );
    }
    assert!(!killed.is_whole_when_cut_at(killed.last.end - 1));
}

#[test]
#[ignore = "long: starts a server at each byte of a record, which takes minutes"]
fn what_is_cut_from_the_last_record_at_any_byte_is_told_and_the_rest_is_there() {
    let killed = Killed::new();
    for end in killed.last.clone() {
        assert!(
            !killed.is_whole_when_cut_at(end),
            "{end} of {:?}",
            killed.last
        );
    }
}
