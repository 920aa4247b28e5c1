//! Finds addresses of the web in a text.

use std::ops::Range;

/// Where they are.
pub(super) fn links(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = next(text, from) {
        let end = text[at..]
            .find(|c: char| c.is_whitespace() || c.is_control() || "<>\"`{}|\\^".contains(c))
            .map_or(text.len(), |length| at + length);
        let link = without_punctuation(&text[at..end]);
        // The scheme alone leads nowhere.
        if link
            .split_once("://")
            .is_some_and(|(_, rest)| !rest.is_empty())
        {
            found.push(at..at + link.len());
        }
        from = end.max(at + 1);
    }
    found
}

fn next(text: &str, from: usize) -> Option<usize> {
    let starts = ["https://", "http://"].map(|scheme| text[from..].find(scheme));
    let at = from + starts.into_iter().flatten().min()?;
    Some(at)
}

/// What ends a sentence, or a bracket that was opened before, doesn't belong to it.
fn without_punctuation(link: &str) -> &str {
    let mut link = link;
    loop {
        let Some(last) = link.chars().next_back() else {
            return link;
        };
        let opening = match last {
            ')' => Some('('),
            ']' => Some('['),
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '…' => None,
            _ => return link,
        };
        let count = |c: char| link.matches(c).count();
        if opening.is_some_and(|opening| count(opening) >= count(last)) {
            return link;
        }
        link = &link[..link.len() - last.len_utf8()];
    }
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn addresses_are_found_without_what_stands_around_them() {
        for (text, expected) in [
            (
                "see http://a.example/b?c=d#e.",
                &["http://a.example/b?c=d#e"][..],
            ),
            (
                "(https://a/b_(c)) and <http://d>",
                &["https://a/b_(c)", "http://d"],
            ),
            ("http:// and https://", &[]),
            (
                "t:https://a/%C3%A9, http://é.example/騒",
                &["https://a/%C3%A9", "http://é.example/騒"],
            ),
            ("no link", &[]),
        ] {
            let found: Vec<&str> = links(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
