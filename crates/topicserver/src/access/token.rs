//! Tokens: `ntr_ID_SECRET`. The id is public and appears in logs; of the secret, the server keeps
//! only a hash. The secret is random and long, so a fast hash is enough: 2^256 secrets can't be
//! tried. The prefix lets scanners for leaked secrets recognise one.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The prefix of every token.
pub(crate) const PREFIX: &str = "ntr_";

/// The prefix of a secret's hash in a file.
const HASH_PREFIX: &str = "sha256:";

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Characters of a new id: 40 bits, so that ids don't collide by chance.
const ID_CHARS: usize = 8;

/// The longest id, in characters.
const MAX_ID_CHARS: usize = 32;

/// The hash of a secret.
#[derive(Clone, Copy)]
pub(crate) struct SecretHash([u8; 32]);

/// Not the hash, which only the file has.
impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hash)")
    }
}

/// Why a text is no hash of a secret, or no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The hash has another form.
    #[error(
        "a secret is \"sha256:\" and the 64 hexadecimal digits of its hash; `topicserver token \
         add` makes one"
    )]
    Hash,
    /// The id has another form.
    #[error("a token's id has 1 to {MAX_ID_CHARS} characters, small letters, digits and hyphens")]
    Id,
}

impl SecretHash {
    /// The hash of a secret.
    pub(super) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Reads it as it is written in a file.
    pub(super) fn parse(text: &str) -> Result<Self, TokenError> {
        let digits = text.strip_prefix(HASH_PREFIX).ok_or(TokenError::Hash)?;
        let mut bytes = [0; 32];
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits.len() != 2 * bytes.len() || !is_hex {
            return Err(TokenError::Hash);
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(2 * index..2 * index + 2);
            let value = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
            *byte = value.ok_or(TokenError::Hash)?;
        }
        Ok(Self(bytes))
    }

    /// The form in a file.
    pub(super) fn to_text(self) -> String {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{HASH_PREFIX}{digits}")
    }

    /// Compares both in constant time.
    pub(super) fn is(self, other: Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A token as a client sends it.
pub(super) struct Presented<'a> {
    pub(super) id: &'a str,
    pub(super) secret: SecretHash,
}

impl<'a> Presented<'a> {
    /// Splits a token; `None` if it has another form.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
        check_id(id).ok()?;
        let secret = SecretHash::of(secret);
        Some(Self { id, secret })
    }
}

/// Whether this can be the id of a token.
pub(super) fn check_id(id: &str) -> Result<(), TokenError> {
    let is_of_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(is_of_id) {
        true => Ok(()),
        false => Err(TokenError::Id),
    }
}

/// A new token, and the hash of its secret.
pub(super) fn generate(id: &str) -> Result<(String, SecretHash), getrandom::Error> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes)?;
    let secret = URL_SAFE_NO_PAD.encode(bytes);
    let hash = SecretHash::of(&secret);
    Ok((format!("{PREFIX}{id}_{secret}"), hash))
}

/// An id for a new token.
pub(super) fn generate_id() -> Result<String, getrandom::Error> {
    const CHARS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0_u8; ID_CHARS];
    getrandom::fill(&mut bytes)?;
    let char = |byte: &u8| char::from(CHARS[usize::from(byte % 32)]);
    Ok(bytes.iter().map(char).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_known_by_the_hash_that_is_kept() {
        let id = generate_id().unwrap();
        let (token, hash) = generate(&id).unwrap();
        let kept = SecretHash::parse(&hash.to_text()).unwrap();
        let presented = Presented::parse(&token).unwrap();
        assert_eq!(presented.id, id);
        assert!(presented.secret.is(kept));
        let (other, _) = generate(&id).unwrap();
        assert!(!Presented::parse(&other).unwrap().secret.is(kept));
        assert!(token.len() > 50 && token.starts_with(PREFIX));
        let shown = format!(
            "{hash:?} {:?}",
            Presented::parse(&token).map(|one| one.secret)
        );
        assert_eq!(shown, "(hash) Some((hash))");
    }

    #[test]
    fn what_has_another_form_is_no_token_and_no_hash() {
        for text in ["", "ntr_", "ntr_a", "ntr_A_x", "ntr__x", "xyz_a_b"] {
            assert!(Presented::parse(text).is_none(), "{text}");
        }
        let digits = "0".repeat(64);
        assert!(SecretHash::parse(&format!("sha256:{digits}")).is_ok());
        for text in ["", "sha256:", "sha256:+0", &digits] {
            assert!(SecretHash::parse(text).is_err(), "{text}");
        }
        let signed = format!("sha256:+{}", "0".repeat(63));
        assert!(SecretHash::parse(&signed).is_err());
    }
}
