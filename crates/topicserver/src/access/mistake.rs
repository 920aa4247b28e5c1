//! Mistakes in the policy's file, with the line and a caret. A line that may hold a secret isn't
//! shown, and neither is what a mistake in it quotes.

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
    /// The same where it may be in a secret.
    #[error("this can't be read, or has another type")]
    Hidden,
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
const SECRETS: [&str; 5] = ["password", "secret", "ntr_", "$argon2", "sha256:"];

/// Keys whose lines are shown. All others may be misspelt ones of secrets.
const SHOWN: [&str; 18] = [
    "admin",
    "algorithms",
    "allow",
    "as",
    "audience",
    "bytes",
    "connections",
    "deny",
    "expires",
    "from",
    "issuer",
    "key",
    "limits",
    "messages",
    "names",
    "new-topics",
    "note",
    "user",
];

/// What may be shown of a mistake.
enum Visible {
    Line,
    /// That a key isn't known, and not its value.
    Message,
    /// Only where it is.
    Place,
}

impl LocatedMistake {
    /// The mistake as an error that shows the line of the file.
    pub(super) fn in_file(self, path: &Path, text: &str) -> AuthFileError {
        let excerpt = Excerpt::new(text, self.offset..self.offset);
        let (excerpt, mistake) = match (visible(text, self.offset), self.mistake) {
            (Visible::Line, mistake) => (excerpt, mistake),
            (Visible::Place, Mistake::Syntax(_)) => (excerpt.without_text(), Mistake::Hidden),
            (Visible::Message | Visible::Place, mistake) => (excerpt.without_text(), mistake),
        };
        AuthFileError::Wrong {
            path: path.to_owned(),
            excerpt,
            mistake,
        }
    }
}

/// What may be shown of a mistake that begins there, in bytes.
fn visible(text: &str, offset: usize) -> Visible {
    let (before, behind) = text.split_at(text.floor_char_boundary(offset));
    let (above, begin) = before.rsplit_once('\n').unwrap_or(("", before));
    let line = format!("{begin}{}", behind.lines().next().unwrap_or_default());
    if SECRETS.iter().any(|word| line.contains(word)) {
        return Visible::Place;
    }
    let is_shown = |key: &str| SHOWN.contains(&key);
    match (key(&line), line.trim_start().chars().next()) {
        (Some(key), _) if is_shown(key) => Visible::Line,
        // It doesn't reach the value.
        (Some(_), _) if !begin.contains('=') => Visible::Message,
        (Some(_), _) => Visible::Place,
        (None, None | Some('[' | '#')) => Visible::Line,
        // A value of several lines is what its key says.
        (None, Some('"' | '\'' | ']' | '{' | '}')) => match above.lines().rev().find_map(key) {
            Some(key) if is_shown(key) => Visible::Line,
            _ => Visible::Place,
        },
        (None, Some(_)) => Visible::Place,
    }
}

/// The key of a line that begins with one; of `limits.messages` the last part.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match !key.is_empty() && key.chars().all(is_bare) {
        true => key.rsplit('.').next(),
        false => None,
    }
}

/// A mistake with its line and column, and with the line if it may be shown.
fn located(excerpt: &Excerpt, mistake: &Mistake) -> String {
    let place = format!("line {}, column {}", excerpt.line(), excerpt.column());
    match excerpt.text() {
        "" => format!("{place}: {mistake}"),
        _ => format!("{place}: {mistake}\n{excerpt}"),
    }
}
