//! How a client proves who it is: a token, or a user with a password. Neither is ever shown, by
//! `Debug` or in an error about it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The value of `auth`.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token, by itself.
    Token(Secret),
    /// A user's name and password.
    Password {
        /// The account's name.
        user: String,
        /// The password, or a token of the account.
        password: Secret,
    },
}

/// A secret text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The longest secret, in bytes: a signed token with some claims in it fits.
    pub const MAX_BYTES: usize = 4096;

    /// Takes a text of 1 to [`Secret::MAX_BYTES`] bytes.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (1..=Self::MAX_BYTES)
            .contains(&text.len())
            .then_some(Self(text))
    }

    /// The text itself, to be checked or sent, and never to be logged.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => f.debug_tuple("Token").field(token).finish(),
            Self::Password { user, .. } => f.debug_tuple("Password").field(user).finish(),
        }
    }
}

impl Serialize for Credential {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Token(token) => to.serialize_str(token.expose()),
            Self::Password { user, password } => {
                let mut map = to.serialize_map(Some(2))?;
                map.serialize_entry("user", user)?;
                map.serialize_entry("password", password.expose())?;
                map.end()
            }
        }
    }
}

/// The possible values of `auth`. serde's own errors would quote the secret.
#[derive(serde::Deserialize)]
#[serde(
    untagged,
    expecting = "\"auth\" is a token, or an object with \"user\" and \"password\""
)]
enum Written {
    Token(String),
    Password { user: String, password: String },
}

impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let secret = |text: String| {
            let wrong = || format!("a secret has 1 to {} bytes", Secret::MAX_BYTES);
            Secret::new(text).ok_or_else(|| D::Error::custom(wrong()))
        };
        Ok(match Written::deserialize(from)? {
            Written::Token(token) => Self::Token(secret(token)?),
            Written::Password { user, password } => {
                let password = secret(password)?;
                Self::Password { user, password }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Credential, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_read_and_never_shown() {
        let token = Credential::Token(Secret::new("ntr_a_hush").unwrap());
        let password = Credential::Password {
            user: "alice".into(),
            password: Secret::new("hush").unwrap(),
        };
        for (credential, json) in [
            (token, r#""ntr_a_hush""#),
            (password, r#"{"user":"alice","password":"hush"}"#),
        ] {
            assert_eq!(serde_json::to_string(&credential).unwrap(), json);
            assert_eq!(read(json).as_ref(), Ok(&credential));
            assert!(!format!("{credential:?}").contains("hush"));
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        let long = format!("\"{}hush\"", "x".repeat(Secret::MAX_BYTES));
        for json in [
            r#"["hush"]"#,
            r#"{"user":"alice","password":["hush"]}"#,
            r#"{"user":{"hush":1},"password":"hush"}"#,
            r#"{"token":"hush"}"#,
            r#"{"user":"alice","password":""}"#,
            r#""""#,
            &long,
        ] {
            let error = read(json).unwrap_err();
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
