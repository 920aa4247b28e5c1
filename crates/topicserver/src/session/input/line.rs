//! A frame as it is relayed: on one line.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use wire::Value;

/// A copy of a frame as it is relayed: on one line, and without `extended`, which only the server
/// writes.
pub(super) fn line_of(frame: &[u8], value: &Value) -> Bytes {
    let mut line = BytesMut::with_capacity(frame.len() + 1);
    match value.notes.extended {
        Some(member) => {
            let (before, after) = around_member(frame, member.range());
            line.put_slice(before);
            line.put_slice(after);
        }
        None => line.put_slice(frame),
    }
    line.put_u8(b'\n');
    line.freeze()
}

/// A line break can only stand between tokens: in a string it would be escaped.
pub(super) fn blank_line_breaks(frame: &mut [u8]) {
    for byte in frame {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// What stands before and after a member and the one comma that goes with it.
fn around_member(frame: &[u8], member: Range<usize>) -> (&[u8], &[u8]) {
    let (before, after) = (&frame[..member.start], &frame[member.end..]);
    if let Some(rest) = after.trim_ascii_start().strip_prefix(b",") {
        return (before, rest);
    }
    let before = before.trim_ascii_end();
    (before.strip_suffix(b",").unwrap_or(before), after)
}
