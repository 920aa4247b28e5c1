//! The forms in which connections get lines. A batch for many receivers is encoded once for each
//! form in use ([`Batch`](crate::outbox::batch::Batch) keeps it).

use bytes::Bytes;
use wire::ErrorCode;

use crate::outbox::events::{IdParts, write_events};
use crate::outbox::texts::{Topics, write_texts};
use crate::websocket::close::CloseCode;
use crate::websocket::frame::{close_frame, write_messages};

/// How long a browser waits before it reconnects.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// The shortest and the longest time in milliseconds after which the reader of a stream comes
/// back whose server has ended: longer than most servers take to start again.
const RETRY_LATER: (u32, u32) = (1_000, 5_000);

/// The form in which a connection gets lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// The lines.
    #[default]
    Lines,
    /// Server-Sent Events.
    Events,
    /// The lines, in chunks of HTTP 1.1.
    ChunkedLines,
    /// Server-Sent Events, in chunks of HTTP 1.1.
    ChunkedEvents,
    /// Text messages of a WebSocket, one for each line.
    WebSocket,
    /// Plain text for people.
    Text,
    /// Plain text for people, in chunks of HTTP 1.1.
    ChunkedText,
    /// Plain text that names the topic of each message.
    TopicText,
    /// Plain text that names the topic of each message, in chunks of HTTP 1.1.
    ChunkedTopicText,
}

impl Form {
    /// How many forms there are beside the lines.
    pub(super) const ENCODED: usize = 8;

    /// The index of this form among the encoded ones; `None` for the lines themselves.
    pub(super) fn place(self) -> Option<usize> {
        match self {
            Self::Lines => None,
            Self::Events => Some(0),
            Self::ChunkedLines => Some(1),
            Self::ChunkedEvents => Some(2),
            Self::WebSocket => Some(3),
            Self::Text => Some(4),
            Self::ChunkedText => Some(5),
            Self::TopicText => Some(6),
            Self::ChunkedTopicText => Some(7),
        }
    }

    /// Whether the form uses the chunks of HTTP 1.1.
    pub(crate) fn is_chunked(self) -> bool {
        matches!(
            self,
            Self::ChunkedLines | Self::ChunkedEvents | Self::ChunkedText | Self::ChunkedTopicText
        )
    }

    /// Whether its messages have ids, from which their reader can resume.
    pub(crate) fn has_ids(self) -> bool {
        matches!(self, Self::Events | Self::ChunkedEvents)
    }

    /// Whole lines in this form. The ids of events say in which epoch of the topic the
    /// messages are.
    pub(crate) fn encode(self, lines: &[u8], epoch: u64) -> Vec<u8> {
        self.encode_at(lines, &IdParts::of_epoch(epoch))
    }

    /// Whole lines in this form, with these ids.
    pub(super) fn encode_at(self, lines: &[u8], ids: &IdParts) -> Vec<u8> {
        match self {
            Self::Lines => lines.to_vec(),
            Self::Events => write_events(lines, ids),
            Self::ChunkedLines => chunk(lines),
            Self::ChunkedEvents => chunk(&write_events(lines, ids)),
            Self::WebSocket => write_messages(lines),
            Self::Text => write_texts(lines, Topics::Hidden),
            Self::ChunkedText => chunk(&write_texts(lines, Topics::Hidden)),
            Self::TopicText => write_texts(lines, Topics::Named),
            Self::ChunkedTopicText => chunk(&write_texts(lines, Topics::Named)),
        }
    }

    /// Encodes a reply or an error. With the reply to a registration, `id` is the position from
    /// which an event stream resumes if it is cut off before its first message.
    pub(super) fn encode_one(self, line: Vec<u8>, id: Option<&str>) -> Bytes {
        let event = || {
            let mut event = id.map_or(Vec::new(), |id| format!("id: {id}\n").into_bytes());
            event.extend(write_events(&line, &IdParts::default()));
            event
        };
        match self {
            Self::Lines => line.into(),
            Self::Events => event().into(),
            Self::ChunkedEvents => chunk(&event()).into(),
            Self::ChunkedLines
            | Self::WebSocket
            | Self::Text
            | Self::ChunkedText
            | Self::TopicText
            | Self::ChunkedTopicText => self.encode(&line, 0).into(),
        }
    }

    /// The first bytes after the head of an answer.
    pub(crate) fn begin(self) -> Vec<u8> {
        match self {
            Self::Events => RETRY.to_vec(),
            Self::ChunkedEvents => chunk(RETRY),
            Self::Lines
            | Self::ChunkedLines
            | Self::WebSocket
            | Self::Text
            | Self::ChunkedText
            | Self::TopicText
            | Self::ChunkedTopicText => Vec::new(),
        }
    }

    /// The last bytes; if there is a reason, they follow the error. An answer in chunks that ends
    /// with an error isn't complete, so it has no last chunk.
    pub(super) fn end(self, reason: Option<ErrorCode>) -> Bytes {
        match (self, reason) {
            (Self::WebSocket, reason) => {
                let text = reason.map_or("", ErrorCode::as_str);
                close_frame(CloseCode::of(reason), text).into()
            }
            (Self::Events, Some(ErrorCode::ShuttingDown)) => retry_later().into(),
            (Self::ChunkedEvents, Some(ErrorCode::ShuttingDown)) => chunk(&retry_later()).into(),
            (_, None) if self.is_chunked() => Bytes::from_static(b"0\r\n\r\n"),
            (_, _) => Bytes::new(),
        }
    }

    /// The bytes of a sign of life; empty if the form has none.
    pub(super) fn keep_alive(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Lines => b"\n",
            Self::Events => b":\n\n",
            Self::ChunkedLines => b"1\r\n\n\r\n",
            Self::ChunkedEvents => b"3\r\n:\n\n\r\n",
            Self::WebSocket => b"\x89\0",
            // An empty line would be shown.
            Self::Text | Self::ChunkedText | Self::TopicText | Self::ChunkedTopicText => b"",
        })
    }
}

/// Has an event stream's reader wait before it comes back: each for another time, so that not
/// all readers of a server that has ended come to the next one at once.
fn retry_later() -> Vec<u8> {
    let (least, most) = RETRY_LATER;
    // Without randomness, they wait for the shortest time.
    let random = getrandom::u32().unwrap_or(0) % (most - least);
    format!("retry: {}\n\n", least + random).into_bytes()
}

/// Bytes as one chunk. An empty chunk would be the last one, so empty bytes give none.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let size = format!("{:x}\r\n", bytes.len());
    [size.as_bytes(), bytes, b"\r\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_batch_is_one_chunk_and_only_a_whole_answer_has_the_last_one() {
        let lines = b"{\"a\":1}\n{\"b\":2}\n";
        let chunk = Form::ChunkedLines.encode(lines, 0);
        assert_eq!(text(&chunk), "10\r\n{\"a\":1}\n{\"b\":2}\n\r\n");
        assert_eq!(Form::ChunkedLines.encode(b"", 0), b"");
        assert_eq!(&Form::ChunkedLines.end(None)[..], b"0\r\n\r\n");
        assert_eq!(Form::ChunkedLines.end(Some(ErrorCode::SlowReader)), "");
        assert_eq!(Form::Lines.end(None), "");
    }

    #[test]
    fn an_answer_has_the_id_that_it_is_given() {
        let line = b"{\"extended\":{\"registered\":{}}}\n".to_vec();
        let event = Form::Events.encode_one(line.clone(), Some("5f1c:7"));
        let expected =
            "id: 5f1c:7\nevent: registered\ndata: {\"extended\":{\"registered\":{}}}\n\n";
        assert_eq!(text(&event), expected);
        let event = Form::Events.encode_one(line, None);
        assert!(text(&event).starts_with("event: registered\n"));
    }

    #[test]
    fn a_websocket_gets_a_message_a_line() {
        let messages = Form::WebSocket.encode(b"{\"a\":1}\n{}\n", 0);
        assert_eq!(messages, b"\x81\x07{\"a\":1}\x81\x02{}");
        let end = Form::WebSocket.end(Some(ErrorCode::ShuttingDown));
        assert_eq!(&end[..], b"\x88\x0f\x03\xf4shutting-down");
    }
}
