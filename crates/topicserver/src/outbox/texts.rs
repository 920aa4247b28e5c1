//! Lines as plain text, for people who read a stream in a terminal and have no JSON tool: a
//! message is `NAME: TEXT`, and other events are in brackets.

use std::borrow::Cow;

use serde::Deserialize;
use wire::{Gap, ReportedError};

/// The parts of a frame that are shown.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    extended: Option<Extended<'a>>,
    #[serde(borrow)]
    message: Option<Shown<'a>>,
}

#[derive(Deserialize)]
struct Extended<'a> {
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    gap: Option<Gap<'a>>,
    #[serde(borrow)]
    error: Option<ReportedError<'a>>,
}

#[derive(Deserialize)]
struct Shown<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// Whether each message names its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topics {
    /// The topic is named, in brackets.
    Named,
    /// The topic isn't named, because there is only one.
    Hidden,
}

/// Whole lines as plain text. Frames that mean nothing to a person are left out.
pub(super) fn write_texts(lines: &[u8], topics: Topics) -> Vec<u8> {
    let mut out = String::new();
    for line in lines.split(|byte| *byte == b'\n') {
        if let Ok(line) = serde_json::from_slice::<Line<'_>>(line) {
            if topics == Topics::Named {
                write_topic(&line, &mut out);
            }
            write_line(&line, &mut out);
        }
    }
    out.into_bytes()
}

/// Writes `[TOPIC] ` before a frame that belongs to a topic.
fn write_topic(line: &Line<'_>, out: &mut String) {
    let extended = line.extended.as_ref();
    let gap = extended.and_then(|extended| extended.gap.as_ref());
    let message = line.message.as_ref();
    let topic = message
        .map(|message| &message.topic)
        .or(gap.map(|gap| &gap.topic));
    if let Some(topic) = topic {
        out.push('[');
        push_shown(topic, out);
        out.push_str("] ");
    }
}

fn write_line(line: &Line<'_>, out: &mut String) {
    let extended = line.extended.as_ref();
    if let Some(message) = &line.message {
        if let Some(user) = extended.and_then(|extended| extended.user.as_deref()) {
            push_shown(user, out);
            out.push_str(": ");
        }
        push_shown(&message.text, out);
    } else if let Some(gap) = extended.and_then(|extended| extended.gap.as_ref()) {
        let count = gap.to.saturating_sub(gap.from) + 1;
        let what = if count == 1 {
            "message is"
        } else {
            "messages are"
        };
        out.push_str(&format!("[{count} {what} no longer in the history]"));
    } else if let Some(error) = extended.and_then(|extended| extended.error.as_ref()) {
        out.push('[');
        push_shown(&format!("{}: {}", error.code, error.text), out);
        out.push(']');
    } else {
        return;
    }
    out.push('\n');
}

/// Appends a text that is safe for a terminal: characters that could control it, or change the
/// order of letters, are replaced. Further lines are indented, so that none of them looks like a
/// message.
fn push_shown(text: &str, out: &mut String) {
    let text = text.strip_suffix('\n').unwrap_or(text);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\n  "),
            '\t' => out.push('\t'),
            _ if character.is_control() || is_reordering(character) => {
                out.push(char::REPLACEMENT_CHARACTER);
            }
            _ => out.push(character),
        }
    }
}

/// Whether a character changes the direction of those after it, or ends a line.
fn is_reordering(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> String {
        String::from_utf8(write_texts(format!("{line}\n").as_bytes(), Topics::Hidden)).unwrap()
    }

    #[test]
    fn a_message_is_its_name_and_text() {
        let named =
            r#"{"extended":{"seq":1,"time":2,"user":"anna"},"message":{"topic":"t","text":"hi"}}"#;
        assert_eq!(text(named), "anna: hi\n");
        let nameless = r#"{"extended":{"seq":1,"time":2},"message":{"topic":"t","text":"a\nb\n"}}"#;
        assert_eq!(text(nameless), "a\n  b\n");
    }

    #[test]
    fn nothing_in_a_message_can_steer_a_terminal_or_pass_for_another_message() {
        let line = r#"{"extended":{"seq":1,"time":2,"user":"a\u202eb"},"message":{"topic":"t","text":"\u001b[2Jx\r\nroot: y\u2028z\ta"}}"#;
        let replaced = "a\u{fffd}b: \u{fffd}[2Jx\u{fffd}\n  root: y\u{fffd}z\ta\n";
        assert_eq!(text(line), replaced);
    }

    #[test]
    fn what_is_missing_and_what_went_wrong_is_said() {
        let gap = r#"{"extended":{"gap":{"topic":"t","from":3,"to":5}}}"#;
        assert_eq!(text(gap), "[3 messages are no longer in the history]\n");
        let gap = r#"{"extended":{"gap":{"topic":"t","from":3,"to":3}}}"#;
        assert_eq!(text(gap), "[1 message is no longer in the history]\n");
        let error = r#"{"extended":{"error":{"code":"slow-reader","text":"too slow"}}}"#;
        assert_eq!(text(error), "[slow-reader: too slow]\n");
        assert_eq!(text(r#"{"extended":{"registered":{"topics":{}}}}"#), "");
    }

    #[test]
    fn of_several_topics_each_is_named() {
        let text = |line: &str| {
            let texts = write_texts(format!("{line}\n").as_bytes(), Topics::Named);
            String::from_utf8(texts).unwrap()
        };
        let named = r#"{"extended":{"seq":1,"time":2,"user":"anna"},"message":{"topic":"a,b/c","text":"hi"}}"#;
        assert_eq!(text(named), "[a,b/c] anna: hi\n");
        let gap = r#"{"extended":{"gap":{"topic":"t","from":3,"to":5}}}"#;
        assert_eq!(text(gap), "[t] [3 messages are no longer in the history]\n");
        let error = r#"{"extended":{"error":{"code":"slow-reader","text":"too slow"}}}"#;
        assert_eq!(text(error), "[slow-reader: too slow]\n");
        assert_eq!(text(r#"{"extended":{"registered":{"topics":{}}}}"#), "");
    }
}
