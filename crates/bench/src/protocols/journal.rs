//! How a system that keeps messages is spoken to, beyond its [`Codec`]: what
//! publishes with an acknowledgement, and what reads back.

use super::{Codec, shown};
use anyhow::{Result, bail};

/// A message as its publisher names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    /// Which publisher of this run, from 0.
    pub(crate) lane: usize,
    /// That publisher's own count, from 0 and without a hole.
    pub(crate) number: u64,
}

/// A message's place in its topic, as the server numbers it: greater than that of
/// every message before. natter's second part is always 0.
pub(crate) type Position = (u64, u64);

/// What has arrived at a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It may publish now.
    Ready,
    /// A message is kept.
    Ack {
        /// Which; `None` where answers only come in the order of the questions.
        id: Option<Id>,
        /// Where it stands.
        position: Position,
    },
}

/// One system's wire protocol for what it keeps. As a codec, it gives out every
/// answer as a delivery, whole.
pub(crate) trait Journal: Codec {
    /// Appends what a fresh connection sends to be allowed to publish to all of
    /// these topics: at once, because each answer may name every topic so far. Their
    /// lanes are `first_lane` and those that follow it.
    fn enter_all(&self, first_lane: usize, topics: &[String], out: &mut Vec<u8>);

    /// Whether that is answered, with [`Answer::Ready`].
    fn answers_entering(&self) -> bool;

    /// Appends what publishes `payload` to `topic` and asks for an
    /// acknowledgement.
    fn append(&self, topic: &str, id: Id, payload: &[u8], out: &mut Vec<u8>);

    /// Reads what has arrived at a publisher.
    fn answer(&self, arrival: &[u8]) -> Result<Answer>;

    /// One who reads back the last `count` messages of `topic`, all there are.
    fn reader(&self, topic: &str, count: u64) -> Box<dyn Reader>;
}

/// Reads back what a topic holds, over a fresh connection.
pub(crate) trait Reader {
    /// Appends what begins it.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// Takes an arrival, and appends to `out` what asks for more. Returns a kept
    /// message's position and payload when the arrival completes one.
    fn take<'a>(
        &mut self,
        arrival: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<(Position, &'a [u8])>>;
}

/// Reads nothing back: of what is only published to.
pub(crate) struct Unread;

impl Reader for Unread {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn take<'a>(
        &mut self,
        arrival: &'a [u8],
        _out: &mut Vec<u8>,
    ) -> Result<Option<(Position, &'a [u8])>> {
        bail!("nothing is read back here, and {} came", shown(arrival))
    }
}
