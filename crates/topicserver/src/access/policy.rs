//! Who may do what: the file as it was understood, ready to be asked.

use std::collections::HashMap;

use std::net::IpAddr;

use wire::{ErrorCode, UserName};

use super::rules::{Rule, RuleSet};
use super::token::{Presented, SecretHash};
use super::verbs::Verbs;
use super::visitor::{Ended, Proof, Visitor};
use crate::network::Network;

/// Everything that was decided about who may do what.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// Tells this policy from the one before.
    pub(super) version: u32,
    /// What is allowed to all, and what to those who have logged in.
    pub(super) everyone: RuleSet,
    pub(super) members: RuleSet,
    pub(super) users: HashMap<UserName, User>,
    pub(super) tokens: HashMap<String, Token>,
    /// Accounts of those who come from somewhere.
    pub(super) addresses: Vec<(Network, UserName)>,
    /// Names as they look → whose they are.
    pub(super) reserved: HashMap<String, UserName>,
    /// Whether somebody can log in at all.
    pub(super) has_accounts: bool,
}

/// An account.
#[derive(Debug, Default)]
pub(super) struct User {
    pub(super) rules: RuleSet,
}

/// A token.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) hash: SecretHash,
    pub(super) user: Option<UserName>,
    /// What it may do at most; without, what its user may.
    pub(super) rules: Option<RuleSet>,
    /// In milliseconds since the Unix epoch.
    pub(super) expires: Option<u64>,
}

/// Why a login isn't valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("this server has no accounts; leave \"auth\" out")]
    NoAccounts,
    #[error("the token isn't known here; ask for a new one")]
    UnknownToken,
    #[error("the name or the password is wrong")]
    WrongPassword,
    #[error("{}", .0.text)]
    Ended(Ended),
}

impl LoginError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::NoAccounts | Self::UnknownToken | Self::WrongPassword => {
                ErrorCode::Unauthenticated
            }
            Self::Ended(ended) => ended.code,
        }
    }
}

/// What somebody may not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) code: ErrorCode,
    pub(crate) text: String,
}

impl Policy {
    /// The one of a server that asks nobody anything.
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

    /// What somebody may do in a topic.
    pub(crate) fn decide(&self, visitor: &Visitor, topic: &str) -> Verbs {
        let Some(known) = visitor.known() else {
            let (allowed, denied) = self.of_account(None, topic);
            return allowed.without(denied);
        };
        match &known.proof {
            Proof::Address => {
                let (allowed, denied) = self.of_account(known.account.as_ref(), topic);
                allowed.without(denied)
            }
            Proof::Token { id, .. } => match self.tokens.get(&**id) {
                Some(token) => self.of_token(token, topic),
                None => Verbs::NONE,
            },
        }
    }

    /// What an account is allowed and denied.
    fn of_account(&self, account: Option<&UserName>, topic: &str) -> (Verbs, Verbs) {
        let name = account.map(UserName::as_str);
        let mut allowed = self.everyone.allowed(topic, name);
        let mut denied = self.everyone.denied(topic, name);
        if let Some(user) = account.and_then(|account| self.users.get(account)) {
            for rules in [&self.members, &user.rules] {
                allowed = allowed.or(rules.allowed(topic, name));
                denied = denied.or(rules.denied(topic, name));
            }
        }
        (allowed, denied)
    }

    /// A token may do what both its user and itself allow.
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
            // It belongs to nobody, so nobody's rights bound it.
            None => Verbs::ALL,
        };
        of_user.and(own).without(denied)
    }

    /// What somebody may do in every topic, whatever its name: a careful answer, which says
    /// no where only the sum of several rules allows it.
    pub(crate) fn decide_everywhere(&self, visitor: &Visitor) -> Verbs {
        let account = visitor.account().and_then(|name| self.users.get(name));
        let token = visitor.token().map(|id| self.tokens.get(id));
        let mut rules = vec![&self.everyone];
        if let Some(user) = account {
            rules.extend([&self.members, &user.rules]);
        }
        let all = |of: fn(&RuleSet) -> Verbs| {
            rules
                .iter()
                .fold(Verbs::NONE, |all, rules| all.or(of(rules)))
        };
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

    /// Who is taken for whom because of where he comes from.
    pub(crate) fn visitor_at(&self, peer: IpAddr) -> Visitor {
        let fitting = self.addresses.iter();
        let fitting = fitting.filter(|(network, _)| network.contains(peer));
        let narrowest = fitting.max_by_key(|(network, _)| network.length());
        match narrowest {
            Some((_, account)) => Visitor::new(Some(account.clone()), Proof::Address, None),
            None => Visitor::Everyone,
        }
    }

    /// Who brings this token.
    pub(crate) fn visitor_with(&self, token: &str, now: u64) -> Result<Visitor, LoginError> {
        if !self.has_accounts {
            return Err(LoginError::NoAccounts);
        }
        let presented = Presented::parse(token).ok_or(LoginError::UnknownToken)?;
        let known = self.tokens.get(presented.id);
        let known = known.filter(|known| known.hash.is(presented.secret));
        let token = known.ok_or(LoginError::UnknownToken)?;
        let proof = Proof::Token {
            id: presented.id.into(),
            hash: token.hash,
        };
        let visitor = Visitor::new(token.user.clone(), proof, token.expires);
        self.check(&visitor, now).map_err(LoginError::Ended)?;
        Ok(visitor)
    }

    /// Whether somebody is still who he was.
    pub(crate) fn check(&self, visitor: &Visitor, now: u64) -> Result<(), Ended> {
        let Some(known) = visitor.known() else {
            return Ok(());
        };
        let revoked = |what: String| Ended {
            code: ErrorCode::Revoked,
            text: format!("{what} is no longer accepted; ask for a new one"),
        };
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
        match &known.account {
            Some(account) if !self.users.contains_key(account) => {
                Err(revoked(format!("the account {account}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether somebody may call himself so.
    pub(crate) fn check_name(&self, visitor: &Visitor, name: &UserName) -> Result<(), Denied> {
        match self.reserved.get(&folded(name.as_str())) {
            Some(owner) if visitor.account() != Some(owner) => Err(Denied {
                code: ErrorCode::NameReserved,
                text: format!(
                    "the name {:?} belongs to an account; log in as its owner, or register with \
                     another name",
                    name.as_str()
                ),
            }),
            _ => Ok(()),
        }
    }

    /// That somebody may not do something in a topic.
    pub(crate) fn denial(&self, visitor: &Visitor, verbs: Verbs, topic: &str) -> Denied {
        let what = match verbs {
            Verbs::WRITE => "write to",
            Verbs::WHO => "see who is in",
            Verbs::HISTORY => "read older messages of",
            _ => "read",
        };
        let (code, advice) = match visitor {
            Visitor::Everyone => (ErrorCode::Unauthenticated, "; log in with a token"),
            Visitor::Known(_) => (ErrorCode::Forbidden, ""),
        };
        Denied {
            code,
            text: format!("you may not {what} {topic:?} as {visitor}{advice}"),
        }
    }
}

/// A name as it looks: without case, white space, and characters that nobody sees.
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
