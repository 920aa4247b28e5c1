//! Consecutive frames for the same receivers, as one piece.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::outbox::form::Form;

/// Whole frames, each on one line.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Bytes,
    /// How many frames there are.
    count: u32,
    /// The bytes have memory of their own.
    is_owned: bool,
    /// Otherwise, an owned copy, made when a receiver keeps them.
    kept: OnceLock<Bytes>,
    /// The epoch of the topic in which the messages have their numbers.
    epoch: u64,
    /// The frames in other forms, each encoded when a receiver needs it.
    encoded: OnceLock<Box<[OnceLock<Bytes>; Form::ENCODED]>>,
}

impl Batch {
    /// Frames in a read buffer.
    pub(crate) fn new(bytes: Bytes, count: u32) -> Self {
        Self {
            bytes,
            count,
            is_owned: false,
            kept: OnceLock::new(),
            epoch: 0,
            encoded: OnceLock::new(),
        }
    }

    /// Frames that have memory of their own.
    pub(crate) fn owned(bytes: Bytes, count: u32) -> Self {
        Self {
            bytes,
            count,
            is_owned: true,
            kept: OnceLock::new(),
            epoch: 0,
            encoded: OnceLock::new(),
        }
    }

    /// The lines. They may be in a read buffer: keeping a part of it keeps all of it in use.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Sets the epoch of the topic in which the messages have their numbers.
    pub(crate) fn of_epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// The epoch of their topic in which the messages have their numbers.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The first `count` of the lines.
    pub(crate) fn first(&self, count: u32) -> Self {
        let mut ends = memchr::memchr_iter(b'\n', &self.bytes);
        let last = (count as usize).checked_sub(1);
        let end = last.map_or(Some(0), |last| ends.nth(last).map(|end| end + 1));
        let bytes = self.bytes.slice(..end.unwrap_or(self.bytes.len()));
        Self {
            is_owned: self.is_owned,
            ..Self::new(bytes, count.min(self.count)).of_epoch(self.epoch)
        }
    }

    /// The lines in a form. They are encoded once, and shared by all receivers of the form.
    pub(crate) fn in_form(&self, form: Form) -> &Bytes {
        match form.place() {
            None => &self.bytes,
            Some(place) => {
                let encoded = &self.encoded.get_or_init(Box::default)[place];
                encoded.get_or_init(|| form.encode(&self.bytes, self.epoch).into())
            }
        }
    }

    /// How many lines there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The lines for receivers that keep them longer than the delivery takes: one copy that all
    /// of them share.
    pub(crate) fn to_keep(&self, form: Form) -> &Bytes {
        if form != Form::Lines || self.is_owned {
            return self.in_form(form);
        }
        self.kept
            .get_or_init(|| Bytes::copy_from_slice(&self.bytes))
    }
}
