//! The bare relay has no protocol: it relays what is written to every other connection.
//! Frames are lines, as in ours.

use super::{Codec, Step, natter};
use anyhow::Result;

/// The built-in relay (see `crate::relay`).
pub(crate) struct Relay;

impl Codec for Relay {
    fn join(&self, _topic: &str, _out: &mut Vec<u8>) {}

    fn enter(&self, _topic: &str, _out: &mut Vec<u8>) {}

    fn publish(&self, _topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(payload);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        Ok(natter::line(bytes))
    }

    fn publishers_receive(&self) -> bool {
        true
    }
}
