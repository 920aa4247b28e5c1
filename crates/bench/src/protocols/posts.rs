//! natter over HTTP, as far as publishing goes: a request for each message, over a connection
//! that stays, and the answer when the message is kept. Who publishes so receives nothing.

use super::journal::{Answer, Id, Journal, Reader, Unread};
use super::{Codec, Step, decimal, shown};
use anyhow::{Context, Result, ensure};
use memchr::memmem;

/// Publishers over HTTP. Every answer's body is a delivery.
pub(crate) struct Posts;

impl Codec for Posts {
    fn join(&self, _topic: &str, _out: &mut Vec<u8>) {}

    fn enter(&self, _topic: &str, _out: &mut Vec<u8>) {}

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        post(&format!("/{topic}?json=whole"), payload, out);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        let Some(head) = memmem::find(bytes, b"\r\n\r\n") else {
            return Ok(Step::Incomplete);
        };
        ensure!(
            bytes.starts_with(b"HTTP/1.1 200"),
            "natter answered {}",
            shown(bytes)
        );
        let start = head + b"\r\n\r\n".len();
        let end = start + length(&bytes[..head])?;
        if bytes.len() < end {
            return Ok(Step::Incomplete);
        }
        Ok(Step::Delivery {
            used: end,
            payload: &bytes[start..end],
        })
    }
}

/// The length of the body behind this head.
fn length(head: &[u8]) -> Result<usize> {
    let lines = head.split(|&byte| byte == b'\n');
    let mut headers = lines.filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let is_it = line[..colon].eq_ignore_ascii_case(b"content-length");
        is_it.then(|| line[colon + 1..].trim_ascii())
    });
    let digits = headers.next();
    let digits = digits.with_context(|| format!("there is no length in {}", shown(head)))?;
    decimal(digits)
}

fn post(path: &str, payload: &[u8], out: &mut Vec<u8>) {
    let length = payload.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(payload);
}

impl Journal for Posts {
    fn enter_all(&self, _first_lane: usize, _topics: &[String], _out: &mut Vec<u8>) {}

    fn answers_entering(&self) -> bool {
        false
    }

    fn append(&self, topic: &str, id: Id, payload: &[u8], out: &mut Vec<u8>) {
        let Id { lane, number } = id;
        let path = format!("/{topic}?json=whole&id=p{lane}-{number}");
        post(&path, payload, out);
    }

    fn answer(&self, arrival: &[u8]) -> Result<Answer> {
        let answer: serde_json::Value = serde_json::from_slice(arrival)
            .with_context(|| format!("natter answered {}", shown(arrival)))?;
        let position = answer["seq"].as_u64();
        let position = position.with_context(|| format!("natter answered {answer}"))?;
        Ok(Answer::Ack {
            id: None,
            position: (position, 0),
        })
    }

    fn reader(&self, _topic: &str, _count: u64) -> Box<dyn Reader> {
        Box::new(Unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::{decoded, holds_at_every_split};

    const BODY: &[u8] = b"{\"topic\":\"T\",\"seq\":4,\"time\":1763796000123}\n";

    fn answered(status: &str) -> Vec<u8> {
        let length = BODY.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\ndate: now\r\n\r\n");
        [head.as_bytes(), BODY].concat()
    }

    #[test]
    fn the_body_of_each_answer_is_found_wherever_the_bytes_are_cut() {
        let wire = answered("200 OK").repeat(2);
        holds_at_every_split(&Posts, &wire, &[BODY, BODY], b"");
    }

    #[test]
    fn an_answer_says_where_the_message_stands() {
        let (id, position) = (None, (4, 0));
        let expected = Answer::Ack { id, position };
        assert_eq!(Posts.answer(BODY).unwrap(), expected);
        assert!(Posts.answer(b"{}").is_err());
    }

    #[test]
    fn a_refusal_ends_the_run() {
        let wire = answered("503 Service Unavailable");
        let error = decoded(&Posts, &[&wire]).unwrap_err().to_string();
        assert!(error.contains("503"), "{error}");
    }
}
