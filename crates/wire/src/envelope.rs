//! The envelope: what a server puts, first, under `extended` into each message
//! that goes to an extended connection.

use crate::extended;
use crate::scan::Value;
use crate::user_name::UserName;

/// An envelope as a client reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Envelope {
    /// The message's place in its topic's order; `None` if it isn't stored.
    pub seq: Option<u64>,
    /// When the server took it: milliseconds since the Unix epoch.
    pub time: Option<u64>,
    /// Who sent it, if that connection has a name.
    pub user: Option<String>,
    /// The account that the sender has proven to be, if it has logged in.
    pub account: Option<String>,
}

impl Envelope {
    /// The most bytes that an envelope adds to a frame: the numbers, and a name and an account of
    /// 64 characters each, which take four bytes or are escaped.
    pub const MAX_BYTES: usize = 768;

    /// Reads the envelope of the message that a scanner found in `bytes`; an empty
    /// one if there is none, or none that can be read.
    pub fn read(bytes: &[u8], value: &Value) -> Self {
        let envelope = value.extended(bytes).map(extended::read);
        envelope.and_then(Result::ok).unwrap_or_default()
    }
}

/// Writes the envelopes of messages that have all in common but their numbers.
#[derive(Debug)]
pub struct EnvelopeWriter {
    /// Everything from the time on, with the comma before the other members of the frame.
    tail: Vec<u8>,
}

/// An envelope up to the sequence number.
const HEAD: &[u8] = b"{\"extended\":{\"seq\":";
/// The envelope of a message that isn't stored, up to its time.
const UNSTORED_HEAD: &[u8] = b"{\"extended\":{\"stored\":false";
/// Bytes of the tail without the user's name.
const TAIL_COST: usize = r#","time":1763796000123,"user":""},"#.len();

/// Bytes of the account's member without its name.
const ACCOUNT_COST: usize = r#","account":"""#.len();

impl EnvelopeWriter {
    /// For messages of `user` that the server took at `time`, in milliseconds
    /// since the Unix epoch. `account` is who that user has proven to be.
    pub fn new(time: u64, user: Option<&UserName>, account: Option<&UserName>) -> Self {
        let length = |name: Option<&UserName>| name.map_or(0, |name| name.as_str().len());
        let cost = account.map_or(0, |account| ACCOUNT_COST + account.as_str().len());
        let mut tail = Vec::with_capacity(TAIL_COST + length(user) + cost);
        tail.extend_from_slice(b",\"time\":");
        tail.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
        if let Some(user) = user {
            tail.extend_from_slice(b",\"user\":");
            // Writing a string into memory can't fail.
            let _ = serde_json::to_writer(&mut tail, user.as_str());
        }
        if let Some(account) = account {
            tail.extend_from_slice(b",\"account\":");
            // As above.
            let _ = serde_json::to_writer(&mut tail, account.as_str());
        }
        tail.extend_from_slice(b"},");
        Self { tail }
    }

    /// Bytes by which a frame grows.
    pub fn growth(&self, seq: Option<u64>) -> usize {
        let head = match seq {
            Some(seq) => HEAD.len() + seq.checked_ilog10().unwrap_or(0) as usize + 1,
            None => UNSTORED_HEAD.len(),
        };
        // The brace of the frame is replaced.
        head + self.tail.len() - 1
    }

    /// Appends `frame`, an object with at least one member that begins with its
    /// first byte, with the envelope as its first member. `seq` is none for a
    /// message that isn't stored.
    pub fn write(&self, seq: Option<u64>, frame: &[u8], out: &mut Vec<u8>) {
        match seq {
            Some(seq) => {
                out.extend_from_slice(HEAD);
                out.extend_from_slice(itoa::Buffer::new().format(seq).as_bytes());
            }
            None => out.extend_from_slice(UNSTORED_HEAD),
        }
        out.extend_from_slice(&self.tail);
        out.extend_from_slice(frame.get(1..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Received, Scan, Scanner};

    fn read(line: &[u8]) -> (Envelope, String) {
        let scan = Scanner::new(Limits::default()).scan(line).unwrap();
        let Scan::Value(value) = scan else {
            panic!("{scan:?}");
        };
        let text = Received::read(line, &value).unwrap().text.decode().into();
        (Envelope::read(line, &value), text)
    }

    #[test]
    fn what_is_written_is_read() {
        let user = UserName::new("al\"ice").unwrap();
        let account = UserName::new("al").unwrap();
        let writer = EnvelopeWriter::new(1_763_796_000_123, Some(&user), Some(&account));
        let frame = b"{ \"message\":{\"topic\":\"T\",\"text\":\"hi\"}}\n";
        let mut line = Vec::new();
        writer.write(Some(u64::MAX), frame, &mut line);
        let expected = Envelope {
            seq: Some(u64::MAX),
            time: Some(1_763_796_000_123),
            user: Some("al\"ice".into()),
            account: Some("al".into()),
        };
        assert_eq!(read(&line), (expected, "hi".into()));
    }

    #[test]
    fn a_frame_grows_by_what_is_foretold() {
        let writer = EnvelopeWriter::new(7, None, None);
        for seq in [
            None,
            Some(0),
            Some(9),
            Some(10),
            Some(99),
            Some(100),
            Some(u64::MAX),
        ] {
            let mut line = Vec::new();
            writer.write(seq, b"{\"a\":1}", &mut line);
            assert_eq!(
                line.len(),
                b"{\"a\":1}".len() + writer.growth(seq),
                "{seq:?}"
            );
        }
    }

    #[test]
    fn the_longest_names_fit() {
        for character in ["\u{1f980}", "\"", "\\"] {
            let name = UserName::new(&character.repeat(UserName::MAX_CHARS)).unwrap();
            let writer = EnvelopeWriter::new(u64::MAX, Some(&name), Some(&name));
            assert!(writer.growth(Some(u64::MAX)) <= Envelope::MAX_BYTES);
        }
    }

    #[test]
    fn what_is_not_stored_has_no_number() {
        let writer = EnvelopeWriter::new(7, None, None);
        let mut line = Vec::new();
        writer.write(
            None,
            b"{\"message\":{\"topic\":\"T\",\"text\":\"hi\"}}",
            &mut line,
        );
        let (envelope, _) = read(&line);
        assert_eq!((envelope.seq, envelope.time), (None, Some(7)));
        assert!(line.starts_with(b"{\"extended\":{\"stored\":false,\"time\":7},\"message\""));
    }
}
