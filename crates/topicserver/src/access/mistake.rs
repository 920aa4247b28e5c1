//! What is wrong in a file of accounts, and where: with the line and a caret. A line that
//! may hold a secret isn't shown.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use wire::{UserName, UserNameError};

use super::jwt::JwtKeyError;
use super::password::PasswordHashError;
use super::rate::RateError;
use super::rules::RuleError;
use super::token::TokenError;
use crate::network::NetworkError;

/// Why the file that says who may do what can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthFileError {
    /// It can't be read, or written.
    #[error("can't use {}: {cause}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The system has no random numbers, without which passwords can't be checked.
    #[error("the operating system gives no random numbers: {0}")]
    Randomness(getrandom::Error),
    /// Something in it is wrong.
    #[error("{}, {place}", .path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// Where, and what.
        place: Place,
    },
}

/// A mistake in a text, with the line in which it is.
#[derive(Debug)]
pub struct Place {
    line: usize,
    column: usize,
    text: String,
    mistake: Mistake,
}

/// What is wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// It is no TOML, or has other keys or types.
    #[error("{0}")]
    Syntax(String),
    /// A rule.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A token's id or secret.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A user's name.
    #[error(transparent)]
    Name(#[from] UserNameError),
    /// A network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// What is kept of a password.
    #[error(transparent)]
    Password(#[from] PasswordHashError),
    /// A limit.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The keys of signed tokens.
    #[error(transparent)]
    JwtKey(#[from] JwtKeyError),
    /// By which signed tokens are signed.
    #[error("{0:?} is no algorithm here; there are EdDSA, ES256 and RS256")]
    Algorithm(String),
    /// A token or an address is for a user that there isn't.
    #[error("there is no user {0:?} in this file; add [users.{0}]")]
    NoSuchUser(String),
    /// Two accounts have a name that looks the same.
    #[error("the name {name:?} belongs to {other} already, or looks the same")]
    SameName {
        /// Which.
        name: String,
        /// Whose it is.
        other: UserName,
    },
    /// A token that allows nothing.
    #[error("a token has a user, or says itself what it allows")]
    EmptyToken,
    /// A time of day.
    #[error("a token expires at a date, as in 2027-01-01T00:00:00Z")]
    Time,
}

/// A mistake, and where it is in bytes from the beginning.
#[derive(Debug)]
pub(super) struct At {
    pub(super) offset: usize,
    pub(super) mistake: Mistake,
}

/// Words of lines that may hold a secret.
const SECRETS: [&str; 4] = ["password", "secret", "ntr_", "$argon2"];

impl At {
    /// The same for people.
    pub(super) fn in_file(self, path: &Path, text: &str) -> AuthFileError {
        let offset = text.floor_char_boundary(self.offset.min(text.len()));
        let (before, behind) = text.split_at(offset);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = behind.find('\n').map_or(text.len(), |at| offset + at);
        AuthFileError::Wrong {
            path: path.to_owned(),
            place: Place {
                line: before.matches('\n').count() + 1,
                column: before[start..].chars().count() + 1,
                text: text[start..end].trim_end().to_owned(),
                mistake: self.mistake,
            },
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            text,
            mistake,
        } = self;
        write!(f, "line {line}, column {column}: ")?;
        if SECRETS.iter().any(|word| text.contains(word)) {
            return match mistake {
                // It may quote what is there.
                Mistake::Syntax(_) => f.write_str("this can't be read, or has another type"),
                other => write!(f, "{other}"),
            };
        }
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let indent: String = text
            .chars()
            .take(column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        write!(f, "{mistake}\n{number} | {text}\n{margin} | {indent}^")
    }
}
