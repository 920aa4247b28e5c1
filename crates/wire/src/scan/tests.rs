//! The scanner against `serde_json` as the oracle, and against hostile bytes.

use proptest::prelude::*;

use super::*;
use crate::error_code::ErrorCode;
use crate::notes::Span;

/// Feeds `stream` in pieces that end at `cuts` and collects what is found, as
/// the bytes of each value, and the error that ended it.
fn scan_pieces(
    limits: Limits,
    stream: &[u8],
    cuts: &[usize],
) -> (Vec<(Vec<u8>, Value)>, Option<ScanError>) {
    let mut scanner = Scanner::new(limits);
    let mut buffer = Vec::new();
    let mut found = Vec::new();
    let mut last = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        buffer.extend_from_slice(&stream[last..cut]);
        last = cut;
        loop {
            match scanner.scan(&buffer) {
                Ok(Scan::Value(value)) => {
                    let rest = buffer.split_off(value.end);
                    let bytes = buffer[value.start..].to_vec();
                    let shift = value.start;
                    found.push((
                        bytes,
                        Value {
                            start: 0,
                            end: value.end - shift,
                            ..value
                        },
                    ));
                    buffer = rest;
                }
                Ok(Scan::Blank) => {
                    buffer.clear();
                    break;
                }
                Ok(Scan::Partial) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

fn scan_whole(stream: &[u8]) -> (Vec<(Vec<u8>, Value)>, Option<ScanError>) {
    scan_pieces(Limits::default(), stream, &[])
}

/// What the oracle says of a text that should be exactly one object or array.
fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text)
        .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

fn json() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("topics".to_owned()),
        Just("message".to_owned()),
        Just("topic".to_owned()),
        Just("text".to_owned()),
        Just("extended".to_owned()),
        Just("m\\u0065ssage".to_owned()),
        ".{0,6}".prop_map(|text: String| escape(&text)),
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| format!("{n:e}")),
        any::<i64>().prop_map(|n| n.to_string()),
        ".{0,40}".prop_map(|text: String| format!("\"{}\"", escape(&text))),
        Just("\"\\ud800 \\u00e9\\\\\\\"\"".to_owned()),
    ];
    let space = prop_oneof![Just(""), Just(" "), Just("\n"), Just("\r\n\t ")];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let member = (key.clone(), space.clone(), inner.clone())
            .prop_map(|(key, space, value)| format!("\"{key}\"{space}:{space}{value}{space}"));
        let list = |items: Vec<String>, open, close| format!("{open}{}{close}", items.join(","));
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(move |items| list(items, '[', ']')),
            proptest::collection::vec(member, 0..5).prop_map(move |items| list(items, '{', '}')),
        ]
    })
}

fn escape(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// An object with some JSON in it, as frames are.
fn object() -> impl Strategy<Value = String> {
    json().prop_map(|value| format!("{{\"message\":{value}}}"))
}

proptest! {
    #[test]
    fn every_split_finds_the_same_values(
        values in proptest::collection::vec(object(), 1..4),
        gap in prop_oneof![Just(""), Just("\n"), Just(" \r\n ")],
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream = values.join(gap).into_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let (whole, error) = scan_whole(&stream);
        prop_assert_eq!(error, None);
        let texts: Vec<_> = whole.iter().map(|(bytes, _)| bytes.clone()).collect();
        prop_assert_eq!(texts, values.iter().map(|v| v.clone().into_bytes()).collect::<Vec<_>>());
        let bytewise: Vec<_> = (0..stream.len()).collect();
        prop_assert_eq!(&scan_pieces(Limits::default(), &stream, &cuts).0, &whole);
        prop_assert_eq!(&scan_pieces(Limits::default(), &stream, &bytewise).0, &whole);
    }

    #[test]
    fn damaged_bytes_are_refused_exactly_when_the_oracle_refuses_them(
        value in object(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut damaged = value.into_bytes();
        let place = place.index(damaged.len());
        damaged[place] = byte;
        let (found, error) = scan_whole(&damaged);
        let one_value = error.is_none() && found.len() == 1 && found[0].0.len() == damaged.trim_ascii().len();
        prop_assert_eq!(one_value, is_json(&damaged), "{:?}", String::from_utf8_lossy(&damaged));
    }

    #[test]
    fn damage_is_found_at_the_same_place_however_the_bytes_are_cut(
        value in object(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut damaged = value.into_bytes();
        let place = place.index(damaged.len());
        damaged[place] = byte;
        let bytewise: Vec<_> = (0..damaged.len()).collect();
        prop_assert_eq!(scan_pieces(Limits::default(), &damaged, &bytewise), scan_whole(&damaged));
    }

    #[test]
    fn notes_are_what_the_oracle_finds_under_these_keys(value in object()) {
        let (found, _) = scan_whole(value.as_bytes());
        let notes = found[0].1.notes;
        let part = |span: Span| -> serde_json::Value {
            // The oracle reads a lone surrogate as an error; then there is nothing to compare.
            serde_json::from_str(&value[span.range()]).unwrap_or_default()
        };
        prop_assume!(notes.duplicate.is_none());
        let Ok(whole) = serde_json::from_str::<serde_json::Value>(&value) else { return Ok(()) };
        prop_assert_eq!(notes.message.map(part), whole.get("message").cloned());
        prop_assert_eq!(notes.topics.map(part), whole.get("topics").cloned());
        prop_assert_eq!(notes.topic.map(part), whole["message"].get("topic").cloned());
        prop_assert_eq!(notes.text.map(part), whole["message"].get("text").cloned());
    }

    #[test]
    fn any_bytes_at_all_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytewise: Vec<_> = (0..bytes.len()).collect();
        prop_assert_eq!(scan_pieces(Limits::default(), &bytes, &bytewise), scan_whole(&bytes));
    }
}

#[test]
fn values_of_every_kind_are_found_though_only_objects_are_frames() {
    let (found, error) = scan_whole(b"{} [1,2] \"x\" 42 -0.5e+3 true false null {\"a\":[]}7 ");
    assert_eq!(error, None);
    let texts: Vec<_> = found
        .iter()
        .map(|(bytes, _)| String::from_utf8_lossy(bytes))
        .collect();
    assert_eq!(
        texts,
        [
            "{}",
            "[1,2]",
            "\"x\"",
            "42",
            "-0.5e+3",
            "true",
            "false",
            "null",
            "{\"a\":[]}",
            "7"
        ]
    );
}

#[test]
fn a_number_cut_in_two_is_one_number() {
    let (found, _) = scan_pieces(Limits::default(), b"{\"a\":12.5e3}", &[6, 8, 9, 10]);
    assert_eq!(found.len(), 1);
}

#[test]
fn what_json_forbids_is_refused() {
    for text in [
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":NaN}",
        "{'a':1}",
        "{a:1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "{,}",
        "{]",
        "[}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "\"\t\"",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "tru ",
        "nulL",
        "}",
        "]",
        ",",
        ":",
        "\u{feff}{}",
        "GET / HTTP/1.1",
        "\0",
    ] {
        let (_, error) = scan_whole(text.as_bytes());
        assert!(
            matches!(error, Some(ScanError::NotJson { .. })),
            "{text:?}: {error:?}"
        );
    }
}

#[test]
fn an_error_says_where_and_what() {
    let error = scan_whole(b"  {\"a\": x}").1.unwrap();
    assert_eq!(
        error.to_string(),
        "found 'x' at byte 6 of the frame, where a value should be"
    );
    assert_eq!(error.code(), ErrorCode::NotJson);
    let error = scan_whole(b"\x1b").1.unwrap();
    assert!(error.to_string().contains("the byte 0x1b"), "{error}");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let error = scan_whole(b"{\"a\":\"\xff\"}").1;
    assert_eq!(error, Some(ScanError::NotUtf8 { offset: 6 }));
}

#[test]
fn nesting_is_allowed_up_to_the_limit_and_costs_no_stack() {
    let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert_eq!(scan_whole(nested(128).as_bytes()).1, None);
    assert_eq!(
        scan_whole(nested(129).as_bytes()).1,
        Some(ScanError::TooDeep(128))
    );
    assert_eq!(scan_whole(&[b'['; 60_000]).1, Some(ScanError::TooDeep(128)));
    let limits = Limits {
        max_depth: 2,
        ..Limits::default()
    };
    assert_eq!(scan_pieces(limits, b"{\"a\":{}}", &[]).1, None);
    assert_eq!(
        scan_pieces(limits, b"{\"a\":{\"b\":[]}}", &[]).1,
        Some(ScanError::TooDeep(2))
    );
    let mixed = [b"{\"a\":[".repeat(64), b"]}".repeat(64)].concat();
    assert_eq!(scan_whole(&mixed).1, None);
}

#[test]
fn a_frame_may_have_exactly_the_limit() {
    let limits = Limits {
        max_frame: 20,
        ..Limits::default()
    };
    let frame = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8)).into_bytes();
    assert_eq!(
        scan_pieces(limits, &[b" ".repeat(50), frame(20)].concat(), &[]).1,
        None
    );
    for cuts in [&[][..], &[20][..], &[10, 20][..]] {
        let result = scan_pieces(limits, &frame(21), cuts);
        assert_eq!(result, (vec![], Some(ScanError::TooLong(20))), "{cuts:?}");
    }
    assert_eq!(scan_pieces(limits, &[b' '; 100_000], &[]).1, None);
}

#[test]
fn line_breaks_between_tokens_are_noted_and_those_in_strings_are_escaped() {
    assert!(scan_whole(b"{\n}").0[0].1.line_break);
    assert!(scan_whole(b"{\"a\":\r1}").0[0].1.line_break);
    assert!(!scan_whole(b"\n{\"a\":\"\\n\"}\n").0[0].1.line_break);
    let two = scan_whole(b"{\n}{}").0;
    assert!(!two[1].1.line_break, "a break belongs to its own value");
}

#[test]
fn a_key_that_comes_twice_is_noted() {
    let duplicate = |text: &str| scan_whole(text.as_bytes()).0[0].1.notes.duplicate;
    assert_eq!(duplicate(r#"{"topics":[],"topics":[]}"#), Some("topics"));
    assert_eq!(
        duplicate(r#"{"message":{"topic":"a","t\u006fpic":"b"}}"#),
        Some("topic")
    );
    assert_eq!(
        duplicate(r#"{"message":{"text":"a"},"message":{}}"#),
        Some("message")
    );
    assert_eq!(
        duplicate(r#"{"message":{"x":{"topic":1},"topic":2},"topic":3,"x":1,"x":2}"#),
        None
    );
}
