//! Redis Streams in RESP 2: a stream for each topic, one field `d` in each entry.

use super::journal::{Answer, Id, Journal, Position, Reader};
use super::redis::command;
use super::{Codec, Step, crlf_line, decimal, shown};
use anyhow::{Context, Result, bail};

/// Entries that are read back with one command.
const PAGE: u64 = 1000;
/// Bulk strings of an entry: its id, the field's name, the field's value.
const PARTS: u8 = 3;

/// Redis, as far as it keeps messages. Every bulk string is a delivery, in
/// whatever array it stands.
pub(crate) struct Streams;

impl Codec for Streams {
    fn join(&self, _topic: &str, _out: &mut Vec<u8>) {}

    fn enter(&self, _topic: &str, _out: &mut Vec<u8>) {}

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        command(&[b"XADD", topic.as_bytes(), b"*", b"d", payload], out);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        let Some((line, start)) = crlf_line(bytes)? else {
            return Ok(Step::Incomplete);
        };
        match line.first() {
            Some(b'*') => Ok(Step::Skip(start)),
            Some(b'$') => {
                let end = start + decimal(&line[1..])?;
                let whole = bytes.len() >= end + 2;
                Ok(if whole {
                    Step::Delivery {
                        used: end + 2,
                        payload: &bytes[start..end],
                    }
                } else {
                    Step::Incomplete
                })
            }
            _ => bail!("Redis answered {}", shown(line)),
        }
    }
}

impl Journal for Streams {
    fn enter_all(&self, _first_lane: usize, _topics: &[String], _out: &mut Vec<u8>) {}

    fn answers_entering(&self) -> bool {
        false
    }

    fn append(&self, topic: &str, _id: Id, payload: &[u8], out: &mut Vec<u8>) {
        self.publish(topic, payload, out);
    }

    fn answer(&self, arrival: &[u8]) -> Result<Answer> {
        Ok(Answer::Ack {
            id: None,
            position: position(arrival)?,
        })
    }

    fn reader(&self, topic: &str, count: u64) -> Box<dyn Reader> {
        Box::new(Pages {
            topic: topic.to_owned(),
            left: count,
            left_of_page: 0,
            part: 0,
            position: (0, 0),
        })
    }
}

/// Reads an entry's id: milliseconds, a hyphen, a number within them.
fn position(id: &[u8]) -> Result<Position> {
    let text = std::str::from_utf8(id).ok();
    text.and_then(|text| text.split_once('-'))
        .and_then(|(time, number)| Some((time.parse().ok()?, number.parse().ok()?)))
        .with_context(|| format!("Redis sent {} where an id belongs", shown(id)))
}

/// Pages of a stream, each asked for when the one before has come.
struct Pages {
    topic: String,
    /// Entries that have not arrived.
    left: u64,
    /// Those of them that have been asked for.
    left_of_page: u64,
    /// Bulk strings of the present entry that have arrived.
    part: u8,
    /// Of the entry that arrived last.
    position: Position,
}

impl Pages {
    fn ask(&mut self, out: &mut Vec<u8>) {
        self.left_of_page = self.left.min(PAGE);
        let start = match self.position {
            (0, 0) => "-".to_owned(),
            (time, number) => format!("({time}-{number}"),
        };
        let (topic, count) = (self.topic.as_bytes(), self.left_of_page.to_string());
        let words: [&[u8]; 6] = [
            b"XRANGE",
            topic,
            start.as_bytes(),
            b"+",
            b"COUNT",
            count.as_bytes(),
        ];
        command(&words, out);
    }
}

impl Reader for Pages {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.ask(out);
    }

    fn take<'a>(
        &mut self,
        arrival: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<(Position, &'a [u8])>> {
        if self.part == 0 {
            self.position = position(arrival)?;
        }
        self.part += 1;
        if self.part < PARTS {
            return Ok(None);
        }
        self.part = 0;
        self.left = self.left.saturating_sub(1);
        self.left_of_page = self.left_of_page.saturating_sub(1);
        if self.left_of_page == 0 && self.left > 0 {
            self.ask(out);
        }
        Ok(Some((self.position, arrival)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::{decoded, holds_at_every_split};

    #[test]
    fn bulk_strings_are_found_wherever_the_bytes_are_cut() {
        let wire = b"$3\r\n7-0\r\n*1\r\n*2\r\n$3\r\n7-0\r\n*2\r\n$1\r\nd\r\n$3\r\n\r\nx\r\n";
        holds_at_every_split(&Streams, wire, &[b"7-0", b"7-0", b"d", b"\r\nx"], b"");
    }

    #[test]
    fn an_answer_to_xadd_is_an_acknowledgement_with_a_position() {
        let expected = Answer::Ack {
            id: None,
            position: (1_763_796_000_123, 4),
        };
        assert_eq!(Streams.answer(b"1763796000123-4").unwrap(), expected);
        assert!(Streams.answer(b"nonsense").is_err());
        assert!(decoded(&Streams, &[b"-MISCONF Errors writing\r\n"]).is_err());
    }

    #[test]
    fn pages_are_asked_for_one_after_the_other() {
        let mut reader = Streams.reader("T", PAGE + 1);
        let mut out = Vec::new();
        reader.begin(&mut out);
        assert!(out.ends_with(b"$1\r\n-\r\n$1\r\n+\r\n$5\r\nCOUNT\r\n$4\r\n1000\r\n"));
        for entry in 1..=PAGE {
            out.clear();
            let id = format!("{entry}-0");
            assert_eq!(reader.take(id.as_bytes(), &mut out).unwrap(), None);
            assert_eq!(reader.take(b"d", &mut out).unwrap(), None);
            let entered = reader.take(b"x", &mut out).unwrap();
            assert_eq!(entered, Some(((entry, 0), &b"x"[..])));
        }
        assert!(out.ends_with(b"$7\r\n(1000-0\r\n$1\r\n+\r\n$5\r\nCOUNT\r\n$1\r\n1\r\n"));
    }
}
