//! The keys for checking signed tokens: a public key in PEM, or a set of keys (JWKS).

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::Mark;

/// The most keys in a set: more than are rotated at a time.
const MAX_KEYS: usize = 32;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Algorithm {
    EdDsa,
    Es256,
    Rs256,
}

/// Keys, each for one algorithm, so that a token can't choose how it is checked.
#[derive(Debug)]
pub(in super::super) struct Keys(Vec<Key>);

struct Key {
    algorithm: Algorithm,
    id: Option<String>,
    key: ParsedPublicKey,
    mark: Mark,
}

/// Why a file holds no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtKeyError {
    /// It can't be read.
    #[error("{0} can't be read: {1}")]
    Unreadable(String, String),
    /// The file holds something else.
    #[error(
        "this is neither a public key in PEM (\"-----BEGIN PUBLIC KEY-----\") nor a set of keys in \
         JSON ({{\"keys\":[…]}})"
    )]
    Form,
    /// A private key has no place here.
    #[error("this is a private key, which this server must not have; give it the public one")]
    Private,
    /// The key is for something else.
    #[error("the key can't be used with any of the algorithms {0}")]
    Algorithm(String),
    /// There is no usable key.
    #[error("none of the keys can be used with any of the algorithms {0}")]
    None(String),
    /// There are too many.
    #[error("a set has at most {MAX_KEYS} keys")]
    Many,
}

impl Algorithm {
    pub(in super::super) const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// The algorithm of this name.
    pub(in super::super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    pub(in super::super) fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EdDsa => &ED25519,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

impl Keys {
    /// Reads the text of a file. Keys for other algorithms are left out.
    pub(in super::super) fn parse(text: &str, allowed: &[Algorithm]) -> Result<Self, JwtKeyError> {
        let names = || {
            let names: Vec<_> = allowed.iter().map(|one| one.as_str()).collect();
            names.join(", ")
        };
        if text.trim_start().starts_with('{') {
            let set: Set = serde_json::from_str(text).map_err(|_| JwtKeyError::Form)?;
            if set.keys.len() > MAX_KEYS {
                return Err(JwtKeyError::Many);
            }
            let keys = set.keys.iter().map(|key| key.read(allowed));
            let keys: Result<Vec<_>, _> = keys.collect();
            let keys: Vec<_> = keys?.into_iter().flatten().collect();
            return match keys.is_empty() {
                true => Err(JwtKeyError::None(names())),
                false => Ok(Self(keys)),
            };
        }
        let der = pem(text)?;
        let mut keys = allowed.iter().filter_map(|one| Key::new(*one, None, &der));
        match keys.next() {
            Some(key) => Ok(Self(vec![key])),
            None => Err(JwtKeyError::Algorithm(names())),
        }
    }

    /// Checks a signature. Returns the key that verifies it.
    pub(super) fn verify(
        &self,
        algorithm: &str,
        id: Option<&str>,
        signed: &[u8],
        signature: &[u8],
    ) -> Option<&Mark> {
        let fits = |key: &&Key| {
            let has_id = match (key.id.as_deref(), id) {
                (Some(own), Some(id)) => own == id,
                _ => true,
            };
            has_id && key.algorithm.as_str() == algorithm
        };
        let mut keys = self.0.iter().filter(fits);
        let key = keys.find(|key| key.key.verify_sig(signed, signature).is_ok())?;
        Some(&key.mark)
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.0.iter().map(|key| &key.mark)
    }
}

impl Key {
    fn new(algorithm: Algorithm, id: Option<String>, bytes: &[u8]) -> Option<Self> {
        let key = ParsedPublicKey::new(algorithm.verification(), bytes).ok()?;
        let mark = mark_of([algorithm.as_str().as_bytes(), bytes].into_iter());
        Some(Self {
            algorithm,
            id,
            key,
            mark,
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { algorithm, id, .. } = self;
        write!(f, "{algorithm:?} {id:?}")
    }
}

/// The hash of these parts.
pub(super) fn mark_of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Mark {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The public key in a text.
fn pem(text: &str) -> Result<Vec<u8>, JwtKeyError> {
    if text.contains("PRIVATE KEY-----") {
        return Err(JwtKeyError::Private);
    }
    let between = |label: &str| {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (inner, _) = rest.split_once(&format!("-----END {label}-----"))?;
        let digits: String = inner.split_whitespace().collect();
        STANDARD.decode(digits).ok()
    };
    let found = between("PUBLIC KEY").or_else(|| between("RSA PUBLIC KEY"));
    found.ok_or(JwtKeyError::Form)
}

/// A set of keys, as RFC 7517 writes it.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

impl Written {
    /// `None` for a key with another purpose, because a set may have such keys.
    fn read(&self, allowed: &[Algorithm]) -> Result<Option<Key>, JwtKeyError> {
        if self.d.is_some() {
            return Err(JwtKeyError::Private);
        }
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("RSA", _) => Algorithm::Rs256,
            _ => return Ok(None),
        };
        let is_other = |said: &Option<String>, wanted: &str| {
            let said = said.as_deref();
            said.is_some_and(|said| said != wanted)
        };
        if !allowed.contains(&algorithm)
            || is_other(&self.usage, "sig")
            || is_other(&self.alg, algorithm.as_str())
        {
            return Ok(None);
        }
        let bytes = self.bytes(algorithm).ok_or(JwtKeyError::Form)?;
        let key = Key::new(algorithm, self.kid.clone(), &bytes);
        key.map(Some).ok_or(JwtKeyError::Form)
    }

    fn bytes(&self, algorithm: Algorithm) -> Option<Vec<u8>> {
        let decode = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        match algorithm {
            Algorithm::EdDsa => decode(&self.x),
            Algorithm::Es256 => Some([&[4][..], &decode(&self.x)?, &decode(&self.y)?].concat()),
            Algorithm::Rs256 => {
                let (n, e) = (decode(&self.n)?, decode(&self.e)?);
                let der = RsaPublicKeyComponents { n, e }.as_der().ok()?;
                Some(der.as_ref().to_vec())
            }
        }
    }
}
