//! The principal of a connection or a request: who it has proven to be.

use std::fmt;
use std::sync::Arc;

use wire::{ErrorCode, UserName};

use super::jwt;
use super::password::PasswordHash;
use super::rules::RuleSet;
use super::token::SecretHash;

/// Who a client has proven to be.
#[derive(Clone, Debug, Default)]
pub(crate) enum Principal {
    /// Nothing was proven.
    #[default]
    Everyone,
    /// A client with an account, a token, or a known address.
    Known(Arc<Known>),
}

/// A client that has proven something.
#[derive(Debug)]
pub(crate) struct Known {
    /// The account; `None` for a token that belongs to no user.
    pub(crate) account: Option<UserName>,
    pub(super) proof: Proof,
    /// When the proof expires, in milliseconds since the Unix epoch.
    pub(super) expires: Option<u64>,
    /// The login that a browser keeps, by which it came.
    pub(super) login: Option<KeptLogin>,
}

/// A login that a browser keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptLogin {
    pub(super) id: [u8; 16],
    /// Until when, in milliseconds since the Unix epoch.
    pub(super) until: u64,
}

/// What was proven, so that it can be checked later whether it still holds.
#[derive(Debug)]
pub(super) enum Proof {
    /// The connection comes from an address that stands for the account, or over the UNIX
    /// socket from a user that does.
    Address,
    /// It knows the secret of a token.
    Token { id: Box<str>, hash: SecretHash },
    /// It knows the account's password, which has this hash.
    Password { kept: PasswordHash },
    /// It has sent a signed token.
    Jwt {
        name: Option<UserName>,
        rules: Option<RuleSet>,
        mark: jwt::Mark,
    },
}

/// Why a login is no longer valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: ErrorCode,
    pub(crate) text: String,
}

impl Principal {
    pub(super) fn new(account: Option<UserName>, proof: Proof, expires: Option<u64>) -> Self {
        Self::Known(Arc::new(Known {
            account,
            proof,
            expires,
            login: None,
        }))
    }

    /// The same, by a login that a browser keeps.
    pub(super) fn kept(
        account: Option<UserName>,
        proof: Proof,
        expires: Option<u64>,
        login: KeptLogin,
    ) -> Self {
        let login = Some(login);
        Self::Known(Arc::new(Known {
            account,
            proof,
            expires,
            login,
        }))
    }

    /// The account that was proven.
    pub(crate) fn account(&self) -> Option<&UserName> {
        self.known()?.account.as_ref()
    }

    /// The token that proved it.
    pub(crate) fn token(&self) -> Option<&str> {
        match &self.known()?.proof {
            Proof::Token { id, .. } => Some(id),
            Proof::Address | Proof::Password { .. } | Proof::Jwt { .. } => None,
        }
    }

    /// The name from the login, for a client that gives no other.
    pub(crate) fn name(&self) -> Option<&UserName> {
        match &self.known()?.proof {
            Proof::Jwt { name, .. } => name.as_ref(),
            _ => None,
        }
    }

    /// When the proof expires, or the login that a browser keeps.
    pub(crate) fn expires(&self) -> Option<u64> {
        let known = self.known()?;
        let login = known.login.map(|login| login.until);
        known.expires.into_iter().chain(login).min()
    }

    /// The login that a browser keeps.
    pub(super) fn login(&self) -> Option<KeptLogin> {
        self.known()?.login
    }

    /// Whether the client has logged in. If only its address was recognised, it hasn't.
    pub(crate) fn has_logged_in(&self) -> bool {
        self.known()
            .is_some_and(|known| !matches!(known.proof, Proof::Address))
    }

    /// Whether both are the same account, or the same token without an account.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_account = self.account().is_some() || other.account().is_some();
        match is_account {
            true => self.account() == other.account(),
            false => self.token() == other.token(),
        }
    }

    fn is_signed(&self) -> bool {
        let known = self.known();
        known.is_some_and(|known| matches!(known.proof, Proof::Jwt { .. }))
    }

    pub(super) fn known(&self) -> Option<&Known> {
        match self {
            Self::Everyone => None,
            Self::Known(known) => Some(known),
        }
    }
}

impl fmt::Display for Principal {
    /// As it stands in "you may not read it as …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.account(), self.token()) {
            (None, None) => f.write_str("everyone"),
            (Some(account), None) if self.is_signed() => write!(f, "{account} with a signed token"),
            (Some(account), None) => write!(f, "{account}"),
            (Some(account), Some(id)) => write!(f, "{account} with the token {id}"),
            (None, Some(id)) => write!(f, "the owner of the token {id}"),
        }
    }
}
