//! Messages in their order, whenever they come.

use wire::Envelope;

use super::*;

fn view() -> View {
    View::new(Target::Topic(TopicName::new("t").expect("a name")))
}

fn message(seq: u64, arrival: Arrival) -> Incoming {
    Incoming {
        topic: "t".into(),
        text: format!("text {seq}"),
        envelope: Envelope {
            seq: Some(seq),
            time: Some(seq),
            user: Some("bob".into()),
            account: None,
        },
        arrival,
    }
}

fn texts(view: &View) -> Vec<String> {
    let text = |id| view.get(id).map(Entry::plain).unwrap_or_default();
    view.ids()
        .map(|id| text(id).replace("bob  t:text ", ""))
        .collect()
}

const PAST: Arrival = Arrival::Replayed { is_last: false };
const LAST: Arrival = Arrival::Replayed { is_last: true };

#[test]
fn older_messages_come_before_the_oldest_and_none_comes_twice() {
    let mut view = view();
    for seq in 7..=8 {
        view.on_message(&message(seq, Arrival::Live), 0, Attention::None);
    }
    let position = Position::At { id: 0, row: 0 };
    view.position = position;
    assert_eq!(view.ask_older(1), Some(2 + MORE));
    assert_eq!(view.ask_older(1), None);
    for seq in 5..8 {
        view.on_message(&message(seq, PAST), 0, Attention::None);
    }
    view.on_message(&message(8, LAST), 0, Attention::None);
    view.on_message(&message(9, Arrival::Live), 0, Attention::None);
    assert_eq!(texts(&view), ["5", "6", "7", "8", "9"]);
    // What is seen stays where it is.
    assert_eq!(view.position, position);
    assert_eq!(view.get(0).map(|entry| entry.time), Some(7));
    // The next question finds nothing older.
    assert!(view.ask_older(1).is_some());
    view.on_message(&message(5, PAST), 0, Attention::None);
    assert!(view.is_exhausted());
    assert_eq!(view.ask_older(1), None);
}

#[test]
fn what_was_missed_while_the_connection_was_lost_is_added_to_the_end() {
    let mut view = view();
    view.on_message(&message(7, Arrival::Live), 0, Attention::None);
    view.forget_fetch();
    view.on_message(&message(8, PAST), 0, Attention::None);
    view.on_message(&message(9, LAST), 0, Attention::None);
    assert_eq!(texts(&view), ["7", "8", "9"]);
}

#[test]
fn a_server_that_has_begun_anew_loses_nothing_and_confuses_nothing() {
    let mut view = view();
    view.on_message(&message(700, Arrival::Live), 0, Attention::None);
    view.on_message(&message(1, Arrival::Live), 0, Attention::None);
    view.on_message(&message(2, Arrival::Live), 0, Attention::None);
    assert_eq!(texts(&view), ["700", "1", "2"]);
    assert_eq!(view.ask_older(1), None);
}

#[test]
fn it_is_bounded_and_what_was_dropped_can_be_asked_for_again() {
    let mut view = view();
    for seq in 1..=30_000 {
        view.on_message(&message(seq, Arrival::Live), 0, Attention::None);
    }
    assert_eq!(view.entries.len(), MOST_ENTRIES);
    assert_eq!(view.ids(), 10_000..30_000);
    assert_eq!(view.ask_older(1), Some(20_000 + MORE));
}

#[test]
fn what_holds_a_text_is_found_whatever_its_case() {
    let mut view = view();
    for seq in 1..=30 {
        view.on_message(&message(seq, Arrival::Live), 0, Attention::None);
    }
    assert_eq!(view.find("TEXT 1", 29, -1), Some(18));
    assert_eq!(view.find("text 1", 10, -1), Some(10));
    assert_eq!(view.find("text 30", 0, 1), Some(29));
    assert_eq!(view.find("nowhere", 29, -1), None);
    assert_eq!(view.count_found("text 1", 18), (1, 11));
}
