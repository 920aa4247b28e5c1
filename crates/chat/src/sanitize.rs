//! Nothing that a peer sends controls the reader's terminal, forges a line or
//! turns the reading direction of what stands around it.
//!
//! Owns no state and writes nowhere; it only rewrites text.

use std::fmt::Write as _;

/// Appends `text` to `out` with everything that isn't plain text escaped, in the
/// form that JSON has for it: `\n`, `\t`, `\u001b`.
///
/// A backslash stays as it is, so that what people write looks as they wrote it;
/// an escape that was typed can't be told from one that was made here.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    let mut plain = 0;
    for (at, unsafe_char) in text.char_indices().filter(|(_, c)| is_unsafe(*c)) {
        out.push_str(&text[plain..at]);
        push_escape(out, unsafe_char);
        plain = at + unsafe_char.len_utf8();
    }
    out.push_str(&text[plain..]);
}

/// Control characters (C0, DEL, C1), the two separators that some terminals
/// break lines at, and the characters that reorder what stands around them.
fn is_unsafe(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

fn push_escape(out: &mut String, c: char) {
    match c {
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // Four digits do: no such character is beyond U+FFFF.
        other => {
            // Writing into a String can't fail.
            let _ = write!(out, "\\u{:04x}", u32::from(other));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::from(">");
        push_escaped(&mut out, text);
        out
    }

    #[test]
    fn control_characters_of_every_kind_are_shown_as_json_writes_them() {
        assert_eq!(escaped("a\nb\r\n\tc"), r">a\nb\r\n\tc");
        assert_eq!(escaped("\u{1b}[2J\u{7}\0"), r">\u001b[2J\u0007\u0000");
        assert_eq!(escaped("\u{7f}\u{9b}31m\u{85}"), r">\u007f\u009b31m\u0085");
        assert_eq!(escaped("\u{8}\u{c}"), r">\b\f");
        for c in (0..=0x10ffff)
            .filter_map(char::from_u32)
            .filter(|c| c.is_control())
        {
            assert!(!escaped(&c.to_string()).contains(char::is_control), "{c:?}");
        }
    }

    #[test]
    fn separators_and_bidirectional_overrides_are_shown() {
        assert_eq!(escaped("a\u{2028}b\u{2029}"), r">a\u2028b\u2029");
        assert_eq!(escaped("\u{202e}txt.exe\u{202c}"), r">\u202etxt.exe\u202c");
        assert_eq!(escaped("\u{2066}x\u{2069}"), r">\u2066x\u2069");
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in [
            "",
            "plain",
            r"C:\new\u0041",
            "é 騒ぎ 🎈 שלום",
            "\u{200f}",
            "\u{a0}",
        ] {
            assert_eq!(escaped(text), format!(">{text}"));
        }
    }
}
