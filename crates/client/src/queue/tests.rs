//! A line is always in exactly one place, and what waits is bounded.

use wire::TopicName;

use super::*;

fn line(text: &str) -> Line {
    Line {
        topic: TopicName::new("t").expect("a name"),
        text: text.into(),
    }
}

#[test]
fn a_line_is_unsent_until_it_is_written_and_then_unacknowledged() {
    let mut queue = Queue::new("5eed5eed".into());
    queue.push(line("a"));
    let outgoing = queue.begin(Acknowledgements::Expected).expect("a line");
    assert_eq!(outgoing.id.as_deref(), Some("5eed5eed-1"));
    assert_eq!((queue.unsent(), queue.unacknowledged()), (1, 0));
    assert_eq!(queue.written(), None);
    assert_eq!((queue.unsent(), queue.unacknowledged()), (0, 1));
    assert_eq!(queue.first(), Some("a"));
    assert_eq!(queue.acknowledge("5eed5eed-1"), Some(line("a")));
    assert!(queue.is_empty());
}

#[test]
fn without_acknowledgements_a_written_line_is_done() {
    let mut queue = Queue::new(String::new());
    queue.push(line("a"));
    let outgoing = queue.begin(Acknowledgements::None).expect("a line");
    assert_eq!(outgoing.id, None);
    assert_eq!(queue.written(), Some(line("a")));
    assert!(queue.is_empty());
}

#[test]
fn a_line_whose_writing_was_cut_off_is_written_again() {
    let mut queue = Queue::new(String::new());
    queue.push(line("a"));
    queue.begin(Acknowledgements::None).expect("a line");
    queue.restart();
    assert_eq!(queue.written(), None);
    assert_eq!(queue.unsent(), 1);
}

#[test]
fn what_waits_is_bounded_in_bytes_also_for_empty_lines() {
    for text in ["", &"x".repeat(1000)] {
        let mut queue = Queue::new(String::new());
        while queue.has_room() {
            queue.push(line(text));
        }
        let cost = text.len() + LINE_COST;
        assert!(queue.unsent() * cost < ROOM + cost, "{}", queue.unsent());
        queue.begin(Acknowledgements::None).expect("a line");
        queue.written();
        assert!(queue.has_room());
    }
}
