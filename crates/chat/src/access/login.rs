//! The credential of a login: a token in a file, or a password that is asked for.

use std::io;
use std::path::{Path, PathBuf};

use wire::{Credential, Secret};

use super::ask;
use crate::cli::Login;

/// Why there is no credential.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The token's file can't be read.
    #[error("can't read the token in {}: {source}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no token.
    #[error(
        "{} holds no token: it is one word of at most {} bytes, as `topicserver token` prints it",
        .path.display(), Secret::MAX_BYTES
    )]
    NoToken {
        /// Which file.
        path: PathBuf,
    },
    /// The password can't be asked for.
    #[error(
        "--user asks for a password on a terminal, and this is none: use --token-file FILE in a \
         pipe"
    )]
    NoTerminal,
    /// Nothing was typed, or too much.
    #[error("no password was typed")]
    NoPassword,
    /// The terminal can't be read.
    #[error("can't ask for a password: {0}")]
    Ask(io::Error),
}

/// The credential for a server; `None` without a login.
pub(super) async fn find(login: &Login, server: &str) -> Result<Option<Credential>, LoginError> {
    match login {
        Login::None => Ok(None),
        Login::Token(path) => token(path).map(|token| Some(Credential::Token(token))),
        Login::User(user) => {
            let password = password(user, server).await?;
            let user = user.clone();
            Ok(Some(Credential::Password { user, password }))
        }
    }
}

fn token(path: &Path) -> Result<Secret, LoginError> {
    let path = || path.to_owned();
    let text = std::fs::read_to_string(path()).map_err(|source| LoginError::Unreadable {
        path: path(),
        source,
    })?;
    let text = text.trim();
    let is_word = text.chars().all(|c| !c.is_whitespace() && !c.is_control());
    let token = Secret::new(text).filter(|_| is_word);
    token.ok_or_else(|| LoginError::NoToken { path: path() })
}

async fn password(user: &str, server: &str) -> Result<Secret, LoginError> {
    if !ask::can_ask() {
        return Err(LoginError::NoTerminal);
    }
    let question = format!("chat: {user}'s password at {server}: ");
    let typed = ask::ask_hidden(&question).await.map_err(LoginError::Ask)?;
    Secret::new(typed).ok_or(LoginError::NoPassword)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_of_a_file() {
        let path = std::env::temp_dir().join(format!("natter-token-{}", std::process::id()));
        let read = |text: &str| {
            std::fs::write(&path, text).expect("written");
            token(&path)
        };
        let right = read(" ntr_a_hush\n\n").expect("a token");
        assert_eq!(right.expose(), "ntr_a_hush");
        let long = "x".repeat(Secret::MAX_BYTES + 1);
        for text in ["", "\n", "two words", "a\nb", "a\u{7}b", &long] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains("holds no token"), "{error}");
        }
        std::fs::remove_file(&path).expect("removed");
        let error = token(&path).expect_err("gone").to_string();
        assert!(error.starts_with("can't read the token in "), "{error}");
    }
}
