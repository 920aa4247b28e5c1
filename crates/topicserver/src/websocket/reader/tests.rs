//! What RFC 6455 demands of a server that reads, case by case; the numbers are those of
//! the Autobahn suite, which asks the same.

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client sends it; `head` are the final bit, the reserved ones and the
/// opcode.
fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![head];
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        medium => {
            out.push(0x80 | 126);
            out.extend((medium as u16).to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    out
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

/// What comes of bytes that arrive in pieces of `size`.
fn read(bytes: &[u8], size: usize) -> (Vec<u8>, Vec<u8>, Option<ReadEnd>) {
    let mut reader = FrameReader::new(1000);
    let (mut lines, mut pongs) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        if reader.take_line_end() {
            lines.push(b'\n');
        }
        let mut piece = piece.to_vec();
        let decoded = reader.decode(&mut piece);
        lines.extend(&piece[..decoded.length]);
        pongs.extend(decoded.pongs);
        if decoded.end.is_some() {
            return (lines, pongs, decoded.end);
        }
    }
    if reader.take_line_end() {
        lines.push(b'\n');
    }
    (lines, pongs, None)
}

/// The same however the bytes are cut.
#[track_caller]
fn expect(case: &str, bytes: &[u8], lines: &[u8], pongs: &[u8], end: Option<&ReadEnd>) {
    for size in [1, 2, 3, 5, 7, 13, 64, bytes.len().max(1)] {
        let (read_lines, read_pongs, read_end) = read(bytes, size);
        assert_eq!(read_end.as_ref(), end, "{case}, pieces of {size}");
        assert_eq!(read_pongs, pongs, "{case}, pieces of {size}");
        // Of what is wrong, more or less may have been taken before.
        let is_whole = !matches!(end, Some(ReadEnd::Violation(_)));
        let is_same = read_lines == lines || (!is_whole && lines.starts_with(&read_lines));
        let text = String::from_utf8_lossy(&read_lines);
        assert!(is_same, "{case}, pieces of {size}: {text:?}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn messages_come_as_lines() {
    let ping = frame(0x89, b"p");
    let long = vec![b'x'; 300];
    for (case, frames, lines) in [
        ("1.1.1 empty", vec![frame(0x81, b"")], &b"\n"[..]),
        ("1.1.2 text", vec![frame(0x81, b"abc")], b"abc\n"),
        (
            "1.1.3 126 bytes and more",
            vec![frame(0x81, &long)],
            &[&long[..], b"\n"].concat(),
        ),
        ("1.2.2 binary", vec![frame(0x82, b"abc")], b"abc\n"),
        (
            "two at once",
            vec![frame(0x81, b"a"), frame(0x81, b"b")],
            b"a\nb\n",
        ),
        (
            "5.3 two fragments",
            vec![frame(0x01, b"ab"), frame(0x80, b"c")],
            b"abc\n",
        ),
        (
            "5.19 fragments with pings between",
            vec![
                frame(0x01, b"a"),
                ping.clone(),
                frame(0x00, b"b"),
                ping.clone(),
                frame(0x80, b"c"),
            ],
            b"abc\n",
        ),
        (
            "6.1.2 empty fragments",
            vec![frame(0x01, b""), frame(0x00, b""), frame(0x80, b"")],
            b"\n",
        ),
        (
            "6.2.3 a character cut across fragments",
            vec![
                frame(0x01, b"\xe2"),
                frame(0x00, b"\x82"),
                frame(0x80, b"\xac"),
            ],
            "\u{20ac}\n".as_bytes(),
        ),
        (
            "binary may be anything",
            vec![frame(0x82, b"\xff\xfe")],
            b"\xff\xfe\n",
        ),
        ("2.7 a pong nobody asked for", vec![frame(0x8a, b"x")], b""),
    ] {
        let pings = frames.iter().filter(|frame| **frame == ping).count();
        expect(
            case,
            &frames.concat(),
            lines,
            &b"\x8a\x01p".repeat(pings),
            None,
        );
    }
}

#[test]
fn pings_are_answered_with_what_they_carry() {
    let full = vec![b'x'; 125];
    for (case, payload) in [
        ("2.1", &b""[..]),
        ("2.2", b"Hello"),
        ("2.3", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
        ("2.4", &full),
    ] {
        let mut pong = vec![0x8a, payload.len() as u8];
        pong.extend(payload);
        expect(case, &frame(0x89, payload), b"", &pong, None);
        let many = frame(0x89, payload).repeat(10);
        expect("2.10", &many, b"", &pong.repeat(10), None);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn what_a_client_must_not_do_is_detected() {
    let unmasked = b"\x81\x01x".to_vec();
    let long = vec![b'x'; 126];
    let too_long = vec![b'x'; 1001];
    let mut not_fewest = vec![0x81, 0x80 | 126, 0, 125];
    not_fewest.extend(MASK);
    let mut huge = vec![0x82, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 0];
    huge.extend(MASK);
    let mut announced = vec![0x82, 0x80 | 127, 0, 0, 0, 1, 0, 0, 0, 0];
    announced.extend(MASK);
    for (case, frames, violation, code) in [
        ("3.1", vec![frame(0xc1, b"x")], Violation::ReservedBit, 1002),
        (
            "3.2",
            vec![frame(0x81, b"a"), frame(0xa1, b"x")],
            Violation::ReservedBit,
            1002,
        ),
        ("3.5", vec![frame(0xd1, b"x")], Violation::ReservedBit, 1002),
        ("3.7", vec![frame(0xf9, b"")], Violation::ReservedBit, 1002),
        ("4.1.1", vec![frame(0x83, b"")], Violation::Opcode(3), 1002),
        ("4.1.5", vec![frame(0x87, b"x")], Violation::Opcode(7), 1002),
        ("4.2.1", vec![frame(0x8b, b"")], Violation::Opcode(11), 1002),
        (
            "4.2.5",
            vec![frame(0x8f, b"x")],
            Violation::Opcode(15),
            1002,
        ),
        ("5.1 no mask", vec![unmasked], Violation::Unmasked, 1002),
        (
            "2.5",
            vec![frame(0x89, &long)],
            Violation::LongControl,
            1002,
        ),
        (
            "7.3.6",
            vec![frame(0x88, &long)],
            Violation::LongControl,
            1002,
        ),
        (
            "5.1",
            vec![frame(0x09, b"x")],
            Violation::FragmentedControl,
            1002,
        ),
        (
            "5.2",
            vec![frame(0x0a, b"x")],
            Violation::FragmentedControl,
            1002,
        ),
        (
            "5.9",
            vec![frame(0x80, b"x")],
            Violation::Continuation,
            1002,
        ),
        (
            "5.15",
            vec![frame(0x01, b"a"), frame(0x80, b"b"), frame(0x00, b"c")],
            Violation::Continuation,
            1002,
        ),
        (
            "5.18",
            vec![frame(0x01, b"a"), frame(0x81, b"b")],
            Violation::Interleaved,
            1002,
        ),
        (
            "5.2 fewest bytes",
            vec![not_fewest],
            Violation::Length,
            1002,
        ),
        ("5.2 the highest bit", vec![huge], Violation::Length, 1002),
        (
            "6.3.1",
            vec![frame(0x81, b"ab\xed\xa0\x80c")],
            Violation::NotUtf8,
            1007,
        ),
        (
            "6.4.1 as soon as it is seen",
            vec![frame(0x01, b"\xf4\x90")],
            Violation::NotUtf8,
            1007,
        ),
        (
            "6.12 cut at its end",
            vec![frame(0x81, b"\xc3")],
            Violation::NotUtf8,
            1007,
        ),
        (
            "7.3.2",
            vec![frame(0x88, b"x")],
            Violation::ShortClose,
            1002,
        ),
        (
            "7.5.1",
            vec![close(1000, b"\xff")],
            Violation::CloseReason,
            1007,
        ),
        (
            "9.1 too long",
            vec![frame(0x81, &too_long)],
            Violation::TooLong(1000),
            1009,
        ),
        ("announced", vec![announced], Violation::TooLong(1000), 1009),
        (
            "9.3 too long in fragments",
            vec![frame(0x01, &too_long[..600]), frame(0x80, &too_long[..600])],
            Violation::TooLong(1000),
            1009,
        ),
    ] {
        assert_eq!(violation.close_code(), CloseCode(code), "{case}");
        let bytes = frames.concat();
        let end = Some(ReadEnd::Violation(violation));
        for size in [1, 2, 7, bytes.len()] {
            assert_eq!(read(&bytes, size).2, end, "{case}, pieces of {size}");
        }
    }
}

#[test]
fn a_close_is_heard_with_its_code() {
    let end = |code: Option<u16>| Some(ReadEnd::Closed(code.map(CloseCode)));
    expect("7.3.1", &frame(0x88, b""), b"", b"", end(None).as_ref());
    let reason = vec![b'x'; 123];
    expect(
        "7.3.5",
        &close(1000, &reason),
        b"",
        b"",
        end(Some(1000)).as_ref(),
    );
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        expect(
            "7.7",
            &close(code, b"bye"),
            b"",
            b"",
            end(Some(code)).as_ref(),
        );
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        let violation = Some(ReadEnd::Violation(Violation::CloseCode(code)));
        expect("7.9", &close(code, b""), b"", b"", violation.as_ref());
    }
    // 7.1.3: what comes after it is not read.
    let after = [frame(0x81, b"a"), close(1000, b""), frame(0x81, b"b")].concat();
    expect("7.1.3", &after, b"a\n", b"", end(Some(1000)).as_ref());
}

#[test]
fn what_has_begun_is_known() {
    for (bytes, is_partial) in [
        (frame(0x81, b"abc"), false),
        (frame(0x81, b"abc")[..1].to_vec(), true),
        (frame(0x81, b"abc")[..8].to_vec(), true),
        (frame(0x01, b"abc"), true),
        ([frame(0x01, b""), frame(0x89, b"")].concat(), true),
        (frame(0x89, b"x")[..6].to_vec(), true),
        (frame(0x8a, b"x"), false),
    ] {
        let mut reader = FrameReader::new(1000);
        let mut piece = bytes.clone();
        reader.decode(&mut piece);
        assert_eq!(reader.is_partial(), is_partial, "{bytes:x?}");
    }
}
