//! What a person sees and does, without a terminal.

mod pictures;
mod typing;

use client::{Arrival, Incoming, Line};
use wire::Envelope;

use super::super::burst::BurstEvent;
use super::super::keys::KeyParser;
use super::*;
use crate::input::action::Action;
use crate::output::item::Item;

/// Noon of Thursday, 26 November 2026.
const NOON: u64 = 1_795_694_400_000;
const MINUTE: u64 = 60_000;
const PAST: Arrival = Arrival::Replayed { is_last: false };

struct Test {
    ui: Ui,
    people: People,
    now: u64,
    next: u64,
}

impl Test {
    fn new(columns: u16, rows: u16, topics: &[&str]) -> Self {
        let people = People::default();
        people.set_me("alice");
        let options = UiOptions {
            topics: topics.iter().map(|name| topic(name)).collect(),
            server: Server::Topics,
            place: "127.0.0.1:23456".into(),
            people: people.clone(),
            history: History::default(),
            zone: TimeZone::UTC,
            taste: Taste {
                has_colors: false,
                has_sides: true,
                hides_topic: false,
                rings: true,
                notify: Notify::Never,
            },
            max_line_frame: 1000,
        };
        let mut ui = Ui::new(options, (columns, rows), NOON);
        ui.take_item(Item::Connection(Connection::Up));
        Self {
            ui,
            people,
            now: NOON,
            next: 1,
        }
    }

    fn passes(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.ui.set_time(self.now);
    }

    fn arrives(&mut self, topic: &str, user: &str, text: &str) {
        self.comes(topic, user, text, Arrival::Live);
    }

    fn comes(&mut self, topic: &str, user: &str, text: &str, arrival: Arrival) {
        let envelope = Envelope {
            seq: Some(self.next),
            time: Some(self.now),
            user: Some(user.into()),
            account: None,
        };
        self.next += 1;
        self.ui.take_item(Item::Message(Incoming {
            topic: topic.into(),
            text: text.into(),
            envelope,
            arrival,
        }));
    }

    /// Presses keys, with pauses, as a terminal sends them.
    fn types(&mut self, keys: &str) {
        let (mut parser, mut inputs) = (KeyParser::default(), Vec::new());
        parser.push(keys.as_bytes(), &mut inputs);
        parser.give_up(&mut inputs);
        inputs
            .into_iter()
            .for_each(|input| self.ui.take_step(BurstEvent::Input(input)));
    }

    /// The row that asks and tells.
    fn status(&self) -> String {
        self.picture()[usize::from(self.ui.areas().status.y)].clone()
    }

    fn picture(&self) -> Vec<String> {
        let canvas = self.ui.draw();
        let area = canvas.area();
        (0..area.height)
            .map(|row| canvas.line(row, 0..area.width))
            .collect()
    }

    /// What was sent: lines as `topic:text`, and what else.
    fn sent(&mut self) -> Vec<String> {
        let show = |typed| match typed {
            Typed::Addressed(Line { topic, text }) => format!("{topic}:{text}"),
            Typed::Action(Action::Request(request)) => format!("{request:?}"),
            other => format!("{other:?}"),
        };
        self.ui.take_outgoing().into_iter().map(show).collect()
    }
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("a name")
}

/// Rows without what is empty.
fn full(rows: &[String]) -> Vec<&str> {
    let rows = rows.iter().map(String::as_str);
    rows.filter(|row| !row.is_empty()).collect()
}

#[test]
fn messages_stand_above_what_is_typed_and_share_a_name_for_five_minutes() {
    let mut test = Test::new(70, 12, &["lab"]);
    test.arrives("lab", "bob", "one");
    test.passes(2 * MINUTE);
    test.arrives("lab", "bob", "two");
    test.passes(6 * MINUTE);
    test.arrives("lab", "bob", "three");
    test.arrives("lab", "carol", "four");
    test.types("half a line");
    assert_eq!(
        full(&test.picture()),
        [
            " lab                                                  127.0.0.1:23456",
            "── Thursday, 26 November ──",
            "12:00 bob    lab:one",
            "12:02        lab:two",
            "12:08 bob    lab:three",
            "12:08 carol  lab:four",
            " 1:lab",
            "> half a line",
        ]
    );
    assert_eq!(test.ui.draw().cursor, Some((13, 11)));
}

#[test]
fn long_messages_hang_below_their_beginning_and_line_breaks_are_marked() {
    let mut test = Test::new(60, 12, &["lab"]);
    test.arrives(
        "lab",
        "bob",
        "a message that is much longer than what fits into one row",
    );
    test.arrives(
        "lab",
        "bob",
        "fn main() {\n\tbody();\n12:00 carol  lab:forged",
    );
    let picture = test.picture();
    assert_eq!(
        full(&picture)[2..7],
        [
            "12:00 bob  lab:a message that is much longer than what fits",
            "           into one row",
            "12:00      lab:fn main() {",
            "         │         body();",
            "         │ 12:00 carol  lab:forged",
        ]
    );
}

#[test]
fn a_new_day_what_was_before_and_what_is_new_have_lines() {
    let mut test = Test::new(60, 16, &["lab", "lunch"]);
    test.comes("lab", "bob", "past", Arrival::Replayed { is_last: true });
    test.passes(24 * 60 * MINUTE);
    test.arrives("lab", "bob", "live");
    test.types("\u{1b}2");
    test.arrives("lab", "bob", "unread");
    assert!(
        test.picture()[14].contains("1:lab 1"),
        "{:#?}",
        test.picture()
    );
    test.types("\u{1b}1");
    assert_eq!(
        full(&test.picture())[1..9],
        [
            "── Thursday, 26 November ──",
            "── earlier ──",
            "12:00 bob  lab:past",
            "── Friday, 27 November ──",
            "── now ──",
            "12:00 bob  lab:live",
            "── new ──",
            "12:00 bob  lab:unread",
        ]
    );
}

#[test]
fn scrolling_up_holds_still_and_tells_what_is_new() {
    let mut test = Test::new(60, 12, &["lab"]);
    for number in 0..100 {
        test.arrives("lab", "bob", &format!("number {number}"));
    }
    test.types("\u{1b}[5~");
    let before = test.picture();
    assert!(before[1].ends_with("number 83"), "{before:#?}");
    for number in 100..112 {
        test.arrives("lab", "bob", &format!("number {number}"));
    }
    let after = test.picture();
    assert_eq!(before[..9], after[..9]);
    assert!(after[10].ends_with("12 new ↓"), "{after:#?}");
    test.types("\u{1b}[F");
    assert!(test.picture()[9].ends_with("number 111"));
    // Down to the end is the same as the end.
    test.types("\u{1b}[5~\u{1b}[6~");
    assert!(!test.picture()[10].contains('↓'), "{:#?}", test.picture());
    // At the top, older messages are asked for, once.
    assert_eq!(test.sent(), [""; 0]);
    test.types("\u{1b}[H\u{1b}[5~");
    assert!(
        test.picture()[3].ends_with("number 1"),
        "{:#?}",
        test.picture()
    );
    assert_eq!(
        test.sent(),
        ["History { topic: TopicName(\"lab\"), before: Some(1), limit: 200 }"]
    );
}

#[test]
fn a_search_walks_through_each_once() {
    let mut test = Test::new(60, 12, &["lab"]);
    for number in 0..50 {
        test.arrives("lab", "bob", &format!("number {number}"));
    }
    test.types("/search NUMBER 1\r");
    assert!(
        test.picture()[10].contains("\"NUMBER 1\": 1 of 11"),
        "{:#?}",
        test.picture()
    );
    assert!(test.picture().iter().any(|row| row.ends_with("number 19")));
    for at in 2..=11 {
        test.types("n");
        assert!(test.picture()[10].contains(&format!(": {at} of 11")));
    }
    test.types("n");
    assert!(test.picture()[10].contains(": 11 of 11"));
    assert!(test.picture().iter().any(|row| row.ends_with("number 1")));
    test.types("N");
    assert!(test.picture()[10].contains(": 10 of 11"));
    test.types("\u{1b}");
    test.types("x");
    assert!(test.picture()[11].starts_with("> x"));
}

#[test]
fn each_topic_keeps_its_draft_its_place_and_what_is_unread() {
    let mut test = Test::new(60, 12, &["lab", "lunch", "ops"]);
    test.types("for the lab");
    test.types("\u{e}for lunch");
    assert!(test.picture()[11].ends_with("> for lunch"));
    test.arrives("lab", "bob", "hi");
    test.arrives("ops", "bob", "Alice: help");
    assert_eq!(test.ui.take_effects(), [Effect::Bell]);
    assert_eq!(test.picture()[10], " 1:lab 1  2:lunch  3:ops !1");
    test.types("\u{1b}a");
    assert!(test.picture()[0].starts_with(" ops"));
    test.types("\u{1b}1");
    assert!(test.picture()[11].ends_with("> for the lab"));
    test.types("\r");
    assert_eq!(test.sent(), ["lab:for the lab"]);
    test.types("/topic lunch\r");
    assert!(test.picture()[11].ends_with("> for lunch"));
    test.types("\u{10}");
    assert!(test.picture()[0].starts_with(" lab"));
}

#[test]
fn what_is_sent_waits_below_until_it_has_arrived() {
    let mut test = Test::new(60, 10, &["lab"]);
    test.types("first\r");
    test.types("second\r");
    assert_eq!(test.sent(), ["lab:first", "lab:second"]);
    let picture = test.picture();
    assert_eq!(picture[6..8], ["… first", "… second"]);
    assert!(picture[8].ends_with("2 unsent"), "{picture:#?}");
    let line = |text: &str| Line {
        topic: topic("lab"),
        text: text.into(),
    };
    test.ui.take_item(Item::Delivered {
        line: line("first"),
        seq: None,
    });
    test.ui.take_item(Item::Refused(line("second")));
    let picture = test.picture();
    assert_eq!(picture[7], "12:00 alice  lab:first");
    assert_eq!(picture[8], " 1:lab");
}

#[test]
fn a_pasted_block_is_asked_about_and_nothing_of_it_is_lost() {
    let mut test = Test::new(70, 12, &["lab"]);
    let paste = "\u{1b}[200~one\rtwo\tand more\r\nthree\n\u{1b}[201~";
    test.types(paste);
    assert_eq!(test.sent(), [""; 0]);
    assert!(test.status().contains("3 lines: Enter asks"));
    test.types("\r");
    assert!(test.status().contains("send these 3 lines?"));
    test.types("n");
    test.types("\r");
    test.types("y");
    assert_eq!(test.sent(), ["lab:one", "lab:two\tand more", "lab:three"]);
    test.types(paste);
    test.types("\ro");
    assert_eq!(test.sent(), ["lab:one\ntwo\tand more\nthree"]);
    // One line is one line.
    test.types("\u{1b}[200~one\n\u{1b}[201~\r");
    assert_eq!(test.sent(), ["lab:one"]);
}

#[test]
fn a_paste_of_three_thousand_lines_is_all_there() {
    let mut test = Test::new(70, 12, &["lab"]);
    let lines: Vec<String> = (0..3000).map(|number| format!("line {number}")).collect();
    test.types(&format!("\u{1b}[200~{}\u{1b}[201~\ry", lines.join("\r")));
    let sent = test.sent();
    assert_eq!(sent.len(), 3000);
    assert!(
        sent.iter()
            .zip(&lines)
            .all(|(sent, line)| *sent == format!("lab:{line}"))
    );
}
