//! Signed tokens (JWT), which another program makes for its users. The account needn't be known
//! to this server, the time is short, and the token itself may state the permissions.
//!
//! Checking one takes little code, so it is done here, with the cryptography that TLS needs
//! anyway. A library would read its own clock, and would accept a token that lacks required
//! claims.

mod keys;

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use wire::UserName;

pub use keys::JwtKeyError;
pub(super) use keys::{Algorithm, Keys};

use super::rules::{RuleError, RuleSet};

/// The longest time until a token expires: a token can't be revoked, so none is valid for longer
/// than a day.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How far the clocks of two machines may differ.
const LEEWAY: Duration = Duration::from_secs(60);

/// The most rules in a token.
const MAX_RULES: usize = 64;

/// Checks tokens.
#[derive(Debug)]
pub(super) struct Jwt {
    pub(super) keys: Keys,
    /// The file of the keys.
    pub(super) file: PathBuf,
    /// The audience that a token must have.
    pub(super) audience: Option<String>,
    /// The issuer that a token must have.
    pub(super) issuer: Option<String>,
}

/// The content of a valid token.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) account: UserName,
    /// The display name, for a connection that doesn't give one.
    pub(super) name: Option<UserName>,
    /// The rules in the token. Without them the account's rules hold.
    pub(super) rules: Option<RuleSet>,
    /// When it expires, in milliseconds since the Unix epoch.
    pub(super) expires: u64,
    /// A mark of the key, audience and issuer by which it was valid.
    pub(super) mark: Mark,
}

/// A hash of a key, an audience and an issuer.
pub(super) type Mark = [u8; 32];

/// Why a token isn't valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwtError {
    #[error("this is no token that can be read")]
    Form,
    #[error("no key of this server has signed the token")]
    Signature,
    #[error("the token needs {0:?}")]
    Missing(&'static str),
    #[error("the token has expired; ask for a new one")]
    Expired,
    #[error("the token is valid for more than {} hours; make it expire earlier", MAX_LIFETIME.as_secs() / 3600)]
    Long,
    #[error("the token is not valid yet")]
    Early,
    #[error("the token was made for another audience")]
    Audience,
    #[error("the token was made by another issuer")]
    Issuer,
    #[error("{0:?} in the token is no name of a user")]
    Name(&'static str),
    #[error("a rule in the token is wrong: {0}")]
    Rule(RuleError),
    #[error("a token has at most {MAX_RULES} rules")]
    ManyRules,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    kid: Option<String>,
    /// Critical extensions that aren't understood make a token invalid, and none is understood.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<Audience>,
    name: Option<String>,
    allow: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Whether a text has the form of a signed token.
pub(super) fn is_jwt(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Jwt {
    /// Checks a token at `now`, in milliseconds since the Unix epoch.
    pub(super) fn check(&self, token: &str, now: u64) -> Result<Claimed, JwtError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Form)?;
        let (head, claims) = signed.split_once('.').ok_or(JwtError::Form)?;
        let (head, claims, signature) = (decode(head)?, decode(claims)?, decode(signature)?);
        let head: Head<'_> = serde_json::from_slice(&head).map_err(|_| JwtError::Form)?;
        if head.crit.is_some() {
            return Err(JwtError::Form);
        }
        let kid = head.kid.as_deref();
        let key = self
            .keys
            .verify(&head.alg, kid, signed.as_bytes(), &signature);
        let key = key.ok_or(JwtError::Signature)?;
        // Only after this check are the claims trusted.
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| JwtError::Form)?;
        self.check_parties(&claims)?;
        Ok(Claimed {
            expires: expiry(&claims, now)?,
            account: account(&claims)?,
            name: name(&claims)?,
            rules: rules(claims.allow.as_deref())?,
            mark: self.mark(key),
        })
    }

    /// Whether a token with this mark is still valid.
    pub(super) fn accepts(&self, mark: &Mark) -> bool {
        self.keys.marks().any(|key| self.mark(key) == *mark)
    }

    fn mark(&self, key: &Mark) -> Mark {
        let parts = [self.audience.as_deref(), self.issuer.as_deref()];
        keys::mark_of(
            std::iter::once(&key[..]).chain(
                parts
                    .iter()
                    .map(|part| part.map_or(&b""[..], str::as_bytes)),
            ),
        )
    }

    fn check_parties(&self, claims: &Claims) -> Result<(), JwtError> {
        let audiences = match &claims.aud {
            None => &[][..],
            Some(Audience::One(one)) => std::slice::from_ref(one),
            Some(Audience::Several(several)) => several,
        };
        match &self.audience {
            Some(own) if !audiences.contains(own) => return Err(JwtError::Audience),
            // The token has an audience, and this server has none configured.
            None if !audiences.is_empty() => return Err(JwtError::Audience),
            _ => {}
        }
        match &self.issuer {
            Some(issuer) if claims.iss.as_ref() != Some(issuer) => Err(JwtError::Issuer),
            _ => Ok(()),
        }
    }
}

fn decode(part: &str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Form)
}

/// A time of a token, in milliseconds since the Unix epoch.
fn milliseconds(seconds: f64) -> u64 {
    // The cast saturates: negative numbers and NaN become 0, too large ones the maximum.
    (seconds * 1000.0) as u64
}

fn expiry(claims: &Claims, now: u64) -> Result<u64, JwtError> {
    let in_milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (leeway, longest) = (in_milliseconds(LEEWAY), in_milliseconds(MAX_LIFETIME));
    let expires = milliseconds(claims.exp.ok_or(JwtError::Missing("exp"))?);
    if expires <= now {
        return Err(JwtError::Expired);
    }
    if expires - now > longest + leeway {
        return Err(JwtError::Long);
    }
    match claims.nbf {
        Some(nbf) if milliseconds(nbf) > now + leeway => Err(JwtError::Early),
        _ => Ok(expires),
    }
}

fn account(claims: &Claims) -> Result<UserName, JwtError> {
    let sub = claims.sub.as_deref().ok_or(JwtError::Missing("sub"))?;
    UserName::new(sub).map_err(|_| JwtError::Name("sub"))
}

fn name(claims: &Claims) -> Result<Option<UserName>, JwtError> {
    let name = claims.name.as_deref().map(UserName::new);
    name.transpose().map_err(|_| JwtError::Name("name"))
}

fn rules(allow: Option<&[String]>) -> Result<Option<RuleSet>, JwtError> {
    let Some(allow) = allow else {
        return Ok(None);
    };
    if allow.len() > MAX_RULES {
        return Err(JwtError::ManyRules);
    }
    let rules = allow.iter().map(|rule| rule.parse());
    let rules: Result<Vec<_>, _> = rules.collect();
    Ok(Some(RuleSet {
        allow: rules.map_err(JwtError::Rule)?,
        deny: Vec::new(),
    }))
}

#[cfg(test)]
pub(super) mod tests;
