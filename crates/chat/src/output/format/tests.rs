//! What a person sees of each thing that happens.

use wire::Envelope;

use super::*;

const UTC: TimeZone = TimeZone::UTC;
/// Noon of a day long gone.
const NOON: u64 = 1_763_812_800_000;

fn formatter(paint: Paint) -> Formatter {
    let people = People::default();
    people.set_me("alice");
    Formatter::new(paint, true, UTC, people)
}

fn message(topic: &str, text: &str, user: Option<&str>, arrival: Arrival) -> Incoming {
    Incoming {
        topic: topic.into(),
        text: text.into(),
        envelope: Envelope {
            seq: None,
            time: Some(NOON),
            user: user.map(Into::into),
        },
        arrival,
    }
}

fn shown(topic: &str, text: &str, user: Option<&str>) -> String {
    let mut out = String::new();
    let message = message(topic, text, user, Arrival::Live);
    formatter(Paint::new(false)).push_message(&mut out, &message);
    out
}

#[test]
fn a_message_is_what_the_specification_prints_with_a_time_and_a_name() {
    let line = shown(
        "lame-conversation",
        "This is such a lame message",
        Some("bob"),
    );
    assert_eq!(
        line,
        "22 Nov 12:00 bob  lame-conversation:This is such a lame message\n"
    );
    assert_eq!(shown("t", "hi", None), "22 Nov 12:00 t:hi\n");
}

#[test]
fn nothing_in_it_steers_the_terminal_or_looks_like_another_line() {
    let line = shown(
        "t\u{1b}[2J",
        "a\u{7}\u{202e}\r\nbob  t:forged",
        Some("b\u{200d}ob"),
    );
    assert_eq!(
        line,
        "22 Nov 12:00 b\\u200dob  t\\u001b[2J:a\\u0007\\u202e\\r\n      │ bob  t:forged\n"
    );
}

#[test]
fn a_name_that_may_look_like_another_is_marked() {
    assert!(shown("t", "hi", Some("\u{430}lice")).contains("lice(!)  t:hi"));
}

#[test]
fn a_mention_rings_once_and_only_as_a_word_and_not_of_the_past() {
    let rings = |text: &str| shown("t", text, Some("bob")).matches('\u{7}').count();
    assert_eq!(rings("alice: alice, are you there?"), 1);
    assert_eq!(rings("thanks, @Alice!"), 1);
    assert_eq!(rings("malice and alice_2"), 0);
    // The editor would end the line once more.
    assert!(shown("t", "alice?", Some("bob")).ends_with('\n'));
    let mut out = String::new();
    let replayed = Arrival::Replayed { is_last: false };
    let past = message("t", "alice", Some("bob"), replayed);
    formatter(Paint::new(false)).push_message(&mut out, &past);
    assert!(!out.contains('\u{7}'), "{out:?}");
}

#[test]
fn rules_tell_what_was_said_before_from_what_is_said_now() {
    let mut formatter = formatter(Paint::new(false));
    let mut out = String::new();
    for (text, arrival) in [
        ("one", Arrival::Replayed { is_last: false }),
        ("two", Arrival::Replayed { is_last: true }),
        ("three", Arrival::Live),
        ("four", Arrival::Replayed { is_last: false }),
        ("five", Arrival::Live),
    ] {
        formatter.push_message(&mut out, &message("t", text, None, arrival));
    }
    let lines: Vec<_> = out
        .lines()
        .map(|line| line.trim_start_matches("22 Nov 12:00 "))
        .collect();
    let (earlier, now) = ("──── earlier ────", "──── now ────");
    assert_eq!(
        lines,
        [
            earlier, "t:one", "t:two", now, "t:three", earlier, "t:four", now, "t:five"
        ]
    );
}

#[test]
fn with_colors_a_name_has_its_own_and_the_text_is_left_alone() {
    let mut out = String::new();
    let message = message("t", "hi", Some("bob"), Arrival::Live);
    formatter(Paint::new(true)).push_message(&mut out, &message);
    assert!(
        out.starts_with("\u{1b}[2m22 Nov 12:00\u{1b}[0m \u{1b}[38;5;"),
        "{out:?}"
    );
    assert!(out.ends_with("mbob\u{1b}[0m  t:hi\n"), "{out:?}");
}

#[test]
fn what_was_shown_is_found_whatever_its_case() {
    let mut formatter = formatter(Paint::new(false));
    let mut out = String::new();
    for text in ["Pizza?", "no", "pizza!"] {
        formatter.push_message(&mut out, &message("t", text, Some("bob"), Arrival::Live));
    }
    out.clear();
    formatter.push_found(&mut out, "PIZZA");
    assert!(out.contains("2 lines with \"PIZZA\""), "{out}");
    assert!(
        out.contains("t:Pizza?\n") && out.contains("t:pizza!\n"),
        "{out}"
    );
    assert!(!out.contains("t:no"), "{out}");
}
