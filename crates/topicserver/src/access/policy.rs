//! The policy: who may do what, as parsed from the file.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use wire::{ErrorCode, UserName};

use super::jwt::{Claimed, Jwt, JwtError, is_jwt};
use super::limiter::{Exceeded, Limits};
use super::login_error::LoginError;
use super::password::PasswordHash;
use super::principal::{Ended, Known, Principal, Proof};
use super::rules::{Rule, RuleSet};
use super::token::{Presented, SecretHash};
use super::verbs::Verbs;
use crate::network::Network;
use crate::peer;

/// The parsed policy.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// A number that each new policy increases.
    pub(super) version: u32,
    /// The rules for everyone, and those for members.
    pub(super) everyone: RuleSet,
    pub(super) members: RuleSet,
    pub(super) users: HashMap<UserName, User>,
    pub(super) tokens: HashMap<String, Token>,
    /// Accounts of clients from these networks.
    pub(super) addresses: Vec<(Network, UserName)>,
    /// Accounts of peers of the UNIX socket, by the number of the user that they run as.
    pub(super) unix: HashMap<u32, UserName>,
    /// The settings of signed tokens, if any are accepted.
    pub(super) jwt: Option<Jwt>,
    /// The limits for everyone, and those for members.
    pub(super) everyone_limits: Limits,
    pub(super) member_limits: Limits,
    /// Folded names → the accounts that own them.
    pub(super) reserved: HashMap<String, UserName>,
    /// Whether there are accounts or tokens at all.
    pub(super) has_accounts: bool,
}

/// An account.
#[derive(Debug, Default)]
pub(super) struct User {
    pub(super) rules: RuleSet,
    pub(super) password: Option<PasswordHash>,
    pub(super) limits: Limits,
}

/// A token.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) hash: SecretHash,
    pub(super) user: Option<UserName>,
    /// The rules that bound it. Without them it may do what its user may.
    pub(super) rules: Option<RuleSet>,
    /// When it expires, in milliseconds since the Unix epoch.
    pub(super) expires: Option<u64>,
}

/// A refusal: what a principal may not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) code: ErrorCode,
    pub(crate) text: String,
    /// The limit that was exceeded.
    pub(crate) exceeded: Option<Box<Exceeded>>,
}

impl Denied {
    pub(crate) fn new(code: ErrorCode, text: String) -> Self {
        Self {
            code,
            text,
            exceeded: None,
        }
    }
}

impl From<Exceeded> for Denied {
    fn from(exceeded: Exceeded) -> Self {
        Self {
            code: exceeded.code(),
            text: exceeded.to_string(),
            exceeded: Some(Box::new(exceeded)),
        }
    }
}

impl Policy {
    /// The policy of a server without accounts.
    pub(crate) fn open() -> Self {
        let everything = Rule::new(Verbs::ALL, "*");
        let everyone = RuleSet {
            allow: vec![everything],
            deny: Vec::new(),
        };
        Self {
            everyone,
            ..Self::default()
        }
    }

    /// What a principal may do in a topic.
    pub(crate) fn decide(&self, principal: &Principal, topic: &str) -> Verbs {
        let Some(known) = principal.known() else {
            let (allowed, denied) = self.of_account(None, topic);
            return allowed.without(denied);
        };
        match &known.proof {
            Proof::Address | Proof::Password { .. } => {
                let (allowed, denied) = self.of_account(known.account.as_ref(), topic);
                allowed.without(denied)
            }
            Proof::Jwt { rules, .. } => self.of_jwt(known, rules.as_ref(), topic),
            Proof::Token { id, .. } => match self.tokens.get(&**id) {
                Some(token) => self.of_token(token, topic),
                None => Verbs::NONE,
            },
        }
    }

    /// The verbs that an account is allowed and denied.
    fn of_account(&self, account: Option<&UserName>, topic: &str) -> (Verbs, Verbs) {
        let user = account.and_then(|account| self.users.get(account));
        let rules = match user {
            Some(user) => &[&self.everyone, &self.members, &user.rules][..],
            None => &[&self.everyone],
        };
        sum(rules, account, topic)
    }

    /// A signed token may do what its own rules say, or what its account may. The account needn't
    /// be in the file: it is a member all the same.
    fn of_jwt(&self, known: &Known, own: Option<&RuleSet>, topic: &str) -> Verbs {
        let account = known.account.as_ref();
        let (allowed, denied) = sum(&self.rules_of_jwt(account), account, topic);
        let name = account.map(UserName::as_str);
        let allowed = own.map_or(allowed, |own| own.allowed(topic, name));
        allowed.without(denied)
    }

    fn rules_of_jwt(&self, account: Option<&UserName>) -> Vec<&RuleSet> {
        let user = account.and_then(|account| self.users.get(account));
        let user = user.map(|user| &user.rules);
        [&self.everyone, &self.members]
            .into_iter()
            .chain(user)
            .collect()
    }

    /// A token may do what both its user's rules and its own rules allow.
    fn of_token(&self, token: &Token, topic: &str) -> Verbs {
        let name = token.user.as_ref().map(UserName::as_str);
        let (allowed, denied) = self.of_account(token.user.as_ref(), topic);
        let own = match &token.rules {
            Some(rules) => rules
                .allowed(topic, name)
                .without(rules.denied(topic, name)),
            None => Verbs::ALL,
        };
        let of_user = match &token.user {
            Some(user) if self.users.contains_key(user) => allowed,
            Some(_) => Verbs::NONE,
            // It belongs to no user, so only its own rules bound it.
            None => Verbs::ALL,
        };
        of_user.and(own).without(denied)
    }

    /// What a principal may do in every topic, whatever its name. The answer is on the safe side:
    /// it says no where only several rules together allow it.
    pub(crate) fn decide_everywhere(&self, principal: &Principal) -> Verbs {
        if let Some(Proof::Jwt { rules: own, .. }) = principal.known().map(|known| &known.proof) {
            let rules = self.rules_of_jwt(principal.account());
            let all = |of: fn(&RuleSet) -> Verbs| all(&rules, of);
            let allowed = match own {
                Some(own) => own.allowed_anywhere(),
                None => all(RuleSet::allowed_anywhere),
            };
            return allowed.without(all(RuleSet::denied_somewhere));
        }
        let account = principal.account().and_then(|name| self.users.get(name));
        let token = principal.token().map(|id| self.tokens.get(id));
        let mut rules = vec![&self.everyone];
        if let Some(user) = account {
            rules.extend([&self.members, &user.rules]);
        }
        let all = |of: fn(&RuleSet) -> Verbs| all(&rules, of);
        let denied = all(RuleSet::denied_somewhere);
        let allowed = all(RuleSet::allowed_anywhere).without(denied);
        match token {
            None => allowed,
            Some(None) => Verbs::NONE,
            Some(Some(token)) => {
                let own = token.rules.as_ref().map_or(Verbs::ALL, |rules| {
                    let denied = rules.denied_somewhere();
                    rules.allowed_anywhere().without(denied)
                });
                match token.user {
                    Some(_) => allowed.and(own),
                    None => own.without(denied),
                }
            }
        }
    }

    /// The principal for clients from an address, or of a user of this machine.
    pub(crate) fn principal_at(&self, peer: IpAddr) -> Principal {
        let is = |account: &UserName| Principal::new(Some(account.clone()), Proof::Address, None);
        if let Some(uid) = peer::user_of(peer) {
            return self.unix.get(&uid).map_or(Principal::Everyone, is);
        }
        let fitting = self.addresses.iter();
        let fitting = fitting.filter(|(network, _)| network.contains(peer));
        let narrowest = fitting.max_by_key(|(network, _)| network.length());
        narrowest.map_or(Principal::Everyone, |(_, account)| is(account))
    }

    /// The principal of a token.
    pub(crate) fn principal_by_token(
        &self,
        token: &str,
        now: u64,
    ) -> Result<Principal, LoginError> {
        if !self.has_accounts {
            return Err(LoginError::NoAccounts);
        }
        if let Some(jwt) = self.jwt.as_ref().filter(|_| is_jwt(token)) {
            return Ok(jwt_principal(jwt.check(token, now)?));
        }
        let presented = Presented::parse(token).ok_or(LoginError::UnknownToken)?;
        let known = self.tokens.get(presented.id);
        let known = known.filter(|known| known.hash.is(presented.secret));
        let token = known.ok_or(LoginError::UnknownToken)?;
        let proof = Proof::Token {
            id: presented.id.into(),
            hash: token.hash,
        };
        let principal = Principal::new(token.user.clone(), proof, token.expires);
        self.check(&principal, now).map_err(LoginError::Ended)?;
        Ok(principal)
    }

    /// The hash of a user's password.
    pub(super) fn password_of(&self, user: &str) -> Option<&PasswordHash> {
        self.users.get(user)?.password.as_ref()
    }

    /// The principal of a user whose password had this hash, if it still has.
    pub(super) fn principal_by_password(
        &self,
        user: &str,
        kept: &PasswordHash,
    ) -> Option<Principal> {
        let (account, _) = self.users.get_key_value(user)?;
        (self.password_of(user)? == kept).then(|| {
            let proof = Proof::Password { kept: kept.clone() };
            Principal::new(Some(account.clone()), proof, None)
        })
    }

    /// The limits of a principal.
    pub(crate) fn limits(&self, principal: &Principal) -> Limits {
        let Some(account) = principal.account() else {
            return self.everyone_limits;
        };
        let own = self.users.get(account).map(|user| user.limits);
        own.unwrap_or_default().or(self.member_limits)
    }

    /// The file with the keys of signed tokens.
    pub(super) fn key_file(&self) -> Option<&Path> {
        self.jwt.as_ref().map(|jwt| &*jwt.file)
    }

    /// Checks whether a principal's login is still valid.
    pub(crate) fn check(&self, principal: &Principal, now: u64) -> Result<(), Ended> {
        let Some(known) = principal.known() else {
            return Ok(());
        };
        let revoked = |what: String| Ended {
            code: ErrorCode::Revoked,
            text: format!("{what} is no longer accepted; ask for a new one"),
        };
        if known.login.is_some_and(|login| login.until <= now) {
            return Err(Ended {
                code: ErrorCode::Expired,
                text: LoginError::Over.to_string(),
            });
        }
        if let Proof::Token { id, hash } = &known.proof {
            let same = self.tokens.get(&**id);
            let same = same.filter(|token| token.hash.is(*hash) && token.user == known.account);
            let token = same.ok_or_else(|| revoked(format!("the token {id}")))?;
            if token.expires.is_some_and(|expires| expires <= now) {
                return Err(Ended {
                    code: ErrorCode::Expired,
                    text: format!("the token {id} has expired; ask for a new one"),
                });
            }
        }
        if let Proof::Password { kept } = &known.proof
            && known
                .account
                .as_ref()
                .and_then(|name| self.password_of(name.as_str()))
                != Some(kept)
        {
            let text = "the password was changed; log in with the new one".to_owned();
            let code = ErrorCode::Revoked;
            return Err(Ended { code, text });
        }
        if let Proof::Jwt { mark, .. } = &known.proof {
            let jwt = self.jwt.as_ref();
            if !jwt.is_some_and(|jwt| jwt.accepts(mark)) {
                return Err(revoked("the signed token".to_owned()));
            }
            // The account needn't be in the file.
            return match known.expires.is_some_and(|expires| expires <= now) {
                true => Err(Ended {
                    code: ErrorCode::Expired,
                    text: JwtError::Expired.to_string(),
                }),
                false => Ok(()),
            };
        }
        match &known.account {
            Some(account) if !self.users.contains_key(account) => {
                Err(revoked(format!("the account {account}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether a principal may use a name.
    pub(crate) fn check_name(&self, principal: &Principal, name: &UserName) -> Result<(), Denied> {
        match self.reserved.get(&folded(name.as_str())) {
            Some(owner) if principal.account() != Some(owner) => {
                let text = format!(
                    "the name {:?} belongs to an account; log in as its owner, or register with \
                     another name",
                    name.as_str()
                );
                Err(Denied::new(ErrorCode::NameReserved, text))
            }
            _ => Ok(()),
        }
    }

    /// The refusal that a principal may not do something in a topic.
    pub(crate) fn denial(&self, principal: &Principal, verbs: Verbs, topic: &str) -> Denied {
        let what = match verbs {
            Verbs::WRITE => "write to",
            Verbs::WHO => "see who is in",
            Verbs::HISTORY => "read older messages of",
            _ => "read",
        };
        let (code, advice) = match principal {
            Principal::Everyone => (ErrorCode::Unauthenticated, "; log in with a token"),
            Principal::Known(_) => (ErrorCode::Forbidden, ""),
        };
        let text = format!("you may not {what} {topic:?} as {principal}{advice}");
        Denied::new(code, text)
    }
}

/// The verbs that several rule sets allow and deny together.
fn sum(rules: &[&RuleSet], account: Option<&UserName>, topic: &str) -> (Verbs, Verbs) {
    let name = account.map(UserName::as_str);
    let add = |(allowed, denied): (Verbs, Verbs), rules: &&RuleSet| {
        (
            allowed.or(rules.allowed(topic, name)),
            denied.or(rules.denied(topic, name)),
        )
    };
    rules.iter().fold((Verbs::NONE, Verbs::NONE), add)
}

fn all(rules: &[&RuleSet], of: fn(&RuleSet) -> Verbs) -> Verbs {
    let add = |all: Verbs, rules: &&RuleSet| all.or(of(rules));
    rules.iter().fold(Verbs::NONE, add)
}

fn jwt_principal(claimed: Claimed) -> Principal {
    let Claimed {
        account,
        name,
        rules,
        expires,
        mark,
    } = claimed;
    let proof = Proof::Jwt { name, rules, mark };
    Principal::new(Some(account), proof, Some(expires))
}

/// Folds a name to how it looks: without case, white space and invisible characters.
pub(super) fn folded(name: &str) -> String {
    let is_invisible = |c: char| {
        matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
        )
    };
    let seen = name
        .chars()
        .filter(|c| !c.is_whitespace() && !is_invisible(*c));
    seen.flat_map(char::to_lowercase).collect()
}
