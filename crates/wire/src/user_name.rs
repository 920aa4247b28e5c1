//! A user's name: what others see beside a message, and look an address up by.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A user's name: 1 to 64 characters, none of them a control character.
///
/// Compared byte by byte: `Alice` and `alice` are two users. Cloning shares it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(Arc<str>);

/// Why a text is no user's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    /// Nothing was given.
    #[error("a user's name can't be empty")]
    Empty,
    /// More than [`UserName::MAX_CHARS`] characters.
    #[error("a user's name has at most {max} characters, this one has {0}", max = UserName::MAX_CHARS)]
    TooLong(usize),
    /// A control character, which could forge lines or control a terminal.
    #[error("a user's name can't hold a control character, this one holds {}", .0.escape_unicode())]
    Control(char),
}

impl UserName {
    /// The longest name, in characters: more than any login or person's name that
    /// is meant to be read, and less than a line.
    pub const MAX_CHARS: usize = 64;

    /// Takes `name` if it is allowed.
    pub fn new(name: &str) -> Result<Self, UserNameError> {
        if name.is_empty() {
            return Err(UserNameError::Empty);
        }
        match name.chars().count() {
            count if count > Self::MAX_CHARS => return Err(UserNameError::TooLong(count)),
            _ => {}
        }
        match name.chars().find(|c| c.is_control()) {
            Some(control) => Err(UserNameError::Control(control)),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for UserName {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl std::str::FromStr for UserName {
    type Err = UserNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl Borrow<str> for UserName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_to_64_characters_however_many_bytes_they_are() {
        assert_eq!(UserName::new("a").unwrap().as_str(), "a");
        assert!(UserName::new(&"騒".repeat(64)).is_ok());
        assert_eq!(UserName::new(""), Err(UserNameError::Empty));
        let long = "é".repeat(65);
        assert_eq!(UserName::new(&long), Err(UserNameError::TooLong(65)));
    }

    #[test]
    fn refuses_control_characters() {
        for name in ["a\nb", "\u{1b}[2J", "\u{7f}", "a\u{85}b", "\0"] {
            let error = UserName::new(name).unwrap_err();
            assert!(matches!(error, UserNameError::Control(_)), "{name:?}");
            assert!(!error.to_string().contains(char::is_control));
        }
    }
}
