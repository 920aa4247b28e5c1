//! Records as NATS brings them: in messages with headers, or in JSON.

use async_nats::{HeaderMap, Message};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use super::super::log::Located;

/// The header with a record's id.
pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The header with the position that the newest record of the subject must have.
pub(super) const EXPECTED_LAST: &str = "Nats-Expected-Last-Subject-Sequence";
const SEQUENCE: &str = "Nats-Sequence";
const LAST_SEQUENCE: &str = "Nats-Last-Sequence";

/// A record in JSON, as the leader of a stream sends it.
#[derive(Debug, Deserialize)]
pub(super) struct Stored {
    message: StoredMessage,
}

#[derive(Debug, Deserialize)]
struct StoredMessage {
    #[serde(rename = "seq")]
    sequence: u64,
    /// Absent if it is empty.
    #[serde(default)]
    data: String,
    /// As they are on the wire.
    #[serde(default, rename = "hdrs")]
    headers: String,
}

impl Stored {
    pub(super) fn located(&self) -> Option<Located> {
        Some(Located {
            at: self.message.sequence,
            record: BASE64_STANDARD.decode(&self.message.data).ok()?.into(),
        })
    }

    pub(super) fn sequence(&self) -> u64 {
        self.message.sequence
    }

    /// Whether it was appended with this id.
    pub(super) fn has_id(&self, id: &str) -> bool {
        let headers = BASE64_STANDARD.decode(&self.message.headers);
        let headers = headers.unwrap_or_default();
        let headers = String::from_utf8_lossy(&headers);
        let mut values = headers
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| name.eq_ignore_ascii_case(MESSAGE_ID));
        values.any(|(_, value)| value.trim() == id)
    }
}

/// The record that a message brings.
pub(super) fn located(message: &Message) -> Option<Located> {
    Some(Located {
        at: number(message.headers.as_ref()?, SEQUENCE)?,
        record: copied(&message.payload),
    })
}

/// The position of the record before, in a batch.
pub(super) fn before(message: &Message) -> Option<u64> {
    number(message.headers.as_ref()?, LAST_SEQUENCE)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get_last(name)?.as_str().parse().ok()
}

/// A record is kept as long as its messages are in memory. async-nats cuts it out of what it has
/// read at once, which would be kept as long.
fn copied(payload: &Bytes) -> Bytes {
    Bytes::copy_from_slice(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_in_json_has_a_position_a_text_and_an_id() {
        let headers = BASE64_STANDARD.encode("NATS/1.0\r\nNats-Msg-Id: 7:a:b\r\nX: y\r\n\r\n");
        let json = format!(r#"{{"message":{{"seq":4,"data":"YWJj","hdrs":"{headers}"}}}}"#);
        let stored: Stored = serde_json::from_str(&json).unwrap();
        let located = stored.located().unwrap();
        assert_eq!((located.at, &located.record[..]), (4, &b"abc"[..]));
        assert!(stored.has_id("7:a:b"));
        assert!(!stored.has_id("7:a"));
        let bare: Stored = serde_json::from_str(r#"{"message":{"seq":1}}"#).unwrap();
        assert!(!bare.has_id(""));
        assert_eq!(bare.located().unwrap().record, "");
    }
}
