//! What is in flight, over connections that are lost at any moment.

use std::collections::VecDeque;

use proptest::prelude::*;
use wire::TopicName;

use super::*;
use crate::queue::LONGEST_ID;

fn in_flight() -> InFlight {
    InFlight::new("5eed5eed".into())
}

fn line(text: &str) -> Line {
    Line {
        topic: TopicName::new("t").expect("a name"),
        text: text.into(),
    }
}

/// Writes what is next, a new line being `new`; the id and the text.
fn write(in_flight: &mut InFlight, new: &str) -> Option<(String, String)> {
    match in_flight.next() {
        Next::Retransmit { number, line } => {
            let written = (in_flight.id(number), line.text.clone());
            in_flight.retransmitted(number);
            Some(written)
        }
        Next::New(number) => {
            in_flight.sent(line(new));
            Some((in_flight.id(number), new.into()))
        }
        Next::Full => None,
    }
}

#[test]
fn ids_are_the_run_and_a_counter_and_no_longer_than_said() {
    let mut in_flight = in_flight();
    let ids: Vec<_> = (0..3).filter_map(|_| write(&mut in_flight, "x")).collect();
    let ids: Vec<_> = ids.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["5eed5eed-1", "5eed5eed-2", "5eed5eed-3"]);
    assert_eq!(in_flight.id(u64::MAX).len(), LONGEST_ID);
}

#[test]
fn a_line_that_must_be_written_again_brings_those_after_it() {
    let mut in_flight = in_flight();
    for text in ["a", "b", "c"] {
        write(&mut in_flight, text);
    }
    assert_eq!(in_flight.retransmit("5eed5eed-2"), Retransmission::Started);
    let again = in_flight.retransmit("5eed5eed-3");
    assert_eq!(again, Retransmission::NotNeeded, "it comes anyway");
    let unknown = in_flight.retransmit("5eed5eed-9");
    assert_eq!(unknown, Retransmission::NotNeeded);
    // A new line was being written when that became known.
    in_flight.sent(line("d"));
    let again: Vec<_> = (0..4).filter_map(|_| write(&mut in_flight, "e")).collect();
    let again: Vec<_> = again.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(again, ["b", "c", "d", "e"]);
}

#[test]
fn after_a_new_connection_everything_in_flight_comes_first_and_in_order() {
    let mut in_flight = in_flight();
    for text in ["a", "b", "c"] {
        write(&mut in_flight, text);
    }
    assert_eq!(in_flight.acknowledge("5eed5eed-2"), Some(line("b")));
    in_flight.restart();
    let again: Vec<_> = (0..3).filter_map(|_| write(&mut in_flight, "d")).collect();
    let again: Vec<_> = again
        .iter()
        .map(|(id, text)| (id.as_str(), text.as_str()))
        .collect();
    assert_eq!(
        again,
        [
            ("5eed5eed-1", "a"),
            ("5eed5eed-3", "c"),
            ("5eed5eed-4", "d")
        ]
    );
}

#[test]
fn what_is_acknowledged_while_it_is_written_again_does_not_skip_the_next() {
    let mut in_flight = in_flight();
    write(&mut in_flight, "a");
    write(&mut in_flight, "b");
    in_flight.restart();
    let Next::Retransmit { number, .. } = in_flight.next() else {
        panic!("{in_flight:?}");
    };
    in_flight.acknowledge("5eed5eed-1");
    in_flight.retransmitted(number);
    let line = &line("b");
    assert_eq!(in_flight.next(), Next::Retransmit { number: 2, line });
}

#[test]
fn ids_that_are_not_in_flight_change_nothing() {
    let mut in_flight = in_flight();
    write(&mut in_flight, "a");
    for id in [
        "",
        "5eed5eed-",
        "5eed5eed-2",
        "other-1",
        "5eed5eed1",
        "5eed5eed--1",
    ] {
        assert_eq!(in_flight.acknowledge(id), None, "{id}");
    }
    assert_eq!(in_flight.len(), 1);
    assert!(in_flight.acknowledge("5eed5eed-1").is_some());
    assert_eq!(in_flight.acknowledge("5eed5eed-1"), None);
}

#[test]
fn what_is_in_flight_is_bounded_also_for_empty_lines() {
    for text in ["", &"x".repeat(1000)] {
        let mut in_flight = in_flight();
        let cost = text.len() + LINE_COST;
        while write(&mut in_flight, text).is_some() {}
        assert!(in_flight.len() * cost < ROOM + cost, "{}", in_flight.len());
        in_flight.acknowledge("5eed5eed-1");
        assert!(matches!(in_flight.next(), Next::New(_)));
    }
}

#[test]
fn only_what_an_earlier_connection_carried_is_doubtful() {
    let mut in_flight = in_flight();
    write(&mut in_flight, "a");
    assert!(!in_flight.is_in_doubt("a"));
    in_flight.restart();
    write(&mut in_flight, "");
    write(&mut in_flight, "b");
    assert!(in_flight.is_in_doubt("a") && !in_flight.is_in_doubt("b"));
    in_flight.acknowledge("5eed5eed-1");
    assert!(!in_flight.is_in_doubt("a"));
}

/// What happens next between a client and its server.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The client writes.
    Write,
    /// The server reads a line.
    Read,
    /// The client reads an acknowledgement.
    Acknowledge,
    /// The connection is lost, with everything on its way.
    Cut,
}

/// A server that delivers once per id, and a connection to it.
#[derive(Default)]
struct Server {
    delivered: Vec<(String, String)>,
    lines: VecDeque<(String, String)>,
    acks: VecDeque<String>,
}

impl Server {
    fn step(&mut self, step: Step, in_flight: &mut InFlight, new: &mut u32) {
        match step {
            Step::Write => {
                let text = new.to_string();
                if let Some(line) = write(in_flight, &text) {
                    *new += u32::from(line.1 == text);
                    self.lines.push_back(line);
                }
            }
            Step::Read => {
                if let Some(line) = self.lines.pop_front() {
                    self.acks.push_back(line.0.clone());
                    if !self.delivered.contains(&line) {
                        self.delivered.push(line);
                    }
                }
            }
            Step::Acknowledge => {
                if let Some(id) = self.acks.pop_front() {
                    in_flight.acknowledge(&id);
                }
            }
            Step::Cut => {
                self.lines.clear();
                self.acks.clear();
                in_flight.restart();
            }
        }
    }
}

proptest! {
    #[test]
    fn every_line_is_delivered_once_and_in_order_wherever_connections_are_lost(
        steps in proptest::collection::vec(
            prop_oneof![
                4 => Just(Step::Write),
                3 => Just(Step::Read),
                3 => Just(Step::Acknowledge),
                1 => Just(Step::Cut),
            ],
            0..200,
        )
    ) {
        let mut server = Server::default();
        let mut in_flight = in_flight();
        let mut new = 0;
        for step in steps {
            server.step(step, &mut in_flight, &mut new);
        }
        // What is still in flight arrives over a last connection.
        server.step(Step::Cut, &mut in_flight, &mut new);
        while matches!(in_flight.next(), Next::Retransmit { .. }) {
            server.step(Step::Write, &mut in_flight, &mut new);
        }
        for _ in 0..in_flight.len() {
            server.step(Step::Read, &mut in_flight, &mut new);
            server.step(Step::Acknowledge, &mut in_flight, &mut new);
        }
        prop_assert_eq!(in_flight.len(), 0);
        let texts: Vec<_> = server.delivered.into_iter().map(|(_, text)| text).collect();
        let expected: Vec<_> = (0..new).map(|number| number.to_string()).collect();
        prop_assert_eq!(texts, expected);
    }
}
