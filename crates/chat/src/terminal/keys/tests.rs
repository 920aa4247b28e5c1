//! What terminals send, whole and in pieces.

use super::*;

fn parsed(pieces: &[&[u8]]) -> Vec<Input> {
    let (mut parser, mut out) = (KeyParser::default(), Vec::new());
    for piece in pieces {
        parser.push(piece, &mut out);
    }
    // Pieces of a paste make no difference.
    let mut joined: Vec<Input> = Vec::new();
    for input in out {
        match (joined.last_mut(), input) {
            (Some(Input::Paste(before)), Input::Paste(more)) => before.push_str(&more),
            (_, input) => joined.push(input),
        }
    }
    joined
}

fn key(code: Code) -> Input {
    Input::Key(Key::plain(code))
}

/// The text of keys that are text.
fn text(inputs: &[Input]) -> String {
    let char_of = |input: &Input| match input {
        Input::Key(Key {
            code: Code::Char(c),
            ctrl: false,
            alt: false,
            ..
        }) => *c,
        Input::Key(Key {
            code: Code::Enter, ..
        }) => '\n',
        other => panic!("{other:?}"),
    };
    inputs.iter().map(char_of).collect()
}

#[test]
fn text_is_text_and_what_is_no_utf_8_is_replaced() {
    assert_eq!(
        text(&parsed(&["grüße 騒ぎ 👩‍👧".as_bytes()])),
        "grüße 騒ぎ 👩‍👧"
    );
    assert_eq!(
        text(&parsed(&[b"a\xffb\xc3(\xe2\x82"])),
        "a\u{fffd}b\u{fffd}("
    );
    let (mut parser, mut out) = (KeyParser::default(), Vec::new());
    parser.push(b"\xe2\x82", &mut out);
    assert!(out.is_empty() && parser.is_waiting());
    parser.give_up(&mut out);
    assert_eq!(text(&out), "\u{fffd}");
}

#[test]
fn every_line_break_is_one_enter() {
    assert_eq!(text(&parsed(&[b"a\rb\nc\r\nd\n\r"])), "a\nb\nc\nd\n\n");
}

#[test]
fn keys_are_known_in_every_spelling() {
    for (bytes, expected) in [
        (&b"\x1b[A"[..], Key::plain(Code::Up)),
        (b"\x1bOA", Key::plain(Code::Up)),
        (
            b"\x1b[1;5D",
            Key {
                ctrl: true,
                ..Key::plain(Code::Left)
            },
        ),
        (b"\x1b[1;3C", Key::plain(Code::Right).with_alt()),
        (b"\x1b[5~", Key::plain(Code::PageUp)),
        (b"\x1b[7~", Key::plain(Code::Home)),
        (b"\x1b[F", Key::plain(Code::End)),
        (
            b"\x1b[Z",
            Key {
                shift: true,
                ..Key::plain(Code::Tab)
            },
        ),
        (b"\x1b\r", Key::plain(Code::Enter).with_alt()),
        (
            b"\x1b[13;2u",
            Key {
                shift: true,
                ..Key::plain(Code::Enter)
            },
        ),
        (
            b"\x1b[27;5;13~",
            Key {
                ctrl: true,
                ..Key::plain(Code::Enter)
            },
        ),
        (b"\x1b1", Key::plain(Code::Char('1')).with_alt()),
        (b"\x03", Key::ctrl('c')),
        (b"\x1f", Key::ctrl('7')),
        (b"\x7f", Key::plain(Code::Backspace)),
    ] {
        let whole = parsed(&[bytes]);
        assert_eq!(whole, [Input::Key(expected)], "{bytes:?}");
        let cut: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(parsed(&cut), whole, "{bytes:?} in pieces");
    }
}

#[test]
fn what_is_not_known_is_swallowed_whole() {
    for bytes in [
        &b"\x1b[25~"[..],
        b"\x1b[[A",
        b"\x1b[?1;2c",
        b"\x1b[>41;354;0c",
        b"\x1b[12;40R",
        b"\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\",
        b"\x1b]0;title\x07",
        b"\x1bP1$r0m\x1b\\",
        b"\x1b_Gi=31;OK\x1b\\",
        b"\x1b[<0;12;5M",
        b"\x1b[<0;12;5m",
        b"\x1b[M !!",
        b"\x1b[200;300;400x",
        b"\x1bOP",
        b"\x1b[1;2P",
        b"\x1b[57358u",
    ] {
        let around = [b"a", bytes, b"b"].concat();
        assert_eq!(text(&parsed(&[&around])), "ab", "{bytes:?}");
        let cut: Vec<&[u8]> = around.chunks(1).collect();
        assert_eq!(text(&parsed(&cut)), "ab", "{bytes:?} in pieces");
    }
}

#[test]
fn a_paste_is_one_whatever_is_in_it_and_wherever_it_is_cut() {
    let pasted = "one\r\ntwo\r\tthree é\u{1b}[A\n".as_bytes();
    let bytes = [b"\x1b[200~", pasted, b"\x1b[201~x"].concat();
    let expected = [
        Input::Paste("one\ntwo\n\tthree é\u{1b}[A\n".into()),
        Input::PasteEnd,
        key(Code::Char('x')),
    ];
    for at in 0..bytes.len() {
        assert_eq!(parsed(&[&bytes[..at], &bytes[at..]]), expected, "{at}");
    }
}

#[test]
fn a_paste_that_never_ends_is_given_up_and_nothing_of_it_is_lost() {
    let (mut parser, mut out) = (KeyParser::default(), Vec::new());
    parser.push(b"\x1b[200~half\x1b[20", &mut out);
    parser.give_up(&mut out);
    let all: String = out
        .iter()
        .filter_map(|input| match input {
            Input::Paste(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(all, "half\u{1b}[20");
    assert_eq!(out.last(), Some(&Input::PasteEnd));
    parser.push(b"\x03", &mut out);
    assert_eq!(out.last(), Some(&Input::Key(Key::ctrl('c'))));
}

#[test]
fn an_escape_alone_is_a_key_when_nothing_follows() {
    let (mut parser, mut out) = (KeyParser::default(), Vec::new());
    parser.push(b"\x1b", &mut out);
    assert!(out.is_empty() && parser.is_waiting());
    parser.give_up(&mut out);
    assert_eq!(out, [key(Code::Escape)]);
}

#[test]
fn an_escape_in_haste_takes_nothing_of_what_is_typed_after_it() {
    let (mut parser, mut out) = (KeyParser::default(), Vec::new());
    parser.push(b"\x1b", &mut out);
    assert!(parser.is_at_escape());
    parser.take_escape(&mut out);
    parser.push(b"/join", &mut out);
    assert_eq!(out[0], key(Code::Escape));
    assert_eq!(text(&out[1..]), "/join");
    // The rest of a sequence that was cut there is no text.
    out.clear();
    parser.push(b"\x1b", &mut out);
    parser.take_escape(&mut out);
    parser.push(b"[A", &mut out);
    assert_eq!(out, [key(Code::Escape), key(Code::Up)]);
}

#[test]
fn the_wheel_and_the_focus_are_reported() {
    assert_eq!(
        parsed(&[b"\x1b[<64;1;1M\x1b[<65;1;1M\x1b[I\x1b[O"]),
        [
            Input::Wheel(Wheel::Up),
            Input::Wheel(Wheel::Down),
            Input::Focus(Focus::Gained),
            Input::Focus(Focus::Lost)
        ]
    );
}

proptest::proptest! {
    #[test]
    fn no_bytes_stop_it_and_pieces_make_no_difference(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        at in 0..200_usize,
    ) {
        let at = at.min(bytes.len());
        proptest::prop_assert_eq!(parsed(&[&bytes]), parsed(&[&bytes[..at], &bytes[at..]]));
    }
}
