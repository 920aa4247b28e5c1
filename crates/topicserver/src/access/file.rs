//! The policy's file as it is written.

use std::collections::{BTreeMap, HashMap};

use std::path::Path;

use toml::Spanned;
use toml::value::{Datetime, Offset};
use wire::{UserName, UserNameError};

use super::jwt::{Algorithm, Jwt, JwtKeyError, Keys};
use super::limiter::Limits;
use super::mistake::{LocatedMistake, Mistake};
use super::policy::{Policy, Token, User, folded};
use super::rate::{Counted, Rate};
use super::rules::{Rule, RuleSet};
use super::token::{SecretHash, check_id};
use super::verbs::Verbs;
use crate::clock::civil::days_from_civil;

/// The whole file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    everyone: WrittenRules,
    #[serde(default)]
    members: WrittenRules,
    #[serde(default)]
    users: BTreeMap<Spanned<String>, WrittenUser>,
    #[serde(default)]
    tokens: BTreeMap<Spanned<String>, WrittenToken>,
    #[serde(default)]
    addresses: Vec<WrittenAddress>,
    #[serde(default)]
    unix: Vec<WrittenPeer>,
    jwt: Option<WrittenJwt>,
}

/// Rules of `[everyone]` and `[members]`.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRules {
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    #[serde(default)]
    deny: Vec<Spanned<String>>,
    #[serde(default)]
    limits: WrittenLimits,
}

/// The limits of an account.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenLimits {
    messages: Option<Spanned<String>>,
    bytes: Option<Spanned<String>>,
    connections: Option<u32>,
    new_topics: Option<Spanned<String>>,
}

/// Signed tokens of another program.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenJwt {
    /// The file with the keys, relative to this file's directory.
    key: Spanned<String>,
    algorithms: Vec<Spanned<String>>,
    audience: Option<String>,
    issuer: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// An account.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUser {
    password: Option<Spanned<String>>,
    #[serde(default)]
    limits: WrittenLimits,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    #[serde(default)]
    deny: Vec<Spanned<String>>,
    #[serde(default)]
    names: Vec<Spanned<String>>,
    #[serde(default)]
    admin: bool,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// A token.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenToken {
    secret: Spanned<String>,
    user: Option<Spanned<String>>,
    allow: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    deny: Vec<Spanned<String>>,
    expires: Option<Datetime>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// An account for clients from an address.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAddress {
    from: Spanned<String>,
    r#as: Spanned<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// An account for peers of the UNIX socket.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPeer {
    uid: Spanned<u32>,
    r#as: Spanned<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// Parses the text of a file in this directory.
pub(super) fn parse(text: &str, folder: &Path) -> Result<Policy, LocatedMistake> {
    let written: Written = toml::from_str(text).map_err(|error| LocatedMistake {
        offset: error.span().map_or(text.len(), |span| span.start),
        mistake: Mistake::Syntax(error.message().to_owned()),
    })?;
    let mut policy = Policy {
        everyone: rules(&written.everyone.allow, &written.everyone.deny)?,
        members: rules(&written.members.allow, &written.members.deny)?,
        everyone_limits: limits(&written.everyone.limits)?,
        member_limits: limits(&written.members.limits)?,
        has_accounts: true,
        ..Policy::default()
    };
    for (name, user) in &written.users {
        let account = user_name(name)?;
        policy.users.insert(account, read_user(user)?);
    }
    policy.reserved = reserved(&written.users)?;
    for (id, token) in &written.tokens {
        check_id(id.as_ref()).map_err(|error| at(id, error.into()))?;
        let token = read_token(id, token, &policy)?;
        policy.tokens.insert(id.as_ref().clone(), token);
    }
    for address in &written.addresses {
        let network = address.from.as_ref().parse();
        let network = network.map_err(|error| at(&address.from, Mistake::Network(error)))?;
        let account = known_user(&address.r#as, &policy)?;
        policy.addresses.push((network, account));
    }
    for peer in &written.unix {
        let (uid, account) = (*peer.uid.get_ref(), known_user(&peer.r#as, &policy)?);
        if policy.unix.insert(uid, account).is_some() {
            return Err(at(&peer.uid, Mistake::SameUid(uid)));
        }
    }
    if let Some(jwt) = &written.jwt {
        policy.jwt = Some(read_jwt(jwt, folder)?);
    }
    Ok(policy)
}

fn limits(written: &WrittenLimits) -> Result<Limits, LocatedMistake> {
    let rate = |text: &Option<Spanned<String>>, counted| {
        let read = |text: &Spanned<String>| {
            let rate = Rate::parse(text.as_ref(), counted);
            rate.map_err(|error| at(text, error.into()))
        };
        text.as_ref().map(read).transpose()
    };
    Ok(Limits {
        messages: rate(&written.messages, Counted::Things)?,
        bytes: rate(&written.bytes, Counted::Bytes)?,
        connections: written.connections,
        new_topics: rate(&written.new_topics, Counted::Things)?,
    })
}

fn read_jwt(written: &WrittenJwt, folder: &Path) -> Result<Jwt, LocatedMistake> {
    let mut algorithms = Vec::new();
    for name in &written.algorithms {
        let known = Algorithm::named(name.as_ref());
        let unknown = || at(name, Mistake::Algorithm(name.as_ref().clone()));
        algorithms.push(known.ok_or_else(unknown)?);
    }
    let path = folder.join(written.key.as_ref());
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let error = JwtKeyError::Unreadable(path.display().to_string(), error.to_string());
        at(&written.key, error.into())
    })?;
    let keys = Keys::parse(&text, &algorithms);
    Ok(Jwt {
        keys: keys.map_err(|error| at(&written.key, error.into()))?,
        file: path,
        audience: written.audience.clone(),
        issuer: written.issuer.clone(),
    })
}

/// A mistake at this place of the file.
fn at<T>(place: &Spanned<T>, mistake: Mistake) -> LocatedMistake {
    let offset = place.span().start;
    LocatedMistake { offset, mistake }
}

fn rules(allow: &[Spanned<String>], deny: &[Spanned<String>]) -> Result<RuleSet, LocatedMistake> {
    let read = |texts: &[Spanned<String>]| {
        let read = |text: &Spanned<String>| {
            let rule = text.as_ref().parse::<Rule>();
            rule.map_err(|error| at(text, error.into()))
        };
        texts.iter().map(read).collect::<Result<Vec<_>, _>>()
    };
    Ok(RuleSet {
        allow: read(allow)?,
        deny: read(deny)?,
    })
}

fn user_name(name: &Spanned<String>) -> Result<UserName, LocatedMistake> {
    let read = UserName::new(name.as_ref());
    read.map_err(|error: UserNameError| at(name, error.into()))
}

/// A user who is in the file.
fn known_user(name: &Spanned<String>, policy: &Policy) -> Result<UserName, LocatedMistake> {
    match policy.users.get_key_value(name.as_ref().as_str()) {
        Some((known, _)) => Ok(known.clone()),
        None => Err(at(name, Mistake::NoSuchUser(name.as_ref().clone()))),
    }
}

fn read_user(written: &WrittenUser) -> Result<User, LocatedMistake> {
    let mut rules = rules(&written.allow, &written.deny)?;
    if written.admin {
        rules.allow.push(Rule::new(Verbs::ALL, "*"));
    }
    let password = written.password.as_ref();
    let password = password.map(|text| {
        let hash = text.as_ref().parse();
        hash.map_err(|error| at(text, Mistake::Password(error)))
    });
    Ok(User {
        rules,
        password: password.transpose()?,
        limits: limits(&written.limits)?,
    })
}

/// The names that belong to accounts: each account's own name, and its other names.
fn reserved(
    users: &BTreeMap<Spanned<String>, WrittenUser>,
) -> Result<HashMap<String, UserName>, LocatedMistake> {
    let mut reserved: HashMap<String, UserName> = HashMap::new();
    for (account, user) in users {
        let owner = user_name(account)?;
        for name in std::iter::once(account).chain(&user.names) {
            user_name(name)?;
            match reserved.insert(folded(name.as_ref()), owner.clone()) {
                Some(other) if other != owner => {
                    let name = name.as_ref().clone();
                    let mistake = Mistake::SameName { name, other };
                    return Err(at(account, mistake));
                }
                _ => {}
            }
        }
    }
    Ok(reserved)
}

fn read_token(
    id: &Spanned<String>,
    written: &WrittenToken,
    policy: &Policy,
) -> Result<Token, LocatedMistake> {
    let hash = SecretHash::parse(written.secret.as_ref());
    let hash = hash.map_err(|error| at(&written.secret, error.into()))?;
    let user = written.user.as_ref();
    let user = user.map(|user| known_user(user, policy)).transpose()?;
    let own = match &written.allow {
        Some(allow) => Some(rules(allow, &written.deny)?),
        None if !written.deny.is_empty() => {
            let mut own = rules(&[], &written.deny)?;
            own.allow.push(Rule::new(Verbs::ALL, "*"));
            Some(own)
        }
        None => None,
    };
    if user.is_none() && written.allow.is_none() {
        return Err(at(id, Mistake::EmptyToken));
    }
    let expires = written.expires.as_ref();
    let expires = expires.map(|time| milliseconds(time).ok_or_else(|| at(id, Mistake::Time)));
    Ok(Token {
        hash,
        user,
        rules: own,
        expires: expires.transpose()?,
    })
}

/// A time in milliseconds since the Unix epoch. One without an offset is in UTC, and a
/// date alone is its first moment. `None` of a time of day without a date.
fn milliseconds(time: &Datetime) -> Option<u64> {
    Some(seconds(time)? * 1000)
}

/// A time in seconds since the Unix epoch.
pub(crate) fn seconds(time: &Datetime) -> Option<u64> {
    let date = time.date?;
    let days = days_from_civil(date.year.into(), date.month.into(), date.day.into());
    let clock = time.time.map_or(0, |clock| {
        let seconds = i64::from(clock.second.unwrap_or(0));
        (i64::from(clock.hour) * 60 + i64::from(clock.minute)) * 60 + seconds
    });
    let offset = match time.offset {
        None | Some(Offset::Z) => 0,
        Some(Offset::Custom { minutes }) => i64::from(minutes) * 60,
    };
    let seconds = days * 24 * 60 * 60 + clock - offset;
    // A time before 1970 is in the past anyway.
    Some(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Option<u64> {
        milliseconds(&text.parse().unwrap())
    }

    #[test]
    fn times_are_counted_from_the_epoch() {
        assert_eq!(time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(time("2027-01-01"), Some(1_798_761_600_000));
        assert_eq!(time("2024-02-29T23:59:59+01:00"), Some(1_709_247_599_000));
        assert_eq!(time("2000-03-01T00:00:00"), Some(951_868_800_000));
        assert_eq!(time("1969-12-31T00:00:00Z"), Some(0));
        assert_eq!(time("12:00:00"), None);
    }
}
