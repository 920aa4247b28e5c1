//! A topic's name: any short text that can stand in one line.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A topic's name: 1 to 255 bytes of UTF-8 without control characters.
///
/// Compared byte by byte: `Lab` and `lab` are two topics. Cloning shares it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// Why a text is no topic's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    /// Nothing was given.
    #[error("a topic's name can't be empty")]
    Empty,
    /// More than [`TopicName::MAX_BYTES`] bytes.
    #[error("a topic's name has at most {max} bytes, this one has {0}", max = TopicName::MAX_BYTES)]
    TooLong(usize),
    /// A control character, which could forge lines or control a terminal.
    #[error("a topic's name can't hold a control character, this one holds {}", .0.escape_unicode())]
    Control(char),
}

impl TopicName {
    /// The longest name, in bytes: what a file name may have on most systems,
    /// so that a topic can become one.
    pub const MAX_BYTES: usize = 255;

    /// Takes `name` if it is allowed.
    pub fn new(name: &str) -> Result<Self, TopicNameError> {
        Self::check(name)?;
        Ok(Self(name.into()))
    }

    /// Says whether `name` is allowed, without keeping it.
    pub fn check(name: &str) -> Result<(), TopicNameError> {
        if name.is_empty() {
            return Err(TopicNameError::Empty);
        }
        if name.len() > Self::MAX_BYTES {
            return Err(TopicNameError::TooLong(name.len()));
        }
        match name.chars().find(|c| c.is_control()) {
            Some(control) => Err(TopicNameError::Control(control)),
            None => Ok(()),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for TopicName {
    type Err = TopicNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_to_255_bytes() {
        assert_eq!(TopicName::new("a").unwrap().as_str(), "a");
        let longest = "é".repeat(127) + "x";
        assert_eq!(TopicName::new(&longest).unwrap().as_str(), longest);
        assert_eq!(TopicName::new(""), Err(TopicNameError::Empty));
        assert_eq!(
            TopicName::new(&"x".repeat(256)),
            Err(TopicNameError::TooLong(256))
        );
    }

    #[test]
    fn refuses_control_characters_of_every_kind() {
        for name in ["a\nb", "\u{1b}[2J", "\u{7f}", "a\u{85}b", "\0"] {
            let error = TopicName::new(name).unwrap_err();
            assert!(matches!(error, TopicNameError::Control(_)), "{name:?}");
            assert!(!error.to_string().contains(char::is_control));
        }
    }

    #[test]
    fn takes_any_other_text() {
        for name in [
            "lame-conversation",
            "a b",
            "騒ぎ",
            "🎈",
            "a:b",
            "\"quoted\\\"",
        ] {
            assert_eq!(name.parse::<TopicName>().unwrap().to_string(), name);
        }
    }
}
