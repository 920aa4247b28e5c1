//! Messages in their order, whenever they come.

use wire::TopicName;

use super::*;

fn view() -> View {
    View::new(Target::Topic(TopicName::new("t").expect("a name")))
}

fn entry(seq: u64) -> Entry {
    Entry {
        time: seq,
        is_past: false,
        body: Body::Message(Message {
            user: Some("bob".into()),
            topic: "t".into(),
            text: format!("text {seq}"),
            seq: Some(seq),
            is_mention: false,
        }),
    }
}

fn texts(view: &View) -> Vec<String> {
    let text = |id| view.get(id).map(Entry::plain).unwrap_or_default();
    view.ids()
        .map(|id| text(id).replace("bob  t:text ", ""))
        .collect()
}

/// The next question, if there is one.
fn asks(view: &mut View, at_least: u64) -> Option<(Option<u64>, u64)> {
    let page = view.ask_older(at_least).ok()?;
    Some((page.before, page.limit))
}

/// A page with these numbers comes: how many more are wanted.
fn comes(view: &mut View, numbers: std::ops::Range<u64>, has_older: bool) -> u64 {
    view.on_older(numbers.map(entry).collect(), has_older)
}

#[test]
fn older_messages_come_before_the_oldest_and_none_comes_twice() {
    let mut view = view();
    (7..=8).for_each(|seq| view.push(entry(seq)));
    let position = Position::At { id: 0, row: 0 };
    view.position = position;
    assert_eq!(asks(&mut view, 1), Some((Some(7), PAGE)));
    assert_eq!(asks(&mut view, 1), None);
    view.push(entry(9));
    assert_eq!(comes(&mut view, 5..7, true), PAGE - 2);
    assert_eq!(texts(&view), ["5", "6", "7", "8", "9"]);
    // What is seen stays where it is.
    assert_eq!(view.position, position);
    assert_eq!(view.get(0).map(|entry| entry.time), Some(7));
    // What nobody has asked for is none.
    assert_eq!(comes(&mut view, 1..5, false), 0);
    assert_eq!(asks(&mut view, 1), Some((Some(5), PAGE)));
    assert_eq!(comes(&mut view, 0..0, false), 0);
    assert_eq!(asks(&mut view, 1), None);
}

#[test]
fn more_than_a_page_holds_is_asked_for_in_several() {
    let mut view = view();
    view.push(entry(5_000));
    assert_eq!(asks(&mut view, 2_500), Some((Some(5_000), LONGEST_PAGE)));
    // A server may send fewer.
    assert_eq!(comes(&mut view, 4_100..5_000, true), 1_600);
    assert_eq!(asks(&mut view, 1_600), Some((Some(4_100), LONGEST_PAGE)));
    assert_eq!(comes(&mut view, 3_100..4_100, true), 600);
    assert_eq!(asks(&mut view, 600), Some((Some(3_100), 600)));
    assert_eq!(comes(&mut view, 2_500..3_100, true), 0);
    assert_eq!(view.ids().count(), 2_501);
}

#[test]
fn a_line_of_ours_that_a_page_has_brought_is_there() {
    let mut view = view();
    // It was acknowledged after the next message had come.
    view.push(entry(10));
    view.push(entry(9));
    assert_eq!(asks(&mut view, 1), Some((Some(9), PAGE)));
    comes(&mut view, 6..9, true);
    for (seq, is_there) in [(5, false), (6, true), (8, true), (9, false), (11, false)] {
        assert_eq!(view.has(seq), is_there, "{seq}");
    }
}

#[test]
fn a_page_whose_place_was_dropped_meanwhile_makes_no_hole() {
    let mut view = view();
    (100..=1_000).for_each(|seq| view.push(entry(seq)));
    assert_eq!(asks(&mut view, 1), Some((Some(100), PAGE)));
    (1_001..=25_000).for_each(|seq| view.push(entry(seq)));
    assert_eq!(comes(&mut view, 0..100, false), 0);
    assert_eq!(view.oldest(), Some(5_001));
}

#[test]
fn a_server_that_has_begun_anew_loses_nothing_and_confuses_nothing() {
    let mut view = view();
    view.push(entry(700));
    view.forget_numbers();
    (1..=2).for_each(|seq| view.push(entry(seq)));
    assert_eq!(texts(&view), ["700", "1", "2"]);
    assert_eq!(asks(&mut view, 1), None);
}

#[test]
fn it_is_bounded() {
    let mut view = view();
    (1..=30_000).for_each(|seq| view.push(entry(seq)));
    assert_eq!(view.entries.len(), MOST_ENTRIES);
    assert_eq!(view.ids(), 10_000..30_000);
    assert_eq!(view.ask_older(1), Err(NoPage::Full));
}

#[test]
fn what_holds_a_text_is_found_whatever_its_case() {
    let mut view = view();
    (1..=30).for_each(|seq| view.push(entry(seq)));
    assert_eq!(view.find("TEXT 1", 29, -1), Some(18));
    assert_eq!(view.find("text 1", 10, -1), Some(10));
    assert_eq!(view.find("text 30", 0, 1), Some(29));
    assert_eq!(view.find("nowhere", 29, -1), None);
    assert_eq!(view.count_found("text 1", 18), (1, 11));
}
