//! Frames as Server-Sent Events: a message is an event whose id says where to go on
//! from, and everything else that a server says is an event of its own name.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep};
use wire::TopicName;

/// How long a browser waits before it comes back.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// A line that says nothing, so that nobody takes the stream for dead.
const COMMENT: &[u8] = b":\n\n";

/// What all frames for extended connections begin with.
const FRAME: &[u8] = b"{\"extended\":{";

/// Lines → events.
pub(crate) struct Events {
    topic: TopicName,
    /// Nothing of the past was asked for: whoever is cut off before the first message
    /// goes on from where the topic was.
    is_at_its_end: bool,
    /// The life of the topic, once it is known.
    epoch: String,
    /// A line that isn't complete.
    rest: Vec<u8>,
    /// When it has been silent for too long.
    silence: Pin<Box<Sleep>>,
    interval: Duration,
    has_begun: bool,
}

impl Events {
    pub(crate) fn new(topic: TopicName, is_at_its_end: bool, interval: Duration) -> Self {
        Self {
            topic,
            is_at_its_end,
            epoch: String::new(),
            rest: Vec::new(),
            silence: Box::pin(tokio::time::sleep(interval)),
            interval,
            has_begun: false,
        }
    }

    /// The events of what has come, as far as its lines are complete.
    pub(crate) fn convert(&mut self, bytes: &[u8]) -> Bytes {
        let mut events = Vec::with_capacity(bytes.len() + bytes.len() / 4);
        if !std::mem::replace(&mut self.has_begun, true) {
            events.extend_from_slice(RETRY);
        }
        let mut lines = bytes;
        while let Some(end) = memchr::memchr(b'\n', lines) {
            let (line, after) = lines.split_at(end);
            lines = &after[1..];
            if self.rest.is_empty() {
                self.event(line, &mut events);
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.event(&whole, &mut events);
            }
        }
        self.rest.extend_from_slice(lines);
        self.silence.as_mut().reset(Instant::now() + self.interval);
        events.into()
    }

    /// Says something when nothing was said for long.
    pub(crate) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        ready!(self.silence.as_mut().poll(cx));
        self.silence.as_mut().reset(Instant::now() + self.interval);
        Poll::Ready(Bytes::from_static(COMMENT))
    }

    fn event(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
        match Kind::of(line) {
            Kind::Message(Some(seq)) => {
                put(&[b"id: ", self.epoch.as_bytes(), b":", seq, b"\n"]);
            }
            Kind::Message(None) => {}
            Kind::Other(name) => {
                if name == b"registered"
                    && let Some((epoch, seq)) = self.place(line)
                {
                    if self.is_at_its_end {
                        put(&[b"id: ", epoch.as_bytes(), b":", seq.as_bytes(), b"\n"]);
                    }
                    self.epoch = epoch;
                }
                put(&[b"event: ", name, b"\n"]);
            }
        }
        put(&[b"data: ", line, b"\n\n"]);
    }

    /// Where the topic is, as the answer to the registration says.
    fn place(&self, line: &[u8]) -> Option<(String, String)> {
        let frame: serde_json::Value = serde_json::from_slice(line).ok()?;
        let topic = &frame["extended"]["registered"]["topics"][self.topic.as_str()];
        let epoch = topic["epoch"].as_str()?.to_owned();
        Some((epoch, topic["seq"].as_u64()?.to_string()))
    }
}

/// What a line is. The server has written its beginning, so that suffices.
enum Kind<'a> {
    /// A message and, if it is stored, its number.
    Message(Option<&'a [u8]>),
    /// Something else, and its name.
    Other(&'a [u8]),
}

impl<'a> Kind<'a> {
    fn of(line: &'a [u8]) -> Self {
        let Some(extended) = line.strip_prefix(FRAME) else {
            return Self::Message(None);
        };
        if let Some(seq) = extended.strip_prefix(b"\"seq\":") {
            let digits = seq.iter().take_while(|byte| byte.is_ascii_digit()).count();
            return Self::Message(Some(&seq[..digits]));
        }
        let name = extended.strip_prefix(b"\"").unwrap_or_default();
        match memchr::memchr(b'"', name) {
            Some(end) if &name[..end] != b"stored" => Self::Other(&name[..end]),
            _ => Self::Message(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTERED: &str =
        r#"{"extended":{"registered":{"topics":{"lab":{"epoch":"5f1c","seq":7}}}}}"#;

    fn events(is_at_its_end: bool) -> Events {
        let topic = TopicName::new("lab").unwrap();
        Events::new(topic, is_at_its_end, Duration::from_secs(1))
    }

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_message_has_its_place_as_id_however_its_bytes_come() {
        let message = r#"{"extended":{"seq":8,"time":5},"message":{"topic":"lab","text":"id: 9"}}"#;
        let gap = r#"{"extended":{"gap":{"topic":"lab","from":9,"to":10}}}"#;
        let unstored = r#"{"extended":{"stored":false,"time":5},"message":{}}"#;
        let lines = format!("{REGISTERED}\n{message}\n{gap}\n{unstored}\n");
        let expected = format!(
            "retry: 1000\n\nid: 5f1c:7\nevent: registered\ndata: {REGISTERED}\n\n\
             id: 5f1c:8\ndata: {message}\n\nevent: gap\ndata: {gap}\n\ndata: {unstored}\n\n"
        );
        assert_eq!(text(&events(true).convert(lines.as_bytes())), expected);
        let mut pieces = events(true);
        let all: Vec<_> = lines
            .bytes()
            .flat_map(|byte| pieces.convert(&[byte]))
            .collect();
        assert_eq!(text(&all.into()), expected);
    }

    #[tokio::test]
    async fn who_has_asked_for_the_past_is_not_told_that_he_has_it() {
        let converted = events(false).convert(format!("{REGISTERED}\n").as_bytes());
        assert!(!text(&converted).contains("id:"), "{}", text(&converted));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_says_that_it_is_there() {
        let mut events = events(true);
        for _ in 0..3 {
            let said = std::future::poll_fn(|cx| events.poll_silence(cx)).await;
            assert_eq!(text(&said), ":\n\n");
        }
    }
}
