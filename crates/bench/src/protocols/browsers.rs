//! The transports of browsers: Server-Sent Events, lines over HTTP and WebSocket, of ours and of
//! nchan. Receivers use them; publishers use what is cheapest for the server.

use super::extended::bare;
use super::{Codec, Step, decimal, natter, shown};
use anyhow::{Result, bail, ensure};
use memchr::memmem;

/// How a receiver comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Lines,
    Events,
    WebSocket,
}

/// Ours: publishers speak the classic protocol over TCP.
pub(crate) struct NatterTransport(pub(crate) Transport);

/// nginx with nchan: publishers post.
pub(crate) struct NchanTransport(pub(crate) Transport);

/// What makes a request one for a WebSocket.
pub(super) const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The first bytes of frames of a server.
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

impl Transport {
    fn request(self, path: &str, out: &mut Vec<u8>) {
        let wishes = match self {
            Self::Lines => "",
            Self::Events => "accept: text/event-stream\r\n",
            Self::WebSocket => UPGRADE,
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{wishes}\r\n");
        out.extend_from_slice(request.as_bytes());
    }

    fn next(self, bytes: &[u8]) -> Result<Step<'_>> {
        if bytes.starts_with(b"HTTP/") {
            return answer(bytes);
        }
        match self {
            Self::WebSocket => frame(bytes),
            Self::Lines | Self::Events => line(bytes),
        }
    }
}

impl Codec for NatterTransport {
    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        if self.0 != Transport::WebSocket {
            return self.0.request(&format!("/{topic}"), out);
        }
        self.0.request("/-/ws", out);
        let frame = format!("{{\"topics\":[\"{topic}\"],\"extended\":{{}}}}");
        // Masked with zeros: the frame stays as it is.
        out.extend_from_slice(&[TEXT, 0x80 | frame.len() as u8, 0, 0, 0, 0]);
        out.extend_from_slice(frame.as_bytes());
    }

    fn enter(&self, topic: &str, out: &mut Vec<u8>) {
        natter::Natter.enter(topic, out);
    }

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        natter::Natter.publish(topic, payload, out);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        self.0.next(bytes)
    }
}

impl Codec for NchanTransport {
    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        self.0.request(&format!("/sub?t={topic}"), out);
    }

    fn enter(&self, _topic: &str, _out: &mut Vec<u8>) {}

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        // A line's end within a text would make two fields of an event.
        let payload = payload.strip_suffix(b"\n").unwrap_or(payload);
        let head = format!(
            "POST /pub?t={topic} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n\r\n",
            payload.len()
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(payload);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        self.0.next(bytes)
    }
}

/// The head of an answer, with its body if its length is announced.
fn answer(bytes: &[u8]) -> Result<Step<'_>> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(Step::Incomplete);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(
        status.starts_with('2') || status == "101",
        "the server answered {}",
        shown(bytes)
    );
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(Ok(0), |length| decimal(length.trim().as_bytes()))?;
    let whole = end + 4 + length;
    Ok(match bytes.len() >= whole {
        true => Step::Skip(whole),
        false => Step::Incomplete,
    })
}

/// A line of a stream: of an event, of our frames, or of a chunk.
fn line(bytes: &[u8]) -> Result<Step<'_>> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return Ok(Step::Incomplete);
    };
    let (line, used) = (&bytes[..=end], end + 1);
    let frame = line.strip_prefix(b"data: ").unwrap_or(line);
    if frame.starts_with(b"{") {
        return delivery(frame, used);
    }
    let is_size = |line: &[u8]| line.iter().all(u8::is_ascii_hexdigit);
    let is_of_event = [&b"id: "[..], b"event: ", b"retry: ", b":"]
        .iter()
        .any(|name| line.starts_with(name));
    match line.strip_suffix(b"\r\n") {
        Some(size) if is_size(size) => Ok(Step::Skip(used)),
        _ if line == b"\n" || is_of_event => Ok(Step::Skip(used)),
        _ => bail!("a stream brought {}", shown(line)),
    }
}

/// A frame of a WebSocket.
fn frame(bytes: &[u8]) -> Result<Step<'_>> {
    let [head, short, rest @ ..] = bytes else {
        return Ok(Step::Incomplete);
    };
    let (start, length) = match (short, rest) {
        (126, [high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
        (126, _) => return Ok(Step::Incomplete),
        (0..=125, _) => (2, usize::from(*short)),
        _ => bail!("a WebSocket brought {}", shown(bytes)),
    };
    let used = start + length;
    let Some(payload) = bytes.get(start..used) else {
        return Ok(Step::Incomplete);
    };
    match *head {
        TEXT => delivery(payload, used),
        PING => {
            let pong = [&[0x8a, 0x80 | *short, 0, 0, 0, 0], payload].concat();
            Ok(Step::Answer(used, pong))
        }
        _ => bail!("a WebSocket brought {}", shown(bytes)),
    }
}

/// What was published, if it is that and no word of the server's own.
fn delivery(frame: &[u8], used: usize) -> Result<Step<'_>> {
    Ok(match bare(frame)? {
        Some(payload) => Step::Delivery { used, payload },
        None => Step::Skip(used),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::{decoded, holds_at_every_split};

    const REGISTERED: &str = r#"{"extended":{"registered":{"topics":{}}}}"#;

    #[test]
    fn events_are_found_wherever_the_bytes_are_cut() {
        let wire = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\nretry: 1000\n\n\r\n\
             ff\r\nevent: registered\ndata: {REGISTERED}\n\n\r\n3\r\n:\n\n\r\n\
             da\r\nid: a:1\ndata: {{\"extended\":{{\"seq\":1,\"time\":5}},\"a\":1}}\n\n\r\n"
        );
        holds_at_every_split(
            &NatterTransport(Transport::Events),
            wire.as_bytes(),
            &[b"\"a\":1}\n"],
            b"",
        );
        let wire = b"HTTP/1.1 200 OK\r\n\r\n: hi\n\nid: 1:0\ndata: {\"a\":1}\n\n";
        holds_at_every_split(
            &NchanTransport(Transport::Events),
            wire,
            &[b"{\"a\":1}\n"],
            b"",
        );
    }

    #[test]
    fn messages_are_found_and_pings_answered_wherever_the_bytes_are_cut() {
        let mut wire = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x89\x01p".to_vec();
        wire.extend_from_slice(b"\x81\x07{\"a\":1}\x81\x7e\0\x07{\"b\":2}");
        let pong = b"\x8a\x81\0\0\0\0p";
        let payloads: [&[u8]; 2] = [b"{\"a\":1}", b"{\"b\":2}"];
        holds_at_every_split(
            &NchanTransport(Transport::WebSocket),
            &wire,
            &payloads,
            pong,
        );
    }

    #[test]
    fn answers_to_publishers_are_passed_over_and_refusals_are_not() {
        let created = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok".repeat(2);
        holds_at_every_split(&NchanTransport(Transport::Events), &created, &[], b"");
        let refused = b"HTTP/1.1 403 Forbidden\r\n\r\n";
        assert!(decoded(&NchanTransport(Transport::Events), &[refused]).is_err());
    }
}
