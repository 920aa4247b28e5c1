//! NATS: text lines, payloads with their length given. `verbose` is off, so
//! nothing is acknowledged, and `echo` is off, as in our own protocol.

use super::{Codec, Step, crlf_line, decimal, shown};
use anyhow::{Context, Result, bail};

/// NATS core, without JetStream.
pub(crate) struct Nats;

pub(super) const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\
    \"tls_required\":false,\"lang\":\"bench\",\"version\":\"1\",\"protocol\":1}\r\n";

impl Codec for Nats {
    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(CONNECT);
        out.extend_from_slice(format!("SUB {topic} 1\r\n").as_bytes());
    }

    fn enter(&self, _topic: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(CONNECT);
    }

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(format!("PUB {topic} {}\r\n", payload.len()).as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        let Some((line, start)) = crlf_line(bytes)? else {
            return Ok(Step::Incomplete);
        };
        if line.starts_with(b"MSG ") {
            return delivery(bytes, line, start);
        }
        match line {
            b"PING" => Ok(Step::Answer(start, b"PONG\r\n".to_vec())),
            b"PONG" | b"+OK" => Ok(Step::Skip(start)),
            _ if line.starts_with(b"INFO ") => Ok(Step::Skip(start)),
            _ => bail!("NATS answered {}", shown(line)),
        }
    }
}

/// `MSG subject sid length`, then the payload and `\r\n`.
fn delivery<'a>(bytes: &'a [u8], line: &[u8], start: usize) -> Result<Step<'a>> {
    let space = memchr::memrchr(b' ', line).context("NATS sent MSG without a length")?;
    let end = start + decimal(&line[space + 1..])?;
    if bytes.len() < end + 2 {
        return Ok(Step::Incomplete);
    }
    Ok(Step::Delivery {
        used: end + 2,
        payload: &bytes[start..end],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::{decoded, holds_at_every_split};

    #[test]
    fn deliveries_are_found_and_pings_answered_wherever_the_bytes_are_cut() {
        let wire = b"INFO {\"a\":1}\r\nPING\r\nMSG T 1 5\r\na\r\nb\n\r\nPONG\r\nMSG T 1 0\r\n\r\n";
        holds_at_every_split(&Nats, wire, &[b"a\r\nb\n", b""], b"PONG\r\n");
    }

    #[test]
    fn publishing_gives_the_length_and_leaves_the_payload_untouched() {
        let mut out = Vec::new();
        Nats.publish("T", b"x\ny", &mut out);
        assert_eq!(out, b"PUB T 3\r\nx\ny\r\n");
    }

    #[test]
    fn an_error_of_the_server_ends_the_run() {
        let error = decoded(&Nats, &[b"-ERR 'Slow Consumer'\r\n"]).unwrap_err();
        assert!(error.to_string().contains("Slow Consumer"));
    }
}
