//! The lines of an exported history: JSON objects, one a line.
//!
//! The first says what the file is. Then come the topics in the order of their names: their
//! messages, each a line, and the topic's head. The last line counts all of them, so a file that
//! was cut off is noticed.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;
use wire::{EnvelopeWriter, UserName};

use crate::clock::Correction;
use crate::store::error::Damaged;

/// The version of this format. Another one can't be imported.
pub(super) const VERSION: u64 = 1;

/// What comes before the envelope of a stored line.
const HEAD: &[u8] = b"{\"extended\":";

/// Any line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    #[serde(rename = "natter-history")]
    pub(super) version: Option<u64>,
    /// For people.
    #[serde(rename = "server")]
    _server: Option<serde::de::IgnoredAny>,
    pub(super) secret: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) corrections: Vec<(u64, u64, i64)>,
    pub(super) topic: Option<Cow<'a, str>>,
    pub(super) epoch: Option<Cow<'a, str>>,
    pub(super) seq: Option<u64>,
    pub(super) time: Option<u64>,
    pub(super) index: Option<u64>,
    pub(super) user: Option<Cow<'a, str>>,
    pub(super) account: Option<Cow<'a, str>>,
    pub(super) publisher: Option<Cow<'a, str>>,
    pub(super) id: Option<(Cow<'a, str>, Cow<'a, str>)>,
    pub(super) frame: Option<Cow<'a, str>>,
    pub(super) line: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) head: Option<Head<'a>>,
    pub(super) end: Option<End>,
    /// What could not be read when the history was exported.
    #[serde(borrow)]
    pub(super) problem: Option<&'a RawValue>,
}

/// The end of a topic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head<'a> {
    #[serde(borrow)]
    pub(super) topic: Cow<'a, str>,
    pub(super) epoch: Cow<'a, str>,
    /// The oldest message that is kept; the one after the newest if there is none.
    pub(super) first: u64,
    /// The newest number that was given.
    pub(super) seq: u64,
}

/// The last line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct End {
    pub(crate) topics: u64,
    pub(crate) messages: u64,
    /// Lines about what is damaged.
    pub(crate) problems: u64,
}

impl End {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let Self {
            topics,
            messages,
            problems,
        } = self;
        // Writing into memory can't fail, here and below.
        let _ = writeln!(
            out,
            r#"{{"end":{{"topics":{topics},"messages":{messages},"problems":{problems}}}}}"#
        );
    }

    /// Reads the last line of what a tool has printed; `None` if it was cut off.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Last {
            end: End,
        }
        let last: Last = serde_json::from_slice(line).ok()?;
        Some(last.end)
    }
}

/// What the first line says.
pub(super) struct About<'a> {
    /// Milliseconds since the Unix epoch.
    pub(super) time: u64,
    pub(super) secret: Option<[u8; 16]>,
    pub(super) corrections: &'a [Correction],
}

impl About<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (time, server) = (self.time, env!("CARGO_PKG_VERSION"));
        let _ = write!(
            out,
            r#"{{"natter-history":{VERSION},"server":"topicserver {server}","time":{time}"#
        );
        if let Some(secret) = self.secret {
            let _ = write!(out, r#","secret":"{:032x}""#, u128::from_be_bytes(secret));
        }
        if !self.corrections.is_empty() {
            let of = |one: &Correction| format!("[{},{},{}]", one.from, one.to, one.shift);
            let all: Vec<_> = self.corrections.iter().map(of).collect();
            let _ = write!(out, r#","corrections":[{}]"#, all.join(","));
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Writes a line about something that is damaged.
pub(super) fn write_problem(
    topic: Option<&str>,
    seq: Option<u64>,
    what: &dyn Display,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"problem\":{");
    if let Some(topic) = topic {
        out.extend_from_slice(b"\"topic\":");
        write_text(topic, out);
        out.push(b',');
    }
    if let Some(seq) = seq {
        let _ = write!(out, "\"seq\":{seq},");
    }
    out.extend_from_slice(b"\"what\":");
    write_text(&what.to_string(), out);
    out.extend_from_slice(b"}}\n");
}

/// A message that was taken out of a stored line.
pub(super) struct Parts {
    pub(super) envelope: wire::Envelope,
    /// The frame as its publisher sent it. `None`: the line can't be made of it again, because
    /// another release has written it, so all of it is kept.
    pub(super) frame: Option<Vec<u8>>,
}

impl Parts {
    /// Takes a line apart, which ends without its line feed.
    pub(super) fn of(seq: u64, line: &[u8]) -> Result<Self, Damaged> {
        let object = line
            .strip_prefix(HEAD)
            .ok_or(Damaged("a message without its envelope"))?;
        let mut envelopes =
            serde_json::Deserializer::from_slice(object).into_iter::<wire::Envelope>();
        let Some(Ok(envelope)) = envelopes.next() else {
            return Err(Damaged("a message whose envelope can't be read"));
        };
        if envelope.seq != Some(seq) {
            return Err(Damaged("a message with the number of another one"));
        }
        let rest = object.get(envelopes.byte_offset() + 1..).unwrap_or(&[]);
        let frame = [b"{", rest].concat();
        let again = stored_line(&envelope, seq, &frame);
        let frame = (again.as_deref() == Some(line)).then_some(frame);
        Ok(Self { envelope, frame })
    }
}

/// A frame as it is stored, without a line feed; `None` if no server would write this envelope.
pub(super) fn stored_line(envelope: &wire::Envelope, seq: u64, frame: &[u8]) -> Option<Vec<u8>> {
    let name = |name: &Option<String>| match name {
        Some(name) => UserName::new(name).ok().map(Some),
        None => Some(None),
    };
    let (user, account) = (name(&envelope.user)?, name(&envelope.account)?);
    let writer = EnvelopeWriter::new(envelope.time?, user.as_ref(), account.as_ref());
    let mut line = Vec::with_capacity(frame.len() + writer.growth(Some(seq)));
    writer.write(Some(seq), frame, &mut line);
    Some(line)
}

/// Writes a text as JSON. What could control a terminal, or change the order of what is shown
/// there, is escaped.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    let begin = out.len();
    let _ = serde_json::to_writer(&mut *out, text);
    // The first bytes of all characters that `is_risky` knows.
    if memchr::memchr3(0x7f, 0xc2, 0xe2, &out[begin..]).is_none() {
        return;
    }
    let written = out.split_off(begin);
    for character in String::from_utf8_lossy(&written).chars() {
        let mut bytes = [0; 4];
        match is_risky(character) {
            true => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            false => out.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes()),
        }
    }
}

fn is_risky(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2066}'..='\u{2069}')
}

/// The lines of an entry, without their line feeds.
pub(super) fn lines_of(lines: &[u8], count: u32) -> Result<Vec<&[u8]>, Damaged> {
    let body = lines
        .strip_suffix(b"\n")
        .ok_or(Damaged("a message without its end"))?;
    let found: Vec<_> = body.split(|&byte| byte == b'\n').collect();
    match u32::try_from(found.len()) {
        Ok(len) if len == count => Ok(found),
        _ => Err(Damaged("more or fewer messages than it says")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_and_made_again() {
        let envelope = wire::Envelope {
            seq: Some(7),
            time: Some(5),
            user: Some("al\"ice".to_owned()),
            account: Some("al".to_owned()),
        };
        let frame = b"{ \"message\" :{\"topic\":\"T\",\"text\":\"a}\\u0000\"},\"x\":1e9}";
        let line = stored_line(&envelope, 7, frame).unwrap();
        let parts = Parts::of(7, &line).unwrap();
        assert_eq!(parts.envelope, envelope);
        assert_eq!(parts.frame.as_deref(), Some(&frame[..]));
        assert!(Parts::of(8, &line).is_err());
    }

    #[test]
    fn a_line_of_another_release_is_kept_whole() {
        for line in [
            "{\"extended\":{\"time\":5,\"seq\":7},\"message\":{}}",
            "{\"extended\":{\"seq\":7,\"time\":5,\"new\":1},\"message\":{}}",
            "{\"extended\":{\"seq\":7,\"time\":5} ,\"message\":{}}",
            "{\"extended\":{\"seq\":7}}",
        ] {
            assert!(
                Parts::of(7, line.as_bytes()).unwrap().frame.is_none(),
                "{line}"
            );
        }
        for line in ["", "{\"message\":{}}", "{\"extended\":", "{\"extended\":7"] {
            assert!(Parts::of(7, line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn no_text_controls_a_terminal_and_each_comes_back() {
        let text = "a\u{1b}[2J\u{7f}\u{9b}é\u{202e}\u{2067}€\u{2028}\"\\ z\n";
        let mut out = Vec::new();
        write_text(text, &mut out);
        let shown = String::from_utf8(out).unwrap();
        assert!(
            !shown.chars().any(|c| c.is_control() || is_risky(c)),
            "{shown}"
        );
        assert!(shown.contains('é') && shown.contains('€'));
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }

    #[test]
    fn the_end_is_read_and_nothing_else() {
        let end = End {
            topics: 1,
            messages: 2,
            problems: 3,
        };
        let mut line = Vec::new();
        end.write(&mut line);
        assert_eq!(End::read(&line), Some(end));
        assert_eq!(End::read(&line[..line.len() - 3]), None);
        assert_eq!(End::read(b"{\"topic\":\"end\"}"), None);
    }

    #[test]
    fn lines_are_counted() {
        assert_eq!(lines_of(b"a\nb\n", 2).unwrap(), [b"a", b"b"]);
        assert!(lines_of(b"a\nb\n", 1).is_err());
        assert!(lines_of(b"a\nb", 2).is_err());
        assert!(lines_of(b"", 0).is_err());
    }
}
