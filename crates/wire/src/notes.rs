//! Where, in a value, the parts are that decide its way.
//!
//! The scanner passes every byte anyway; taking these notes as it goes by spares
//! a second reading. Only members of the outermost object and of its `message`
//! are noted, all the rest is somebody else's business.

use std::ops::Range;

/// A part of a value: offsets from the value's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of its first byte.
    pub start: u32,
    /// Offset just past its last byte.
    pub end: u32,
}

impl Span {
    /// The same as a range, to index a slice with.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The members that a frame is told by, where the value has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The value of `topics`.
    pub topics: Option<Span>,
    /// The value of `message`.
    pub message: Option<Span>,
    /// The value of `message.topic`.
    pub topic: Option<Span>,
    /// The value of `message.text`.
    pub text: Option<Span>,
    /// The member `extended`, from its key's first quotation mark to its
    /// value's end.
    pub extended: Option<Span>,
    /// One of these keys that came twice in its object, so that two readers
    /// could understand the value in two ways.
    pub duplicate: Option<&'static str>,
}

/// A key that is noted, or any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    Topics,
    Message,
    Extended,
    Topic,
    Text,
    #[default]
    Other,
}

impl Key {
    /// The keys that matter in the outermost object.
    const OUTER: [(&str, Key); 3] = [
        ("message", Key::Message),
        ("topics", Key::Topics),
        ("extended", Key::Extended),
    ];
    /// The keys that matter in `message`.
    const INNER: [(&str, Key); 2] = [("topic", Key::Topic), ("text", Key::Text)];

    /// Which of `known` a key is, as it stands between its quotation marks.
    fn of(raw: &[u8], known: &[(&str, Key)]) -> Key {
        if raw.contains(&b'\\') {
            return Self::of_escaped(raw, known);
        }
        known
            .iter()
            .find(|(name, _)| name.as_bytes() == raw)
            .map_or(Key::Other, |(_, key)| *key)
    }

    /// `"\u006dessage"` is the same key as `"message"`.
    #[cold]
    fn of_escaped(raw: &[u8], known: &[(&str, Key)]) -> Key {
        let quoted = [b"\"", raw, b"\""].concat();
        match serde_json::from_slice::<String>(&quoted) {
            Ok(plain) => known
                .iter()
                .find(|(name, _)| *name == plain)
                .map_or(Key::Other, |(_, key)| *key),
            Err(_) => Key::Other,
        }
    }
}

/// Where the scanner is, as far as the notes are concerned.
#[derive(Clone, Debug, Default)]
pub(crate) struct NoteTaker {
    pub(crate) notes: Notes,
    /// The key of the outermost object's member that is being read.
    outer: Key,
    /// The key within `message` that is being read.
    inner: Key,
    /// Offset of the quotation mark before the outer key.
    outer_key_start: u32,
    outer_start: u32,
    inner_start: u32,
}

impl NoteTaker {
    /// A key has ended, in the `depth`th object counted from the outside.
    #[inline]
    pub(crate) fn key(&mut self, depth: usize, start: u32, raw: &[u8]) {
        if depth == 1 {
            self.outer = Key::of(raw, &Key::OUTER);
            self.outer_key_start = start;
            self.inner = Key::Other;
        } else if depth == 2 && self.outer == Key::Message {
            self.inner = Key::of(raw, &Key::INNER);
        }
    }

    /// A value begins within `depth` objects and arrays.
    #[inline]
    pub(crate) fn value_start(&mut self, depth: usize, at: u32) {
        match depth {
            1 => self.outer_start = at,
            2 => self.inner_start = at,
            _ => {}
        }
    }

    /// The value that began within `depth` objects and arrays has ended.
    #[inline]
    pub(crate) fn value_end(&mut self, depth: usize, end: u32) {
        if depth == 1 && self.outer != Key::Other {
            self.outer_value(end);
        } else if depth == 2 && self.inner != Key::Other {
            self.inner_value(end);
        }
    }

    fn outer_value(&mut self, end: u32) {
        let start = self.outer_start;
        let (place, start, name) = match self.outer {
            Key::Topics => (&mut self.notes.topics, start, "topics"),
            Key::Message => (&mut self.notes.message, start, "message"),
            _ => (&mut self.notes.extended, self.outer_key_start, "extended"),
        };
        if place.replace(Span { start, end }).is_some() {
            self.notes.duplicate = Some(name);
        }
        self.outer = Key::Other;
    }

    fn inner_value(&mut self, end: u32) {
        let start = self.inner_start;
        let (place, name) = match self.inner {
            Key::Topic => (&mut self.notes.topic, "topic"),
            _ => (&mut self.notes.text, "text"),
        };
        if place.replace(Span { start, end }).is_some() {
            self.notes.duplicate = Some(name);
        }
        self.inner = Key::Other;
    }
}
