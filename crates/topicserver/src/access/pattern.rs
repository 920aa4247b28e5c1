//! The topics of a rule: a name in which `*` stands for any characters and `{user}` for the name
//! of the account.

use std::borrow::Cow;

/// A pattern: parts with any characters between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// At least one.
    parts: Vec<Part>,
    text: String,
}

/// Literals and placeholders for the account's name.
type Part = Vec<Piece>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    User,
}

/// The placeholder for the account's name.
const USER: &str = "{user}";

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self {
            parts: text.split('*').map(part).collect(),
            text: text.to_owned(),
        }
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it fits every topic.
    pub(super) fn is_any(&self) -> bool {
        self.text.bytes().all(|byte| byte == b'*') && !self.text.is_empty()
    }

    /// Whether the pattern fits this topic. `user` is `None` without a login; then a pattern with
    /// `{user}` fits nothing.
    pub(super) fn matches(&self, topic: &str, user: Option<&str>) -> bool {
        let mut literals = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            match literal(part, user) {
                Some(literal) => literals.push(literal),
                None => return false,
            }
        }
        let Some((first, others)) = literals.split_first() else {
            return false;
        };
        let Some((last, middle)) = others.split_last() else {
            return topic == first;
        };
        let Some(mut rest) = topic.strip_prefix(&**first) else {
            return false;
        };
        // Taking the first match is right, because it leaves the most for the parts that follow.
        for literal in middle {
            match rest.find(&**literal) {
                Some(at) => rest = &rest[at + literal.len()..],
                None => return false,
            }
        }
        rest.ends_with(&**last)
    }
}

fn part(text: &str) -> Part {
    let mut pieces = Vec::new();
    for (index, text) in text.split(USER).enumerate() {
        if index > 0 {
            pieces.push(Piece::User);
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
    }
    pieces
}

/// The text that a part stands for.
fn literal<'a>(part: &'a Part, user: Option<&'a str>) -> Option<Cow<'a, str>> {
    let piece = |piece: &'a Piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        Piece::User => user,
    };
    Some(match part.as_slice() {
        [] => Cow::Borrowed(""),
        [one] => Cow::Borrowed(piece(one)?),
        several => Cow::Owned(several.iter().map(piece).collect::<Option<String>>()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything_and_the_user_for_one_name() {
        for (pattern, user, fitting, others) in [
            ("lab", None, &["lab"][..], &["lab-1", "la", ""][..]),
            ("*", None, &["lab", ""], &[]),
            ("lab-*", None, &["lab-", "lab-1"], &["lab", "x-lab-1"]),
            ("*-lab", None, &["a-lab"], &["a-lab-", "lab"]),
            ("a*b*c", None, &["abc", "aXbYc", "abbcc"], &["acb", "ab"]),
            ("aa*aa", None, &["aaaa", "aaXaa"], &["aaa"]),
            ("{user}-*", Some("al*"), &["al*-x"], &["alice-x", "al-x"]),
            ("{user}", None, &[], &["", "{user}"]),
            ("x{user}{user}", Some("a"), &["xaa"], &["xa"]),
        ] {
            let pattern = Pattern::new(pattern);
            for topic in fitting {
                assert!(pattern.matches(topic, user), "{pattern:?} {topic}");
            }
            for topic in others {
                assert!(!pattern.matches(topic, user), "{pattern:?} {topic}");
            }
        }
        assert!(Pattern::new("**").is_any() && !Pattern::new("*a").is_any());
    }
}
