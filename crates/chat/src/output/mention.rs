//! When a message mentions somebody: the same rule as the page's (docs/mentions.md).

/// `name` is in `text` as a word of its own: with or without `@` before it, in whatever
/// case, and never a part of a longer name.
pub(crate) fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (folded(text), folded(name));
    if name.is_empty() {
        return false;
    }
    let mut from = 0;
    while let Some(at) = text[from..].find(&name) {
        let (start, end) = (from + at, from + at + name.len());
        if is_boundary_before(&text[..start]) && is_boundary_after(&text[end..]) {
            return true;
        }
        from = start + text[start..].chars().next().map_or(1, char::len_utf8);
    }
    false
}

/// Upper and lower case are the same.
fn folded(text: &str) -> String {
    text.to_lowercase()
}

fn is_boundary_before(before: &str) -> bool {
    let mut chars = before.chars().rev();
    match chars.next() {
        // An address of mail is no mention.
        Some('@') => chars.next().is_none_or(|c| !is_in_name(c)),
        Some(c) => !is_in_name(c),
        None => true,
    }
}

/// A dot or a hyphen belongs to a longer name only if that goes on.
fn is_boundary_after(after: &str) -> bool {
    let mut chars = after.chars();
    match chars.next() {
        Some('-' | '.') => chars.next().is_none_or(|c| !is_in_word(c)),
        Some(c) => !is_in_name(c),
        None => true,
    }
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_in_name(c: char) -> bool {
    is_in_word(c) || c == '-' || c == '.'
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_name_is_mentioned_as_a_word_of_its_own() {
        for (text, is_mention) in [
            ("alice: lunch?", true),
            ("hi Alice!", true),
            ("hi @ALICE, hi", true),
            ("(alice)", true),
            ("ask alice.", true),
            ("alice", true),
            ("alice - are you there?", true),
            ("is it alice-", true),
            ("malice alice", true),
            ("alice-2: hi", false),
            ("@alice-2", false),
            ("malice", false),
            ("alice_b", false),
            ("alices", false),
            ("bob-alice", false),
            ("mail bob@alice", false),
            ("alice.example.org", false),
            ("", false),
        ] {
            assert_eq!(mentions(text, "alice"), is_mention, "{text}");
        }
        assert!(mentions("hi ÉLODIE", "élodie"));
        assert!(mentions("hi alice-2", "alice-2"));
        assert!(!mentions("hi", ""));
    }
}
