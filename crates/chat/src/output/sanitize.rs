//! Escapes what a peer could use to control the reader's terminal, to forge a line, or
//! to turn the reading direction of the text around it.

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
            | '\u{180e}'
            | '\u{200b}'
            | '\u{2060}'..='\u{2064}'
            | '\u{feff}'
    )
}

/// Appends a name, in which what can't be seen is escaped too: two names that look
/// the same are the same.
pub(crate) fn push_name(out: &mut String, name: &str) {
    for c in name.chars() {
        if is_unsafe(c) || is_invisible(c) {
            push_escape(out, c);
        } else {
            out.push(c);
        }
    }
}

/// What has no shape of its own. In a text it has its uses: it joins emoji, and
/// the letters of some scripts.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The letters of a name are of scripts that nobody writes together, so that it
/// may look like another name.
pub(crate) fn is_mixed(name: &str) -> bool {
    use unicode_script::{Script, ScriptExtension, UnicodeScript as _};
    /// What East Asian languages write together, each with Latin letters.
    const TOGETHER: [&[Script]; 3] = [
        &[
            Script::Latin,
            Script::Han,
            Script::Hiragana,
            Script::Katakana,
        ],
        &[Script::Latin, Script::Han, Script::Hangul],
        &[Script::Latin, Script::Han, Script::Bopomofo],
    ];
    let extensions: Vec<_> = name.chars().map(|c| c.script_extension()).collect();
    let common = |all: ScriptExtension, one: &ScriptExtension| all.intersection(*one);
    let shared = extensions.iter().fold(Script::Common.into(), common);
    let fit = |scripts: &[Script]| {
        let contains = |one: &ScriptExtension| {
            one.is_common() || one.is_inherited() || scripts.iter().any(|s| one.contains_script(*s))
        };
        extensions.iter().all(contains)
    };
    shared.is_empty() && !TOGETHER.iter().any(|scripts| fit(scripts))
}

fn push_escape(out: &mut String, c: char) {
    match c {
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // As JSON has it: a character beyond U+FFFF is two of them.
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                // Writing into a String can't fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
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
    fn what_has_no_width_is_shown_and_in_names_what_has_no_shape() {
        assert_eq!(escaped("a\u{200b}b\u{feff}"), r">a\u200bb\ufeff");
        let name = |name: &str| {
            let mut out = String::new();
            push_name(&mut out, name);
            out
        };
        assert_eq!(name("al\u{200d}ice"), r"al\u200dice");
        assert_eq!(name("al\u{e0041}ice\u{200f}"), r"al\udb40\udc41ice\u200f");
        assert_eq!(name("Zoë 騒ぎ 🎈"), "Zoë 騒ぎ 🎈");
    }

    #[test]
    fn names_of_several_scripts_are_told() {
        // The second has a Cyrillic а, the third a Greek ο.
        for (name, mixed) in [
            ("alice", false),
            ("\u{430}lice", true),
            ("b\u{3bf}b", true),
            ("алиса-2", false),
            ("Zoë_3", false),
            ("東京タワーの人", false),
            ("tokyo東京", false),
            ("김 철수", false),
            ("שלום", false),
            ("🎈", false),
        ] {
            assert_eq!(is_mixed(name), mixed, "{name}");
        }
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
