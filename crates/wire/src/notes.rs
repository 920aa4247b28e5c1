//! Notes where the parts of a value are by which it is routed.
//!
//! The scanner reads every byte anyway, so noting the parts saves a second pass. Only members of
//! the outermost object and of its `message` are noted.

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
    /// Offsets fit, because [`Limits::LARGEST_FRAME`](crate::Limits) keeps them
    /// in 32 bits; beyond that they would be cut off.
    #[allow(clippy::cast_possible_truncation)]
    fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    /// The same as a range, to index a slice with.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The members by which a frame is recognised and routed, as far as the value has them.
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

    /// Which of `known` the key in `quoted` is. `quoted` has the quotation marks.
    #[inline]
    fn of(quoted: &[u8], escaped: bool, known: &[(&str, Key)]) -> Key {
        if escaped {
            return Self::of_escaped(quoted, known);
        }
        let plain = &quoted[1..quoted.len() - 1];
        known
            .iter()
            .find(|(name, _)| name.as_bytes() == plain)
            .map_or(Key::Other, |(_, key)| *key)
    }

    /// `"\u006dessage"` is the same key as `"message"`.
    #[cold]
    fn of_escaped(quoted: &[u8], known: &[(&str, Key)]) -> Key {
        match serde_json::from_slice::<String>(quoted) {
            Ok(plain) => known
                .iter()
                .find(|(name, _)| *name == plain)
                .map_or(Key::Other, |(_, key)| *key),
            Err(_) => Key::Other,
        }
    }
}

/// The state of note taking.
#[derive(Clone, Debug, Default)]
pub(crate) struct NoteTaker {
    notes: Notes,
    /// The key of the outermost object's member that is being read.
    outer: Key,
    /// The key within `message` that is being read.
    inner: Key,
    /// Offset of the quotation mark before the outer key.
    outer_key_start: usize,
    outer_start: usize,
    inner_start: usize,
}

impl NoteTaker {
    /// A key has ended, in the `depth`th object counted from the outside.
    #[inline]
    pub(crate) fn key(&mut self, depth: usize, at: Range<usize>, bytes: &[u8], escaped: bool) {
        if depth == 1 {
            self.outer_key_start = at.start;
            self.outer = Key::of(&bytes[at], escaped, &Key::OUTER);
            self.inner = Key::Other;
        } else if depth == 2 && self.outer == Key::Message {
            self.inner = Key::of(&bytes[at], escaped, &Key::INNER);
        }
    }

    /// A value begins within `depth` objects and arrays.
    #[inline]
    pub(crate) fn value_start(&mut self, depth: usize, at: usize) {
        match depth {
            1 => self.outer_start = at,
            2 => self.inner_start = at,
            _ => {}
        }
    }

    /// The value that began within `depth` objects and arrays has ended.
    #[inline]
    pub(crate) fn value_end(&mut self, depth: usize, end: usize) {
        if depth == 1 && self.outer != Key::Other {
            self.outer_value(end);
        } else if depth == 2 && self.inner != Key::Other {
            self.inner_value(end);
        }
    }

    /// Returns the notes and prepares for the next value.
    #[inline]
    pub(crate) fn finish(&mut self) -> Notes {
        std::mem::take(&mut self.notes)
    }

    fn outer_value(&mut self, end: usize) {
        let start = self.outer_start;
        let (place, start, name) = match self.outer {
            Key::Topics => (&mut self.notes.topics, start, "topics"),
            Key::Message => (&mut self.notes.message, start, "message"),
            _ => (&mut self.notes.extended, self.outer_key_start, "extended"),
        };
        if place.replace(Span::new(start, end)).is_some() {
            self.notes.duplicate = Some(name);
        }
        self.outer = Key::Other;
    }

    fn inner_value(&mut self, end: usize) {
        let start = self.inner_start;
        let (place, name) = match self.inner {
            Key::Topic => (&mut self.notes.topic, "topic"),
            _ => (&mut self.notes.text, "text"),
        };
        if place.replace(Span::new(start, end)).is_some() {
            self.notes.duplicate = Some(name);
        }
        self.inner = Key::Other;
    }
}
