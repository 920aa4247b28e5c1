//! The whole screen, at every size, with the texts of real people.

use crate::peer::{Peer, listen};
use crate::person::Person;
use crate::pictures::{Other, joined, message};
use crate::server::start_server;

/// The sizes of windows: rows and columns.
const SIZES: [(u16, u16); 4] = [(10, 40), (24, 80), (40, 120), (60, 200)];

/// The rows of a picture that aren't empty, without what stands at the sides.
fn rows(picture: &str) -> Vec<String> {
    let middle = |line: &str| {
        let parts: Vec<&str> = line.split('│').collect();
        let part = match parts.as_slice() {
            [_, middle, _] => middle,
            [middle, side] if side.trim().len() < 12 && line.len() > 90 => middle,
            _ => line,
        };
        part.trim().to_owned()
    };
    let rows = picture.lines().map(middle);
    rows.filter(|row| !row.is_empty()).collect()
}

/// Their clocks aren't known before.
fn without_clock(row: &str) -> String {
    let is_clock = row.len() > 6 && row.is_char_boundary(6) && row.as_bytes()[2] == b':';
    let row = if is_clock { &row[6..] } else { row };
    row.trim_start().to_owned()
}

#[test]
fn a_person_who_joins_sees_where_they_are_and_what_is_said_at_every_size() {
    for (height, width) in SIZES {
        let server = start_server();
        let person = Person::sits_at(height, width, &["-topic", &server, "t", "lunch"]);
        person.sees("in t: alice");
        let mut bob = Other::named("bob", &server, "t");
        person.sees("bob has joined t");
        bob.says("t", "hello");
        person.types("half a 騒ぎ line");
        let picture = person.sees_above("t:hello", "> half a 騒ぎ line");
        let rows: Vec<_> = rows(&picture)
            .iter()
            .map(|row| without_clock(row))
            .collect();
        assert!(rows[0].starts_with("t · 2 here"), "{picture}");
        let end = &rows[rows.len() - 4..];
        assert_eq!(end[0], "-- bob has joined t", "{picture}");
        assert_eq!(end[1], "bob  t:hello", "{picture}");
        assert!(end[2].contains("1:t  2:lunch"), "{picture}");
        assert_eq!(picture.contains("│ alice"), width >= 100, "{picture}");
        assert_eq!(picture.contains("1 t "), width >= 120, "{picture}");
        person.types("\r");
        person.sees_above("t:half a 騒ぎ line", ">");
    }
}

#[test]
fn texts_of_every_kind_keep_their_rows_apart() {
    for (height, width) in SIZES {
        let server = start_server();
        let person = joined(height, width, &server, &["--no-sides"]);
        let mut bob = Other::named("bob", &server, "t");
        person.sees("bob has joined");
        for text in [
            "👨\u{200d}👩\u{200d}👧👍🏽🇩🇪",
            "سلام שלום",
            "騒ぎだ 한국어",
            "e\u{301}tude",
            "end",
        ] {
            bob.says("t", text);
        }
        let picture = person.sees_above("t:end", ">");
        let rows: Vec<String> = rows(&picture)
            .iter()
            .map(|row| without_clock(row))
            .collect();
        let at = rows.iter().position(|row| row.ends_with("t:end")).unwrap();
        assert!(rows[at - 1].ends_with("t:e\u{301}tude"), "{picture}");
        assert!(rows[at - 2].ends_with("t:騒ぎだ 한국어"), "{picture}");
        assert!(rows[at - 3].ends_with("t:سلام שלום"), "{picture}");
        assert!(rows[at - 4].contains("t:👨"), "{picture}");
        // Drawn over, nothing of it is left.
        person.types("\u{c}/help\r");
        let picture = person.sees("another one.");
        assert!(!picture.contains('👨') || height > 20, "{picture}");
    }
}

#[test]
fn a_window_that_changes_its_size_loses_and_doubles_no_message() {
    let server = start_server();
    let person = joined(30, 40, &server, &["--no-sides"]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    for number in 0..6 {
        bob.says(
            "t",
            &format!("message number {number}, which is longer than a row"),
        );
    }
    let typed = "a line that will not fit into a narrow window";
    person.types(typed);
    for width in [60, 80, 100, 40, 100, 40] {
        person.resizes(30, width);
        let is_whole = |picture: &str| {
            let text: String = rows(picture).join(" ");
            let counts = (0..6).map(|number| text.matches(&format!("number {number},")).count());
            counts.eq([1; 6]) && text.replace(' ', "").ends_with(&typed.replace(' ', ""))
        };
        person.waits_for("each message once", is_whole);
    }
}

#[test]
fn tiny_windows_and_windows_without_a_size_stop_nothing() {
    for (height, width) in [(5, 10), (1, 1), (2, 3)] {
        let server = start_server();
        let mut person = Person::sits_at(height, width, &["-topic", &server, "t"]);
        let mut bob = Other::named("bob", &server, "t");
        bob.says("t", "hello there");
        person.types("x");
        person.waits_for("what is typed", |picture| {
            picture.trim_end().ends_with('x') || width == 1
        });
        person.resizes(24, 80);
        person.sees_above("-- in t: ", "> x");
        person.types("\u{3}\u{3}");
        assert_eq!(person.exit_code(), Some(130));
    }
    let server = start_server();
    let person = Person::without_a_size(&["-topic", &server, "t"]);
    person.sees("-- in t: alice");
}

#[test]
fn a_paste_of_three_thousand_lines_arrives_whole_with_marks_or_without() {
    for marks in [("\u{1b}[200~", "\u{1b}[201~"), ("", "")] {
        let server = start_server();
        let person = joined(24, 80, &server, &[]);
        let mut bob = Other::named("bob", &server, "t");
        person.sees("bob has joined");
        let lines: Vec<String> = (0..3_000)
            .map(|number| format!("{number}:\tpasted"))
            .collect();
        person.types(&format!("{}{}\r{}", marks.0, lines.join("\r"), marks.1));
        if !marks.0.is_empty() {
            person.sees("3000 lines: Enter asks");
            person.types("\r");
        }
        person.sees("send these 3000 lines?");
        person.types("y");
        for line in &lines {
            assert_eq!(bob.hears(), *line);
        }
        // Everything has arrived, and is shown once.
        person.waits_for("an end", |picture| {
            picture.matches("2999:").count() == 1 && !picture.contains("unsent")
        });
    }
}

#[test]
fn two_topics_are_told_apart() {
    let server = start_server();
    let person = joined(20, 90, &server, &["two"]);
    let mut bob = Other::named("bob", &server, "two");
    bob.says("two", "over here, alice");
    person.sees("2:two !1");
    person.types("draft");
    person.types("\u{1b}2");
    let picture = person.sees("bob  two:over here, alice");
    assert!(picture.contains(" two · 2 here: alice, bob"), "{picture}");
    person.sees_last(">");
    person.types("coming\r");
    assert_eq!(bob.hears(), "coming");
    person.types("\u{1b}1");
    person.sees_last("> draft");
    person.types("\u{15}/join three\r");
    person.sees("-- joined three at");
    person.types("/leave\r");
    person.sees(" two · ");
    person.types("/topic three\r");
    person.sees("you aren't in three");
    person.types("\u{15}/leave two\r");
    person.sees(" t · 1 here");
}

#[test]
fn older_messages_come_when_somebody_scrolls_past_the_oldest() {
    let server = start_server();
    let mut bob = Other::named("bob", &server, "t");
    for number in 0..300 {
        bob.says("t", &format!("number {number}"));
    }
    bob.is_done();
    let person = joined(24, 80, &server, &["--last", "20"]);
    person.sees("number 299");
    person.presses_until("\u{1b}[H", "number 80");
    person.presses_until("\u{1b}[H", "number 0");
    bob.says("t", "still live");
    person.sees("1 new ↓");
    person.types("\u{1b}[F");
    let picture = person.sees("still live");
    assert_eq!(picture.matches("number 299").count(), 1, "{picture}");
}

#[test]
fn what_was_said_before_is_told_from_what_is_said_now() {
    let server = start_server();
    let mut bob = Other::named("bob", &server, "t");
    for text in ["one", "two", "three"] {
        bob.says("t", text);
    }
    bob.is_done();
    let person = joined(20, 60, &server, &["--last", "2"]);
    person.sees("── earlier ──");
    bob.says("t", "four");
    let picture = person.sees_above("t:four", ">");
    let rows: Vec<String> = rows(&picture)
        .iter()
        .map(|row| without_clock(row))
        .collect();
    let rows: Vec<&str> = rows
        .iter()
        .map(String::as_str)
        .filter(|row| !row.starts_with("--"))
        .skip_while(|row| !row.contains("earlier"))
        .collect();
    let expected = [
        "── earlier ──",
        "bob  t:two",
        "t:three",
        "── now ──",
        "bob  t:four",
    ];
    assert_eq!(rows[..5], expected, "{picture}");
}

#[test]
fn a_line_waits_in_sight_until_it_has_arrived() {
    let (listener, address) = listen();
    let person = Person::sits_at(16, 60, &["-topic", &address, "t"]);
    let mut server = Peer::accept_registered(&listener, "t");
    person.sees("-- joined t");
    person.types("into the void\r");
    let before = message(&mut server);
    person.sees_above("… into the void", ">");
    drop(server);
    person.sees("is lost");
    person.sees("1 unsent");
    let mut server = Peer::accept_registered(&listener, "t");
    let again = message(&mut server);
    assert_eq!(again["extended"], before["extended"]);
    server.acknowledges(&again, 1);
    let picture = person.sees("t:into the void");
    assert!(!picture.contains("… into"), "{picture}");
    assert!(!picture.contains("unsent"), "{picture}");
}
