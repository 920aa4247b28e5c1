//! What must hold for any bytes at all: checks that take whatever a fuzzer makes
//! up and panic where the scanner or the frames break their word.
//!
//! `fuzz/fuzz_targets` run them under libFuzzer, `tests/mutations.rs` with
//! proptest; the oracle is `serde_json`. No check knows how the code under test
//! works.

use std::net::{Ipv4Addr, SocketAddr};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use wire::{
    Endpoint, Frame, FrameError, Limits, Message, Received, Registration, Scan, ScanError, Scanner,
    Value,
};

/// One value that was found: its bytes, and what the scanner says of it, counted
/// from its first byte.
type Found = (Vec<u8>, Value);

/// The scanner: the same values and the same error however the bytes are cut,
/// exactly what the oracle accepts, and nothing held beyond the limit.
pub(crate) fn scanner(data: &[u8]) {
    // White space ends a number that stands alone.
    let stream = [data, b" "].concat();
    let mut random = Random::seeded_with(data);
    let small = Limits {
        max_frame: random.in_range(1, 80),
        max_depth: random.in_range(1, 8),
    };
    for limits in [Limits::default(), small] {
        let whole = scan_in_pieces(limits, &stream, || usize::MAX);
        for (bytes, value) in &whole.0 {
            check_value(limits, bytes, value);
        }
        check_against_oracle(limits, data, &whole);
        let any_size = || random.in_range(1, 24);
        assert_eq!(scan_in_pieces(limits, &stream, any_size), whole, "any");
        assert_eq!(scan_in_pieces(limits, &stream, || 1), whole, "bytewise");
    }
}

/// The frames: reading never panics, says what the oracle says, and whatever was
/// read can be written and read again.
pub(crate) fn frame(data: &[u8]) {
    let stream = [data, b" "].concat();
    let (found, error) = scan_in_pieces(Limits::default(), &stream, || usize::MAX);
    if let Some(error) = error {
        check_text(&error.to_string());
    }
    for (bytes, value) in &found {
        let is_twice = value.notes.duplicate.is_some();
        assert_eq!(has_key_twice(bytes).unwrap_or(is_twice), is_twice);
        let expected = serde_json::from_slice::<serde_json::Value>(bytes).ok();
        match Frame::read(bytes, value) {
            Ok(Frame::Registration { topics: names, .. }) => {
                let names: Vec<_> = names.iter().map(ToString::to_string).collect();
                if let Some(expected) = &expected {
                    assert_eq!(names, unique_names(&expected["topics"]));
                }
                check_registration_again(&names);
            }
            Ok(Frame::Message { topic, text, .. }) => {
                let text = text.decode();
                if let Some(expected) = &expected {
                    assert_eq!(expected["message"]["topic"], *topic);
                    assert_eq!(expected["message"]["text"], *text);
                }
                let received = Received::read(bytes, value).expect("a message is received");
                assert_eq!(
                    (received.topic.decode(), received.text.decode()),
                    (topic.clone(), text.clone())
                );
                check_message_again(&topic, &text);
            }
            Ok(Frame::Request(_)) => {
                if let Some(expected) = &expected {
                    let keys = expected.as_object().expect("a request is an object");
                    assert!(keys.contains_key("extended"));
                    assert!(!keys.contains_key("topics") && !keys.contains_key("message"));
                }
            }
            Err(error) => check_refusal(bytes, value, &error, expected.as_ref()),
        }
    }
}

/// Feeds `stream` in pieces and collects what is found and the error that ends it.
/// Panics when the caller would have to keep more than the limit.
fn scan_in_pieces(
    limits: Limits,
    stream: &[u8],
    mut size: impl FnMut() -> usize,
) -> (Vec<Found>, Option<ScanError>) {
    let mut scanner = Scanner::new(limits);
    let mut found = Vec::new();
    // What is handed over are the bytes from the last value's end to `arrived`.
    let (mut begin, mut arrived) = (0, 0);
    while arrived < stream.len() {
        arrived = arrived.saturating_add(size()).min(stream.len());
        loop {
            let bytes = &stream[begin..arrived];
            match scanner.scan(bytes) {
                Ok(Scan::Value(value)) => {
                    assert!(bytes[..value.start].iter().all(is_space), "passed over");
                    let frame = bytes[value.start..value.end].to_vec();
                    begin += value.end;
                    let (start, end) = (0, frame.len());
                    found.push((
                        frame,
                        Value {
                            start,
                            end,
                            ..value
                        },
                    ));
                }
                Ok(Scan::Blank) => {
                    assert!(bytes.iter().all(is_space), "called blank");
                    begin = arrived;
                    break;
                }
                Ok(Scan::Partial) => {
                    let begun = bytes.iter().skip_while(|byte| is_space(byte)).count();
                    assert!(begun < limits.max_frame, "{begun} bytes to keep");
                    break;
                }
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

/// One value keeps to the limits, and its notes point into it.
fn check_value(limits: Limits, bytes: &[u8], value: &Value) {
    assert!(is_json(bytes), "accepted: {}", bytes.escape_ascii());
    assert!(bytes.len() <= limits.max_frame);
    assert!(depth(bytes) <= limits.max_depth);
    let breaks = bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    assert_eq!(value.line_break, breaks);
    let notes = &value.notes;
    for span in [notes.topics, notes.message, notes.topic, notes.text] {
        assert!(span.is_none_or(|span| is_json(&bytes[span.range()])));
    }
    if let Some(member) = notes.extended {
        let object = [b"{", &bytes[member.range()], b"}"].concat();
        assert!(is_json(&object), "{}", object.escape_ascii());
    }
}

/// All of `data` is one value for the scanner exactly when it is for the oracle,
/// and when it is not, the error names a byte that can't follow those before it.
fn check_against_oracle(limits: Limits, data: &[u8], whole: &(Vec<Found>, Option<ScanError>)) {
    let (found, error) = whole;
    let trimmed = trim(data);
    // The end of a lone number is known by the byte that follows, which counts.
    let counted = trimmed.len() + usize::from(trimmed.last().is_some_and(u8::is_ascii_digit));
    let allowed =
        is_json(trimmed) && counted <= limits.max_frame && depth(trimmed) <= limits.max_depth;
    let accepted = error.is_none() && matches!(&found[..], [(bytes, _)] if bytes == trimmed);
    assert_eq!(accepted, allowed, "{}", data.escape_ascii());
    if let (Some(ScanError::NotJson { offset, .. }), []) = (error, &found[..])
        && let Some(wrong) = trimmed.get(..=*offset)
    {
        assert!(!is_json(wrong), "refused: {}", wrong.escape_ascii());
    }
}

/// A refusal is right, can be told and logged, and spoils nothing for whoever only
/// receives.
fn check_refusal(
    bytes: &[u8],
    value: &Value,
    error: &FrameError,
    expected: Option<&serde_json::Value>,
) {
    check_text(&error.to_string());
    if let Some(expected) = expected {
        let has = |key: &str| expected.get(key).is_some();
        let kinds = (has("topics"), has("message"), has("extended"));
        let is_right = match error {
            FrameError::NotAnObject(_) => !expected.is_object(),
            FrameError::Unknown => expected.is_object() && kinds == (false, false, false),
            FrameError::Extended => kinds == (false, false, true),
            FrameError::Ambiguous => (kinds.0, kinds.1) == (true, true),
            FrameError::Missing(key) => expected["message"].get(key).is_none(),
            FrameError::Duplicate(_) => has_key_twice(bytes) == Some(true),
            FrameError::WrongType { .. } => kinds.0 != kinds.1,
            FrameError::BadTopic(_) => kinds.0 != kinds.1 || kinds == (false, false, true),
            FrameError::BadExtended(_) => kinds.2,
            FrameError::SeveralRequests => kinds == (false, false, true),
        };
        assert!(is_right, "{error}: {}", bytes.escape_ascii());
    }
    if let Ok(received) = Received::read(bytes, value) {
        // A receiver may show what a server doesn't relay: any topic, and a
        // message beside other keys.
        let (topic, text) = (received.topic.decode(), received.text.decode());
        assert!(topic.len() + text.len() <= 3 * bytes.len());
    }
}

/// What peers are told fits into a line and holds nothing that steers a terminal.
fn check_text(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 200, "{text:?}");
}

fn check_registration_again(names: &[String]) {
    let topics: Vec<_> = names
        .iter()
        .map(|name| name.parse().expect("a name that was read is allowed"))
        .collect();
    let line = Registration {
        source: end(),
        topics: &topics,
        extended: None,
    }
    .to_line();
    let (bytes, value) = only_frame_of(&line);
    match Frame::read(&bytes, &value) {
        Ok(Frame::Registration { topics: again, .. }) => assert_eq!(again, topics),
        other => panic!("{other:?}"),
    }
}

fn check_message_again(topic: &str, text: &str) {
    let (source, destination) = (end(), end());
    let line = Message {
        source,
        destination,
        topic,
        text,
    }
    .to_line();
    let (bytes, value) = only_frame_of(&line);
    match Frame::read(&bytes, &value) {
        Ok(Frame::Message {
            topic: topic_again,
            text: text_again,
            id: None,
        }) => {
            assert_eq!((&*topic_again, &*text_again.decode()), (topic, text));
        }
        other => panic!("{other:?}"),
    }
}

/// Scans a line that we wrote: one frame, one line break, at its end.
fn only_frame_of(line: &[u8]) -> Found {
    let breaks = line.iter().filter(|byte| **byte == b'\n').count();
    assert!(
        breaks == 1 && line.ends_with(b"\n"),
        "{}",
        line.escape_ascii()
    );
    // Escaping makes text up to six times as long.
    let limits = Limits {
        max_frame: Limits::LARGEST_FRAME,
        ..Limits::default()
    };
    let (mut found, error) = scan_in_pieces(limits, line, || usize::MAX);
    assert_eq!((found.len(), error), (1, None), "{}", line.escape_ascii());
    found.remove(0)
}

fn end() -> Endpoint {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 2000)).into()
}

/// The names as the oracle reads them, each once.
fn unique_names(topics: &serde_json::Value) -> Vec<String> {
    let mut names = Vec::new();
    let listed = topics
        .as_array()
        .map_or(std::slice::from_ref(topics), Vec::as_slice);
    for name in listed {
        let name = name.as_str().expect("a registration's topics are strings");
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The oracle. It doesn't look at the encoding of what it passes over.
fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text)
        .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

/// Whether one of the keys that decide a frame's way is there twice, as the oracle
/// reads it; `None` where it refuses some key, which has half a surrogate pair.
fn has_key_twice(json: &[u8]) -> Option<bool> {
    let twice = |members: &Members, keys: &[&str]| {
        let count = |key: &&str| members.0.iter().filter(|(name, _)| name == key).count();
        keys.iter().any(|key| count(key) > 1)
    };
    let outer = Members::of(std::str::from_utf8(json).ok()?)?;
    let message = outer.0.iter().find(|(key, _)| key == "message");
    let inner = match message {
        Some((_, json)) => Members::of(json.get())?,
        None => Members::default(),
    };
    let outer = twice(&outer, &["topics", "message", "extended"]);
    Some(outer || twice(&inner, &["topic", "text"]))
}

/// The members of an object in their order, with those of equal keys.
#[derive(Default)]
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// None of what is no object.
    fn of(json: &str) -> Option<Self> {
        if json.starts_with('{') {
            return serde_json::from_str(json).ok();
        }
        Some(Self::default())
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members = Members::default();
                while let Some(key) = map.next_key()? {
                    members.0.push((key, map.next_value()?));
                }
                Ok(members)
            }
        }
        from.deserialize_map(Collect)
    }
}

/// Objects and arrays within one another, in a text that is JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_other = |byte: &u8| !is_space(byte);
    let Some(first) = bytes.iter().position(is_other) else {
        return &[];
    };
    let last = bytes.iter().rposition(is_other).unwrap_or(first);
    &bytes[first..=last]
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Numbers that depend on the bytes alone, so that a finding comes again while
/// the corpus stays readable: no byte of it is spent on cuts and limits.
struct Random(u64);

impl Random {
    fn seeded_with(data: &[u8]) -> Self {
        // FNV-1a; made odd because xorshift stays at 0.
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(data.iter().fold(0xcbf2_9ce4_8422_2325, mix) | 1)
    }

    /// From `low` to `high`, both included.
    fn in_range(&mut self, low: usize, high: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + (self.0 >> 33) as usize % (high - low + 1)
    }
}
