//! The classic natter protocol: one JSON object a line. The payload is the
//! frame itself, so receiving is finding the line's end.

use super::{Codec, Step};
use anyhow::Result;

/// Our own protocol, as a program written from the original specification
/// speaks it.
pub(crate) struct Natter;

impl Codec for Natter {
    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        let frame = format!(
            "{{\"source\":{{\"ip\":\"127.0.0.1\",\"port\":\"1\"}},\"topics\":[\"{topic}\"]}}\n"
        );
        out.extend_from_slice(frame.as_bytes());
    }

    // Only those who are registered on a topic may publish to it.
    fn enter(&self, topic: &str, out: &mut Vec<u8>) {
        self.join(topic, out);
    }

    fn publish(&self, _topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(payload);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        Ok(line(bytes))
    }

    fn publishers_receive(&self) -> bool {
        true
    }
}

/// The same within TLS.
pub(crate) struct NatterInTls;

impl Codec for NatterInTls {
    fn is_encrypted(&self) -> bool {
        true
    }

    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        Natter.join(topic, out);
    }

    fn enter(&self, topic: &str, out: &mut Vec<u8>) {
        Natter.enter(topic, out);
    }

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        Natter.publish(topic, payload, out);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        Natter.next(bytes)
    }

    fn publishers_receive(&self) -> bool {
        Natter.publishers_receive()
    }
}

/// The frame at the beginning of `bytes`: a line with its break.
pub(super) fn line(bytes: &[u8]) -> Step<'_> {
    match memchr::memchr(b'\n', bytes) {
        Some(end) => Step::Delivery {
            used: end + 1,
            payload: &bytes[..=end],
        },
        None => Step::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::holds_at_every_split;

    #[test]
    fn frames_are_found_wherever_the_bytes_are_cut() {
        holds_at_every_split(
            &Natter,
            b"{\"a\":1}\n{\"b\":\"two\"}\n",
            &[b"{\"a\":1}\n", b"{\"b\":\"two\"}\n"],
            b"",
        );
    }

    #[test]
    fn a_publisher_registers_as_a_receiver_does() {
        let (mut joined, mut entered) = (Vec::new(), Vec::new());
        Natter.join("T", &mut joined);
        Natter.enter("T", &mut entered);
        assert_eq!(joined, entered);
        let json: serde_json::Value = serde_json::from_slice(&joined).unwrap();
        assert_eq!(json["topics"][0], "T");
    }
}
