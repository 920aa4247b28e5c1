//! Mistakes in the policy's file, with the line and a caret. A line that may hold a secret isn't
//! shown.

use std::io;
use std::path::{Path, PathBuf};

use wire::{UserName, UserNameError};

use super::jwt::JwtKeyError;
use super::password::PasswordHashError;
use super::rate::RateError;
use super::rules::RuleError;
use super::token::TokenError;
use crate::excerpt::Excerpt;
use crate::network::NetworkError;

/// Why the policy's file can't be used.
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
    #[error("{}, {}", .path.display(), located(.excerpt, .mistake))]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        excerpt: Excerpt,
        /// What is wrong there.
        mistake: Mistake,
    },
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
    /// The hash of a password.
    #[error(transparent)]
    Password(#[from] PasswordHashError),
    /// A limit.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The keys of signed tokens.
    #[error(transparent)]
    JwtKey(#[from] JwtKeyError),
    /// The algorithm of signed tokens.
    #[error("{0:?} is no algorithm here; there are EdDSA, ES256 and RS256")]
    Algorithm(String),
    /// A token or an address names a user that isn't in the file.
    #[error("there is no user {0:?} in this file; add [users.{0}]")]
    NoSuchUser(String),
    /// Two accounts have a name that looks the same.
    #[error("the name {name:?} belongs to {other} already, or looks the same")]
    SameName {
        /// The name.
        name: String,
        /// The account that has it.
        other: UserName,
    },
    /// Two accounts for the same user of this machine.
    #[error("uid {0} has an account already, further up in this file")]
    SameUid(u32),
    /// A token that allows nothing.
    #[error("a token has a user, or says itself what it allows")]
    EmptyToken,
    /// A time of day without a date.
    #[error("a token expires at a date, as in 2027-01-01T00:00:00Z")]
    Time,
}

/// A mistake, and where it is in bytes from the beginning.
#[derive(Debug)]
pub(super) struct LocatedMistake {
    pub(super) offset: usize,
    pub(super) mistake: Mistake,
}

/// Words of lines that may hold a secret.
const SECRETS: [&str; 4] = ["password", "secret", "ntr_", "$argon2"];

impl LocatedMistake {
    /// The mistake as an error that shows the line of the file.
    pub(super) fn in_file(self, path: &Path, text: &str) -> AuthFileError {
        AuthFileError::Wrong {
            path: path.to_owned(),
            excerpt: Excerpt::new(text, self.offset..self.offset),
            mistake: self.mistake,
        }
    }
}

/// A mistake with its line and column. The line's text is left out if it may hold a secret.
fn located(excerpt: &Excerpt, mistake: &Mistake) -> String {
    let place = format!("line {}, column {}", excerpt.line(), excerpt.column());
    let may_hold_secret = SECRETS.iter().any(|word| excerpt.text().contains(word));
    match (may_hold_secret, mistake) {
        // The message may quote the line.
        (true, Mistake::Syntax(_)) => {
            format!("{place}: this can't be read, or has another type")
        }
        (true, mistake) => format!("{place}: {mistake}"),
        (false, mistake) => format!("{place}: {mistake}\n{excerpt}"),
    }
}
