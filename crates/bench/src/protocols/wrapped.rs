//! A protocol within a WebSocket, as the listeners of NATS and Mosquitto for browsers have
//! it: each direction is a sequence of binary frames whose payloads, one after the other, are
//! what would go over TCP.

use super::{Codec, Step, shown};
use anyhow::{Result, bail};

/// The protocol inside, and the name that the handshake must give it.
pub(crate) struct WithinWebSocket {
    /// What the frames carry.
    pub(crate) inner: &'static dyn Codec,
    /// The value of `Sec-WebSocket-Protocol`, if the server wants one.
    pub(crate) subprotocol: Option<&'static str>,
}

/// The first byte of a whole binary frame. No message of NATS or of an MQTT broker begins
/// with it, and both put whole messages into a frame: so it tells a frame's head from a
/// message, without knowing how much of the frame has been read.
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;

/// Set in the length of a client's frames: they are masked, here with zeros.
const MASKED: u8 = 0x80;

impl WithinWebSocket {
    /// Appends what `write` writes as one frame.
    fn frame(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        let mut payload = Vec::new();
        write(&mut payload);
        out.push(BINARY);
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(length @ ..=125), _) => out.push(MASKED | length),
            (_, Ok(length)) => {
                out.push(MASKED | 126);
                out.extend_from_slice(&length.to_be_bytes());
            }
            _ => {
                out.push(MASKED | 127);
                out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&payload);
    }
}

impl Codec for WithinWebSocket {
    fn opening(&self) -> Option<String> {
        let subprotocol = self.subprotocol.map_or(String::new(), |name| {
            format!("sec-websocket-protocol: {name}\r\n")
        });
        Some(format!(
            "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n{}{subprotocol}\r\n",
            super::browsers::UPGRADE
        ))
    }

    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        Self::frame(|payload| self.inner.join(topic, payload), out);
    }

    fn enter(&self, topic: &str, out: &mut Vec<u8>) {
        Self::frame(|payload| self.inner.enter(topic, payload), out);
    }

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        Self::frame(|bytes| self.inner.publish(topic, payload, bytes), out);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        let (head, length) = match *bytes {
            [BINARY, 0..=125, ..] => (2, 0),
            [BINARY, 126, _, _, ..] => (4, 0),
            [BINARY, 127, ..] if bytes.len() >= 10 => (10, 0),
            [PING, length @ 0..=125, ..] => (2, usize::from(length)),
            [BINARY | PING, ..] => return Ok(Step::Incomplete),
            [0x88, ..] => bail!("a WebSocket was closed: {}", shown(bytes)),
            _ => {
                return Ok(match self.inner.next(bytes)? {
                    Step::Answer(used, answer) => {
                        let mut framed = Vec::new();
                        Self::frame(|payload| payload.extend_from_slice(&answer), &mut framed);
                        Step::Answer(used, framed)
                    }
                    step => step,
                });
            }
        };
        let Some(payload) = bytes.get(head..head + length) else {
            return Ok(Step::Incomplete);
        };
        Ok(match bytes[0] {
            PING => {
                let pong = [&[0x8a, MASKED | bytes[1], 0, 0, 0, 0], payload].concat();
                Step::Answer(head + length, pong)
            }
            _ => Step::Skip(head),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::mqtt::Mqtt;
    use crate::protocols::nats::Nats;
    use crate::protocols::testing::holds_at_every_split;

    const NATS: WithinWebSocket = WithinWebSocket {
        inner: &Nats,
        subprotocol: None,
    };

    #[test]
    fn messages_within_frames_are_found_and_pings_answered_wherever_the_bytes_are_cut() {
        let long = [
            b"MSG T 1 200\r\n".to_vec(),
            vec![b'x'; 200],
            b"\r\n".to_vec(),
        ]
        .concat();
        let wire = [
            &b"\x82\x06PING\r\n\x89\x01p\x82\x14MSG T 1 1\r\na\r\n+OK\r\n"[..],
            &[0x82, 126, 0, long.len() as u8],
            &long,
        ]
        .concat();
        let answers = b"\x82\x86\0\0\0\0PONG\r\n\x8a\x81\0\0\0\0p";
        holds_at_every_split(&NATS, &wire, &[b"a", &[b'x'; 200]], answers);
    }

    #[test]
    fn mqtt_within_frames_is_told_from_their_heads() {
        let mqtt = WithinWebSocket {
            inner: &Mqtt,
            subprotocol: Some("mqtt"),
        };
        let wire = b"\x82\x04\x20\x02\0\0\x82\x05\x90\x03\0\x01\0\x82\x06\x30\x04\0\x01Ta";
        holds_at_every_split(&mqtt, wire, &[b"a"], b"");
        assert!(
            mqtt.opening()
                .unwrap()
                .contains("sec-websocket-protocol: mqtt\r\n")
        );
    }

    #[test]
    fn what_is_sent_is_one_masked_frame_of_any_length() {
        for (length, head) in [(1, 6), (200, 8), (70_000, 14)] {
            let mut out = Vec::new();
            NATS.publish("T", &vec![b'x'; length], &mut out);
            let mut inner = Vec::new();
            Nats.publish("T", &vec![b'x'; length], &mut inner);
            assert_eq!(&out[head..], inner, "{length}");
        }
    }
}
