//! When a message mentions a user: the same rule as the page's (docs/mentions.md).

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

    /// The table of `docs/mentions.md`: name, text, and whether it is a mention.
    fn documented() -> Vec<(&'static str, &'static str, bool)> {
        let page = include_str!("../../../../docs/mentions.md");
        let mut cases = Vec::new();
        for row in page.lines().filter(|line| line.starts_with("| `")) {
            let columns: Vec<&str> = row.trim_matches('|').split(" | ").collect();
            let [name, texts, answer] = columns[..] else {
                panic!("{row}");
            };
            let quoted = |text: &'static str| text.split('`').skip(1).step_by(2);
            let name = quoted(name).next().expect("a name");
            let is_mention = answer.trim() == "yes";
            cases.extend(quoted(texts).map(|text| (name, text, is_mention)));
        }
        cases
    }

    #[test]
    fn a_name_is_mentioned_as_the_document_says() {
        let cases = documented();
        assert!(cases.len() > 30, "{cases:?}");
        for (name, text, is_mention) in cases {
            assert_eq!(mentions(text, name), is_mention, "{name}: {text}");
        }
        assert!(!mentions("", "alice"));
        assert!(!mentions("hi", ""));
    }
}
