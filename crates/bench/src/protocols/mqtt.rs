//! MQTT 3.1.1 at quality of service 0: a clean session, no keep-alive.

use super::{Codec, Step, shown};
use anyhow::{Result, bail, ensure};
use std::sync::atomic::{AtomicU32, Ordering};

/// MQTT, as Mosquitto speaks it.
pub(crate) struct Mqtt;

/// Client identifiers must differ: a second client of the same name ends the first.
static CLIENTS: AtomicU32 = AtomicU32::new(0);

const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBACK: u8 = 0x90;
/// MQTT's limit for a packet's length field.
const LENGTH_BYTES: usize = 4;

impl Codec for Mqtt {
    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        self.enter(topic, out);
        let mut body = vec![0, 1];
        string(topic.as_bytes(), &mut body);
        body.push(0);
        packet(0x82, &[&body], out);
    }

    fn enter(&self, _topic: &str, out: &mut Vec<u8>) {
        let client = format!("b{}", CLIENTS.fetch_add(1, Ordering::Relaxed));
        // Protocol level 4, clean session, keep-alive 0: never pinged.
        let mut body = b"\x00\x04MQTT\x04\x02\x00\x00".to_vec();
        string(client.as_bytes(), &mut body);
        packet(0x10, &[&body], out);
    }

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        let length = (topic.len() as u16).to_be_bytes();
        packet(PUBLISH, &[&length, topic.as_bytes(), payload], out);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        let Some((start, end)) = extent(bytes)? else {
            return Ok(Step::Incomplete);
        };
        let body = &bytes[start..end];
        match bytes[0] {
            PUBLISH => delivery(body, end),
            CONNACK => {
                let accepted = body.get(1) == Some(&0);
                ensure!(
                    accepted,
                    "the MQTT broker refused a client: {}",
                    shown(body)
                );
                Ok(Step::Skip(end))
            }
            SUBACK => {
                let granted = body.get(2) == Some(&0);
                ensure!(granted, "the MQTT broker refused a topic: {}", shown(body));
                Ok(Step::Skip(end))
            }
            _ => bail!(
                "the MQTT broker sent an unexpected packet: {}",
                shown(bytes)
            ),
        }
    }
}

/// Where the packet's body starts and ends, once all of it is here.
fn extent(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut length = 0;
    for (index, byte) in bytes.iter().skip(1).take(LENGTH_BYTES).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let start = index + 2;
            let end = start + length;
            return Ok((bytes.len() >= end).then_some((start, end)));
        }
    }
    let too_long = bytes.len() > LENGTH_BYTES;
    ensure!(
        !too_long,
        "the MQTT broker sent a bad length: {}",
        shown(bytes)
    );
    Ok(None)
}

/// A topic with its length, then the payload: no packet identifier at QoS 0.
fn delivery(body: &[u8], used: usize) -> Result<Step<'_>> {
    let payload = body.split_at_checked(2).and_then(|(length, rest)| {
        let topic = usize::from(u16::from_be_bytes([length[0], length[1]]));
        rest.get(topic..)
    });
    match payload {
        Some(payload) => Ok(Step::Delivery { used, payload }),
        None => bail!("the MQTT broker sent a damaged message: {}", shown(body)),
    }
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text);
}

fn packet(kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    out.push(kind);
    let mut length: usize = parts.iter().map(|part| part.len()).sum();
    loop {
        let byte = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            out.push(byte);
            break;
        }
        out.push(byte | 0x80);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::{decoded, holds_at_every_split};

    #[test]
    fn deliveries_are_found_wherever_the_bytes_are_cut() {
        let long = vec![b'x'; 300];
        let mut wire = b"\x20\x02\x00\x00\x90\x03\x00\x01\x00".to_vec();
        Mqtt.publish("T", b"one\n", &mut wire);
        Mqtt.publish("T", &long, &mut wire);
        holds_at_every_split(&Mqtt, &wire, &[b"one\n", &long], b"");
    }

    #[test]
    fn lengths_over_a_byte_are_written_as_mqtt_wants_them() {
        let mut out = Vec::new();
        Mqtt.publish("T", &[b'x'; 197], &mut out);
        assert_eq!(&out[..6], b"\x30\xc8\x01\x00\x01T");
    }

    #[test]
    fn a_refusal_ends_the_run() {
        assert!(decoded(&Mqtt, &[b"\x20\x02\x00\x05"]).is_err());
        assert!(decoded(&Mqtt, &[b"\x90\x03\x00\x01\x80"]).is_err());
        assert!(decoded(&Mqtt, &[b"\x30\xff\xff\xff\xff\x01"]).is_err());
    }
}
