//! Redis publish/subscribe in RESP 2: arrays of bulk strings.

use super::{Codec, Step, crlf_line, decimal, shown};
use anyhow::{Result, bail};

/// Redis, over its own protocol.
pub(crate) struct Redis;

impl Codec for Redis {
    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        command(&[b"SUBSCRIBE", topic.as_bytes()], out);
    }

    fn enter(&self, _topic: &str, _out: &mut Vec<u8>) {}

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        command(&[b"PUBLISH", topic.as_bytes(), payload], out);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        let Some((line, length)) = crlf_line(bytes)? else {
            return Ok(Step::Incomplete);
        };
        match line.first() {
            Some(b':' | b'+') => Ok(Step::Skip(length)),
            Some(b'*') => array(bytes, length, decimal(&line[1..])?),
            _ => bail!("Redis answered {}", shown(line)),
        }
    }
}

/// Appends a command as clients send it.
pub(super) fn command(words: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads `count` elements from `at`; `message` with a channel and a payload is
/// a delivery; every other push is skipped.
fn array(bytes: &[u8], mut at: usize, count: usize) -> Result<Step<'_>> {
    let mut first: &[u8] = b"";
    let mut last: &[u8] = b"";
    for index in 0..count {
        let Some((element, length)) = element(&bytes[at..])? else {
            return Ok(Step::Incomplete);
        };
        if index == 0 {
            first = element;
        }
        last = element;
        at += length;
    }
    if first == b"message" && count == 3 {
        return Ok(Step::Delivery {
            used: at,
            payload: last,
        });
    }
    Ok(Step::Skip(at))
}

/// One element (a bulk string or a number) and its length on the wire.
fn element(bytes: &[u8]) -> Result<Option<(&[u8], usize)>> {
    let Some((line, start)) = crlf_line(bytes)? else {
        return Ok(None);
    };
    match line.first() {
        Some(b':') => Ok(Some((&line[1..], start))),
        Some(b'$') => {
            let end = start + decimal(&line[1..])?;
            let whole = bytes.len() >= end + 2;
            Ok(whole.then(|| (&bytes[start..end], end + 2)))
        }
        _ => bail!("Redis sent {} in an array", shown(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::{decoded, holds_at_every_split};

    #[test]
    fn deliveries_are_found_wherever_the_bytes_are_cut() {
        let mut wire = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nT\r\n:1\r\n".to_vec();
        wire.extend_from_slice(b"*3\r\n$7\r\nmessage\r\n$1\r\nT\r\n$5\r\na\r\nb\n\r\n");
        wire.extend_from_slice(b":100\r\n*3\r\n$7\r\nmessage\r\n$1\r\nT\r\n$0\r\n\r\n");
        holds_at_every_split(&Redis, &wire, &[b"a\r\nb\n", b""], b"");
    }

    #[test]
    fn publishing_is_one_command_with_the_payload_untouched() {
        let mut out = Vec::new();
        Redis.publish("T", b"x\ny", &mut out);
        assert_eq!(out, b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nT\r\n$3\r\nx\ny\r\n");
    }

    #[test]
    fn an_error_of_the_server_ends_the_run() {
        let error = decoded(&Redis, &[b"-ERR max number of clients reached\r\n"]).unwrap_err();
        assert!(error.to_string().contains("max number of clients"));
    }
}
