//! How each system is spoken to: the bytes that join, the bytes that publish,
//! and a parser that finds deliveries in what arrives. Sans-IO; the smallest
//! honest client of each protocol, so that the servers are measured and not
//! four client libraries.

pub(crate) mod browsers;
pub(crate) mod extended;
pub(crate) mod jetstream;
pub(crate) mod journal;
pub(crate) mod mqtt;
pub(crate) mod nats;
pub(crate) mod natter;
pub(crate) mod posts;
pub(crate) mod redis;
pub(crate) mod relay;
pub(crate) mod streams;
pub(crate) mod wrapped;

use anyhow::{Context, Result, bail};

/// What stands at the beginning of the received bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Not whole yet: more bytes are needed.
    Incomplete,
    /// This many bytes to skip.
    Skip(usize),
    /// This many bytes, to which the server wants these as the answer.
    Answer(usize, Vec<u8>),
    /// A published payload has arrived.
    Delivery {
        /// The bytes that it takes up on the wire.
        used: usize,
        /// What the publisher published.
        payload: &'a [u8],
    },
}

/// One system's wire protocol, as far as a benchmark needs it.
pub(crate) trait Codec: Sync {
    /// The request that a fresh connection sends before anything else, if it must wait for
    /// its answer: a WebSocket's handshake.
    fn opening(&self) -> Option<String> {
        None
    }

    /// Whether connections speak TLS.
    fn is_encrypted(&self) -> bool {
        false
    }

    /// Appends what a fresh connection sends to receive `topic`.
    fn join(&self, topic: &str, out: &mut Vec<u8>);

    /// Appends what a fresh connection sends to be allowed to publish to `topic`.
    fn enter(&self, topic: &str, out: &mut Vec<u8>);

    /// Appends what publishes `payload` to `topic`.
    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>);

    /// Reads the next thing at the beginning of `bytes`.
    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>>;

    /// Whether a publisher receives what others publish to its topic.
    fn publishers_receive(&self) -> bool {
        false
    }
}

/// A connection's place in its incoming stream.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of something whose end has not arrived.
    tail: Vec<u8>,
}

impl Decoder {
    /// Hands each payload in what has arrived to `deliver`, and appends to
    /// `answers` what the server is owed.
    pub(crate) fn feed(
        &mut self,
        codec: &dyn Codec,
        fresh: &[u8],
        answers: &mut Vec<u8>,
        deliver: &mut impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if self.tail.is_empty() {
            let used = consume(codec, fresh, answers, deliver)?;
            self.tail.extend_from_slice(&fresh[used..]);
        } else {
            self.tail.extend_from_slice(fresh);
            let used = consume(codec, &self.tail, answers, deliver)?;
            self.tail.drain(..used);
        }
        Ok(())
    }
}

/// Reads all that is whole; returns how many bytes that was.
fn consume(
    codec: &dyn Codec,
    bytes: &[u8],
    answers: &mut Vec<u8>,
    deliver: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<usize> {
    let mut used = 0;
    while used < bytes.len() {
        match codec.next(&bytes[used..])? {
            Step::Incomplete => break,
            Step::Skip(length) => used += length,
            Step::Answer(length, answer) => {
                answers.extend_from_slice(&answer);
                used += length;
            }
            Step::Delivery {
                used: length,
                payload,
            } => {
                deliver(payload)?;
                used += length;
            }
        }
    }
    Ok(used)
}

/// The line at the beginning of `bytes` without its `\r\n`, and the length with it.
fn crlf_line(bytes: &[u8]) -> Result<Option<(&[u8], usize)>> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return Ok(None);
    };
    let Some(line) = bytes[..end].strip_suffix(b"\r") else {
        bail!("the server sent a line without \\r: {}", shown(bytes));
    };
    Ok(Some((line, end + 1)))
}

/// A decimal number as the protocols write lengths.
fn decimal(digits: &[u8]) -> Result<usize> {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .with_context(|| format!("the server sent {} where a length belongs", shown(digits)))
}

/// The beginning of some bytes, escaped, for an error message.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(200)].escape_ascii().to_string()
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// What a decoder finds in `wire` when it arrives as `pieces`.
    pub(crate) fn decoded(codec: &dyn Codec, pieces: &[&[u8]]) -> Result<(Vec<Vec<u8>>, Vec<u8>)> {
        let mut decoder = Decoder::default();
        let mut payloads = Vec::new();
        let mut answers = Vec::new();
        for piece in pieces {
            decoder.feed(codec, piece, &mut answers, &mut |payload| {
                payloads.push(payload.to_vec());
                Ok(())
            })?;
        }
        Ok((payloads, answers))
    }

    /// Asserts that `wire` gives `payloads` and `answers` wherever it is cut.
    pub(crate) fn holds_at_every_split(
        codec: &dyn Codec,
        wire: &[u8],
        payloads: &[&[u8]],
        answers: &[u8],
    ) {
        let check = |pieces: &[&[u8]]| {
            let found = decoded(codec, pieces).unwrap();
            assert_eq!(found.0, payloads, "{pieces:?}");
            assert_eq!(found.1, answers, "{pieces:?}");
        };
        for first in 0..=wire.len() {
            check(&[&wire[..first], &wire[first..]]);
        }
        check(&wire.chunks(1).collect::<Vec<_>>());
    }
}
