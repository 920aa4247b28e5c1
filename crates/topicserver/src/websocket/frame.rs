//! Frames as a server writes them: never masked, never in fragments.

use crate::websocket::close::CloseCode;

/// The final frame of a text message, and the same for a closing and a pong.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;

/// What a control frame carries at most (5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// Writes each of these lines as a text message, without its line's end.
pub(crate) fn write_messages(lines: &[u8]) -> Vec<u8> {
    // Most lines are longer than 125 bytes: a header of four.
    let count = memchr::memchr_iter(b'\n', lines).count();
    let mut out = Vec::with_capacity(lines.len() + 3 * count);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', lines) {
        write_frame(TEXT, &lines[start..end], &mut out);
        start = end + 1;
    }
    out
}

/// The answer to a ping.
pub(crate) fn pong_frame(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + payload.len());
    write_frame(PONG, payload, &mut out);
    out
}

/// A close frame with a reason. The text is cut to what a control frame can carry.
pub(crate) fn close_frame(code: CloseCode, text: &str) -> Vec<u8> {
    let text = &text[..text.floor_char_boundary(MAX_CONTROL - 2)];
    let payload = [&code.0.to_be_bytes(), text.as_bytes()].concat();
    let mut out = Vec::with_capacity(2 + payload.len());
    write_frame(CLOSE, &payload, &mut out);
    out
}

fn write_frame(head: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(head);
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        medium @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_in_the_fewest_bytes() {
        for (length, head) in [
            (0, &b"\x81\0"[..]),
            (125, b"\x81\x7d"),
            (126, b"\x81\x7e\0\x7e"),
            (0xffff, b"\x81\x7e\xff\xff"),
            (0x10000, b"\x81\x7f\0\0\0\0\0\x01\0\0"),
        ] {
            let line = [vec![b'x'; length], b"\n".to_vec()].concat();
            let frame = write_messages(&line);
            assert_eq!(&frame[..head.len()], head);
            assert_eq!(frame.len(), head.len() + length);
        }
    }

    #[test]
    fn a_reason_fits_into_a_control_frame() {
        let frame = close_frame(CloseCode::PROTOCOL_ERROR, &"\u{e9}".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}
