//! What is in flight, over connections that are lost at any moment.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn delivery() -> Delivery {
    Delivery::new("5eed5eed".into())
}

fn line(text: &str) -> Line {
    Line {
        topic: "t".into(),
        text: text.into(),
    }
}

/// Writes what is next, a fresh line being `fresh`; the id and the text.
fn write(delivery: &mut Delivery, fresh: &str) -> Option<(String, String)> {
    match delivery.next() {
        Next::Again { number, line } => {
            let written = (delivery.id(number), line.text.clone());
            delivery.wrote_again(number);
            Some(written)
        }
        Next::Fresh(number) => {
            delivery.wrote_fresh(line(fresh));
            Some((delivery.id(number), fresh.into()))
        }
        Next::Full => None,
    }
}

#[test]
fn ids_are_the_run_and_a_counter_and_no_longer_than_said() {
    let mut delivery = delivery();
    let ids: Vec<_> = (0..3).filter_map(|_| write(&mut delivery, "x")).collect();
    let ids: Vec<_> = ids.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["5eed5eed-1", "5eed5eed-2", "5eed5eed-3"]);
    assert_eq!(delivery.id(u64::MAX).len(), LONGEST_ID);
}

#[test]
fn after_a_new_connection_everything_in_flight_comes_first_and_in_order() {
    let mut delivery = delivery();
    for text in ["a", "b", "c"] {
        write(&mut delivery, text);
    }
    assert_eq!(delivery.settle("5eed5eed-2"), Some(line("b")));
    delivery.reconnected();
    let again: Vec<_> = (0..3).filter_map(|_| write(&mut delivery, "d")).collect();
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
fn what_is_settled_while_it_is_written_again_does_not_skip_the_next() {
    let mut delivery = delivery();
    write(&mut delivery, "a");
    write(&mut delivery, "b");
    delivery.reconnected();
    let Next::Again { number, .. } = delivery.next() else {
        panic!("{delivery:?}");
    };
    delivery.settle("5eed5eed-1");
    delivery.wrote_again(number);
    let line = &line("b");
    assert_eq!(delivery.next(), Next::Again { number: 2, line });
}

#[test]
fn ids_that_are_not_in_flight_change_nothing() {
    let mut delivery = delivery();
    write(&mut delivery, "a");
    for id in [
        "",
        "5eed5eed-",
        "5eed5eed-2",
        "other-1",
        "5eed5eed1",
        "5eed5eed--1",
    ] {
        assert_eq!(delivery.settle(id), None, "{id}");
    }
    assert_eq!(delivery.len(), 1);
    assert!(delivery.settle("5eed5eed-1").is_some());
    assert_eq!(delivery.settle("5eed5eed-1"), None);
}

#[test]
fn what_is_in_flight_is_bounded_also_for_empty_lines() {
    for text in ["", &"x".repeat(1000)] {
        let mut delivery = delivery();
        let cost = text.len() + LINE_COST;
        while write(&mut delivery, text).is_some() {}
        assert!(delivery.len() * cost < ROOM + cost, "{}", delivery.len());
        delivery.settle("5eed5eed-1");
        assert!(matches!(delivery.next(), Next::Fresh(_)));
    }
}

#[test]
fn only_what_an_earlier_connection_carried_is_doubtful() {
    let mut delivery = delivery();
    write(&mut delivery, "a");
    assert!(!delivery.is_doubtful("a"));
    delivery.reconnected();
    write(&mut delivery, "");
    write(&mut delivery, "b");
    assert!(delivery.is_doubtful("a") && !delivery.is_doubtful("b"));
    delivery.settle("5eed5eed-1");
    assert!(!delivery.is_doubtful("a"));
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
    fn step(&mut self, step: Step, delivery: &mut Delivery, fresh: &mut u32) {
        match step {
            Step::Write => {
                let text = fresh.to_string();
                if let Some(line) = write(delivery, &text) {
                    *fresh += u32::from(line.1 == text);
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
                    delivery.settle(&id);
                }
            }
            Step::Cut => {
                self.lines.clear();
                self.acks.clear();
                delivery.reconnected();
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
        let mut delivery = delivery();
        let mut fresh = 0;
        for step in steps {
            server.step(step, &mut delivery, &mut fresh);
        }
        // What is still in flight arrives over a last connection.
        server.step(Step::Cut, &mut delivery, &mut fresh);
        while matches!(delivery.next(), Next::Again { .. }) {
            server.step(Step::Write, &mut delivery, &mut fresh);
        }
        for _ in 0..delivery.len() {
            server.step(Step::Read, &mut delivery, &mut fresh);
            server.step(Step::Acknowledge, &mut delivery, &mut fresh);
        }
        prop_assert_eq!(delivery.len(), 0);
        let texts: Vec<_> = server.delivered.into_iter().map(|(_, text)| text).collect();
        let expected: Vec<_> = (0..fresh).map(|number| number.to_string()).collect();
        prop_assert_eq!(texts, expected);
    }
}
