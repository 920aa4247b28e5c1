//! Logins that a browser keeps, in a cookie.
//!
//! A cookie says who somebody is and until when, with a keyed hash of what has proven it, and is
//! sealed with a key of the server's. So there is no table of them, and they outlive a restart
//! if the key does. None of them holds a secret of the account: when its password is changed or
//! its token is gone, the hash fits nothing any more. Only those are remembered that somebody
//! has ended before their time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use wire::{ErrorCode, UserName};

use super::login_error::LoginError;
use super::policy::Policy;
use super::principal::{Ended, KeptLogin, Principal, Proof};
use super::rules::{Rule, RuleSet};

/// The longest text: browsers take 4,096 bytes of a cookie with its name and what else is said
/// of it. Only signed tokens with many rules come near.
const MAX_BYTES: usize = 3800;

/// Ended logins that are remembered, at about 50 bytes each. Of more, those that would expire
/// first are forgotten.
const MAX_ENDED: usize = 10_000;

/// Seals logins and opens them.
pub(super) struct Sealer {
    key: hmac::Key,
    /// For how long a login is kept, in milliseconds.
    lifetime: AtomicU64,
    /// Those that were ended: until when they would have been valid, and which.
    ended: Mutex<BTreeSet<(u64, [u8; 16])>>,
}

/// A login for a cookie.
pub(crate) struct Sealed {
    pub(crate) text: String,
    /// Until when it is kept, in milliseconds since the Unix epoch.
    pub(crate) until: u64,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Which login it is.
    id: [u8; 16],
    until: u64,
    /// Of what has proven it.
    mark: [u8; 32],
    by: By,
}

/// Whose login it is, and by what.
#[derive(Serialize, Deserialize)]
enum By {
    Token(String),
    Password(String),
    Jwt {
        user: String,
        name: Option<String>,
        allow: Option<Vec<String>>,
        expires: u64,
    },
}

impl Sealer {
    /// Seals with a key for as long as the server runs.
    pub(super) fn random(lifetime: Duration) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self {
            key: key(&secret),
            lifetime: milliseconds(lifetime).into(),
            ended: Mutex::default(),
        })
    }

    /// From now on logins are kept for so long. Those that were sealed before stay as they are.
    pub(super) fn set_lifetime(&self, lifetime: Duration) {
        self.lifetime.store(milliseconds(lifetime), Relaxed);
    }

    /// Seals with a key that is kept for longer.
    pub(super) fn set_secret(&mut self, secret: &[u8]) {
        self.key = key(secret);
    }

    /// Seals the login of somebody who has logged in at `now`, in milliseconds since the Unix
    /// epoch.
    pub(super) fn seal(&self, principal: &Principal, now: u64) -> Result<Sealed, LoginError> {
        let until = now.saturating_add(self.lifetime.load(Relaxed));
        let until = principal
            .expires()
            .map_or(until, |expires| expires.min(until));
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| LoginError::NoRandomness)?;
        let (by, mark) = self.by(principal).ok_or(LoginError::Over)?;
        let kept = Kept {
            id,
            until,
            mark,
            by,
        };
        // Strings and numbers can be written.
        let bytes = serde_json::to_vec(&kept).unwrap_or_default();
        let tag = hmac::sign(&self.key, &bytes);
        let parts = [&bytes[..], tag.as_ref()].map(|part| URL_SAFE_NO_PAD.encode(part));
        let text = parts.join(".");
        match text.len() > MAX_BYTES {
            true => Err(LoginError::TooLong),
            false => Ok(Sealed { text, until }),
        }
    }

    /// Who has brought what was sealed, if that still holds.
    pub(super) fn open(
        &self,
        text: &str,
        policy: &Policy,
        now: u64,
    ) -> Result<Principal, LoginError> {
        let kept = self.unseal(text).ok_or(LoginError::Over)?;
        let login = KeptLogin {
            id: kept.id,
            until: kept.until,
        };
        if kept.until <= now || self.has_ended(login) {
            return Err(LoginError::Over);
        }
        let principal = self.restore(&kept, login, policy)?;
        policy.check(&principal, now).map_err(LoginError::Ended)?;
        Ok(principal)
    }

    /// Takes a login back.
    pub(super) fn end(&self, login: KeptLogin, now: u64) {
        let mut ended = self.ended.lock();
        while ended.first().is_some_and(|(until, _)| *until <= now) || ended.len() >= MAX_ENDED {
            ended.pop_first();
        }
        ended.insert((login.until, login.id));
    }

    /// Whether a login was taken back.
    pub(super) fn has_ended(&self, login: KeptLogin) -> bool {
        self.ended.lock().contains(&(login.until, login.id))
    }

    fn unseal(&self, text: &str) -> Option<Kept> {
        let (bytes, tag) = text.split_once('.')?;
        let bytes = URL_SAFE_NO_PAD.decode(bytes).ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, &bytes, &tag).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// By what somebody has logged in, and the mark of that.
    fn by(&self, principal: &Principal) -> Option<(By, [u8; 32])> {
        let known = principal.known()?;
        let account = || known.account.as_ref().map(ToString::to_string);
        Some(match &known.proof {
            Proof::Address => return None,
            Proof::Token { id, hash } => (
                By::Token(id.to_string()),
                self.mark("token", &hash.to_text()),
            ),
            Proof::Password { kept } => (
                By::Password(account()?),
                self.mark("password", &kept.to_string()),
            ),
            Proof::Jwt { name, rules, mark } => {
                let rules = rules.as_ref().map(|rules| &rules.allow);
                let by = By::Jwt {
                    user: account()?,
                    name: name.as_ref().map(ToString::to_string),
                    allow: rules.map(|rules| rules.iter().map(ToString::to_string).collect()),
                    expires: known.expires?,
                };
                (by, *mark)
            }
        })
    }

    fn restore(
        &self,
        kept: &Kept,
        login: KeptLogin,
        policy: &Policy,
    ) -> Result<Principal, LoginError> {
        let is_mark = |mark: [u8; 32]| bool::from(mark.ct_eq(&kept.mark));
        match &kept.by {
            By::Token(id) => {
                let token = policy.tokens.get(id);
                let token =
                    token.filter(|token| is_mark(self.mark("token", &token.hash.to_text())));
                let token = token.ok_or_else(|| revoked(&format!("the token {id}")))?;
                let proof = Proof::Token {
                    id: id.as_str().into(),
                    hash: token.hash,
                };
                Ok(Principal::kept(
                    token.user.clone(),
                    proof,
                    token.expires,
                    login,
                ))
            }
            By::Password(user) => {
                let password = policy.password_of(user);
                let password =
                    password.filter(|kept| is_mark(self.mark("password", &kept.to_string())));
                let password = password.ok_or_else(|| revoked("the password"))?;
                let proof = Proof::Password {
                    kept: password.clone(),
                };
                let account = UserName::new(user).map_err(|_| LoginError::Over)?;
                Ok(Principal::kept(Some(account), proof, None, login))
            }
            By::Jwt {
                user,
                name,
                allow,
                expires,
            } => {
                let account = UserName::new(user).map_err(|_| LoginError::Over)?;
                let name = name.as_deref().and_then(|name| UserName::new(name).ok());
                let allow = allow.as_ref().map(|rules| {
                    let rules: Result<Vec<Rule>, _> =
                        rules.iter().map(|rule| rule.parse()).collect();
                    rules.map(|allow| RuleSet {
                        allow,
                        deny: Vec::new(),
                    })
                });
                let rules = allow.transpose().map_err(|_| LoginError::Over)?;
                let mark = kept.mark;
                let proof = Proof::Jwt { name, rules, mark };
                Ok(Principal::kept(Some(account), proof, Some(*expires), login))
            }
        }
    }

    /// Stands for what has proven something; only this server can make it.
    fn mark(&self, kind: &str, text: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.key, format!("{kind} {text}").as_bytes());
        Sha256::digest(tag.as_ref()).into()
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn key(secret: &[u8]) -> hmac::Key {
    // What else the secret is used for stays apart.
    let hash = Sha256::new_with_prefix(b"natter login").chain_update(secret);
    let hash: [u8; 32] = hash.finalize().into();
    hmac::Key::new(hmac::HMAC_SHA256, &hash)
}

fn revoked(what: &str) -> LoginError {
    LoginError::Ended(Ended {
        code: ErrorCode::Revoked,
        text: format!("{what} is no longer accepted; log in again"),
    })
}
