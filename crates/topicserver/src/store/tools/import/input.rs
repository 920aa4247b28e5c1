//! Reads the lines of an export.

use std::io::{BufRead, Read as _};

use wire::Envelope;

use super::error::{ImportError, LONGEST_LINE, LineError};
use crate::store::tools::lines::{Line, Parts, VERSION, stored_line};

/// Reads lines that aren't empty, without their line feeds.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    pub(super) number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn of(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The next line and its number, from 1.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[u8])>, ImportError> {
        loop {
            self.line.clear();
            let mut input = self.input.by_ref().take(LONGEST_LINE);
            let read = input.read_until(b'\n', &mut self.line);
            let read = read.map_err(ImportError::Read)? as u64;
            self.number += 1;
            if !self.line.ends_with(b"\n") {
                return match read {
                    LONGEST_LINE => Err(ImportError::Line {
                        number: self.number,
                        what: LineError::TooLong,
                    }),
                    // What has no end was cut off, though it may look complete.
                    _ => Ok(None),
                };
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, self.line.trim_ascii())));
            }
        }
    }
}

/// A message as a line has it.
pub(super) struct Message {
    pub(super) seq: u64,
    pub(super) index: u64,
    pub(super) publisher: u64,
    pub(super) id: Option<(u64, u64)>,
    pub(super) stored: Vec<u8>,
}

/// Checks the first line.
pub(super) fn check_version(line: &Line<'_>) -> Result<(), LineError> {
    match line.version {
        None => Err(LineError::NoExport),
        Some(VERSION) => Ok(()),
        Some(other) => Err(LineError::OtherFormat(other)),
    }
}

/// Reads the line of a message.
pub(super) fn read_message(line: &Line<'_>) -> Result<Message, LineError> {
    let wrong = LineError::Wrong;
    let seq = line.seq.filter(|&seq| seq < u64::MAX);
    let seq = seq.ok_or(wrong("a message has a number"))?;
    let index = line.index.or(line.time);
    let stored = match (&line.frame, &line.line) {
        (Some(frame), None) => {
            let envelope = Envelope {
                seq: Some(seq),
                time: line.time,
                user: line.user.as_deref().map(str::to_owned),
                account: line.account.as_deref().map(str::to_owned),
            };
            let is_object = frame.starts_with('{');
            let stored = stored_line(&envelope, seq, frame.as_bytes()).filter(|_| is_object);
            stored.ok_or(wrong("a frame is an object, with a time and valid names"))?
        }
        (None, Some(line)) => {
            let checked = Parts::of(seq, line.as_bytes());
            checked.map_err(|_| wrong("the line isn't that of a message with this number"))?;
            line.as_bytes().to_vec()
        }
        _ => return Err(wrong("this is no line of an export")),
    };
    let _: serde::de::IgnoredAny = serde_json::from_slice(&stored)?;
    if stored.contains(&b'\n') {
        return Err(wrong("a frame is one line"));
    }
    let number = |text: &str| {
        let number = hexadecimal(text, 16).and_then(|number| u64::try_from(number).ok());
        number.ok_or(wrong("a hash has 16 hexadecimal digits"))
    };
    let id = line.id.as_ref();
    Ok(Message {
        seq,
        index: index.ok_or(wrong("a message has a time"))?,
        publisher: line.publisher.as_deref().map_or(Ok(0), number)?,
        id: id
            .map(|(origin, id)| Ok::<_, LineError>((number(origin)?, number(id)?)))
            .transpose()?,
        stored,
    })
}

/// A number of this many digits.
pub(super) fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_whole = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| is_whole)
}

pub(super) fn epoch_of(text: &str) -> Option<u64> {
    hexadecimal(text, 16).and_then(|epoch| u64::try_from(epoch).ok())
}
