//! The application payload that every system carries: one natter frame on a
//! line, of an exact size, with a stamp in fixed-width digits at its end, so
//! that a receiver reads publisher, sequence and send time at fixed offsets
//! and never parses JSON.

use anyhow::{Result, ensure};

/// What follows the stamp in every frame: the end of the text, of `message`
/// and of the frame, and the line break.
const TRAILER: &[u8] = b"\"}}\n";
const LANE_DIGITS: usize = 5;
const SEQUENCE_DIGITS: usize = 10;
const TIME_DIGITS: usize = 16;
/// Kind letter, lane, sequence number, time.
const STAMP: usize = 1 + LANE_DIGITS + SEQUENCE_DIGITS + TIME_DIGITS;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only finds out which connections are registered; may arrive any number of times.
    Probe,
    /// Counts: must arrive once, and in order.
    Data,
}

/// What a publisher writes into each frame for its receivers to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Probe or data.
    pub(crate) kind: Kind,
    /// Which publisher of this run, from 0.
    pub(crate) lane: usize,
    /// That publisher's own count, from 0 and without a hole.
    pub(crate) sequence: u64,
    /// Nanoseconds of the generator's own monotonic clock.
    pub(crate) time: u64,
}

/// A frame ready but for its stamp.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// The whole frame; the stamp's place is overwritten for each message.
    bytes: Vec<u8>,
}

impl Template {
    /// A frame of exactly `size` bytes, line break included, for `topic`.
    pub(crate) fn new(topic: &str, size: usize) -> Result<Self> {
        let mut bytes = head(topic).into_bytes();
        let least = bytes.len() + STAMP + TRAILER.len();
        ensure!(
            size >= least,
            "a frame of {size} bytes has no room for its stamp: topic {topic:?} needs at least {least}"
        );
        bytes.resize(size - TRAILER.len(), b'.');
        bytes.extend_from_slice(TRAILER);
        Ok(Self { bytes })
    }

    /// A frame whose text is `text` bytes long.
    pub(crate) fn size_for_text(topic: &str, text: usize) -> usize {
        head(topic).len() + text + TRAILER.len()
    }

    /// The frame with this stamp.
    pub(crate) fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        let end = self.bytes.len() - TRAILER.len();
        let place = &mut self.bytes[end - STAMP..end];
        place[0] = match stamp.kind {
            Kind::Probe => b'P',
            Kind::Data => b'D',
        };
        let (lane, rest) = place[1..].split_at_mut(LANE_DIGITS);
        let (sequence, time) = rest.split_at_mut(SEQUENCE_DIGITS);
        write_digits(lane, stamp.lane as u64);
        write_digits(sequence, stamp.sequence);
        write_digits(time, stamp.time);
        &self.bytes
    }
}

/// Everything of a frame that stands before its text.
fn head(topic: &str) -> String {
    format!(
        "{{\"source\":{{\"ip\":\"127.0.0.1\",\"port\":\"5000\"}},\
         \"destination\":{{\"ip\":\"127.0.0.1\",\"port\":\"20000\"}},\
         \"message\":{{\"topic\":\"{topic}\",\"text\":\""
    )
}

/// Reads the stamp of a frame; `None` if this isn't a frame of ours.
pub(crate) fn read_stamp(frame: &[u8]) -> Option<Stamp> {
    let stamped = frame.strip_suffix(TRAILER)?;
    let place = &stamped[stamped.len().checked_sub(STAMP)?..];
    let kind = match place[0] {
        b'P' => Kind::Probe,
        b'D' => Kind::Data,
        _ => return None,
    };
    let (lane, rest) = place[1..].split_at(LANE_DIGITS);
    let (sequence, time) = rest.split_at(SEQUENCE_DIGITS);
    Some(Stamp {
        kind,
        lane: usize::try_from(read_digits(lane)?).ok()?,
        sequence: read_digits(sequence)?,
        time: read_digits(time)?,
    })
}

fn write_digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn read_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value: u64, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMPED: Stamp = Stamp {
        kind: Kind::Data,
        lane: 417,
        sequence: 9_876_543_210,
        time: 1_234_567_890_123_456,
    };

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let mut template = Template::new("t-1", 220).unwrap();
        assert_eq!(read_stamp(template.stamped(STAMPED)), Some(STAMPED));
        let probe = Stamp {
            kind: Kind::Probe,
            ..STAMPED
        };
        assert_eq!(read_stamp(template.stamped(probe)), Some(probe));
    }

    #[test]
    fn a_frame_has_exactly_its_size_and_is_one_line_of_json() {
        for size in [190, 220, 8192] {
            let mut template = Template::new("T", size).unwrap();
            let frame = template.stamped(STAMPED).to_vec();
            assert_eq!(frame.len(), size);
            assert_eq!(memchr::memchr(b'\n', &frame), Some(size - 1));
            let json: serde_json::Value = serde_json::from_slice(&frame).unwrap();
            assert_eq!(json["message"]["topic"], "T");
        }
    }

    #[test]
    fn the_size_for_a_text_gives_a_text_of_that_length() {
        let size = Template::size_for_text("T", 8192);
        let template = Template::new("T", size).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&template.bytes).unwrap();
        assert_eq!(json["message"]["text"].as_str().unwrap().len(), 8192);
    }

    #[test]
    fn a_size_without_room_for_the_stamp_is_refused_with_the_least() {
        let error = Template::new("T", 40).unwrap_err().to_string();
        assert!(error.contains("at least"), "{error}");
    }

    #[test]
    fn what_is_no_frame_of_ours_has_no_stamp() {
        assert_eq!(read_stamp(b""), None);
        assert_eq!(read_stamp(b"\"}}\n"), None);
        let mut template = Template::new("T", 220).unwrap();
        let mut frame = template.stamped(STAMPED).to_vec();
        frame[220 - 6] = b'x';
        assert_eq!(read_stamp(&frame), None);
    }
}
