//! A file of accounts, and the tokens of those in it.

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use topicserver::Config;

use crate::common::{Directory, TestServer, secrets};

/// A password that no log has by chance, what is kept of it, quick to check, and a wrong one.
pub const PASSWORD: &str = "hush-of-alice-that-no-log-has";
pub const KEPT: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$\
                        1vtOF9KRGHyRm4EVP8buUF9pm1bjCrTugcvJ0uTVxC8";
pub const GUESS: &str = "guess-that-no-log-has";

/// A file of accounts that a server was started with.
pub struct Accounts {
    directory: Directory,
}

/// A token, and the line of the file that knows it.
pub fn token(id: &str) -> (String, String) {
    let secret = format!("secret-of-{id}-that-no-log-shall-show");
    let digits: String = Sha256::digest(secret.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    (
        format!("ntr_{id}_{secret}"),
        format!("[tokens.{id}]\nsecret = \"sha256:{digits}\"\n"),
    )
}

/// A header that brings a token.
pub fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

impl Accounts {
    pub fn new(text: &str) -> Self {
        let directory = Directory::new();
        let accounts = Self { directory };
        accounts.write(text);
        accounts
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("accounts.toml")
    }

    /// Replaces the file, as its subcommands and careful people do.
    pub fn write(&self, text: &str) {
        secrets::note_in(text.as_bytes());
        let new = self.directory.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, self.path()).unwrap();
    }

    pub fn config(&self) -> Config {
        Config {
            auth: Some(self.path()),
            ..Config::default()
        }
    }

    pub fn serve(&self) -> TestServer {
        TestServer::with(self.config())
    }
}
