//! The policy of the moment, and what changes it: the file, and the clock.

use std::net::IpAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Mutex, RwLock};
use wire::{ErrorCode, UserName};

use super::audit::Audit;
use super::checker::PasswordChecker;
use super::file;
use super::guessing::Guessing;
use super::limiter::{Limiter, Meter, Owner};
use super::locality::Locality;
use super::mistake::AuthFileError;
use super::policy::{Denied, Policy};
use super::sealed::Sealer;
use super::tickets::Tickets;
use super::verbs::Verbs;
use super::visitor::{Ended, Visitor};

/// Says who may do what.
pub(crate) struct Access {
    policy: RwLock<Arc<Policy>>,
    /// The policy's version, to be compared without the lock.
    version: AtomicU32,
    /// When the first of those who are connected has to go, in milliseconds since the Unix
    /// epoch; `u64::MAX`: none of them.
    next_expiry: AtomicU64,
    /// Where the policy comes from.
    source: Option<Source>,
    /// Who is let in at all; `None`: everybody.
    locality: Option<Locality>,
    guessing: Arc<Guessing>,
    limiter: Limiter,
    audit: Audit,
}

/// A file, and how it was when it was read.
struct Source {
    path: PathBuf,
    seen: Mutex<Seen>,
    checker: PasswordChecker,
    sealer: Sealer,
    tickets: Tickets,
}

/// For how long what was proven once is good without being brought again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    /// The login that a browser keeps.
    pub(crate) login: Duration,
    /// A ticket.
    pub(crate) ticket: Duration,
}

/// What tells a file from what it was before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    mark: Option<Mark>,
    text: String,
    /// Of the file with the keys of signed tokens.
    keys: Option<Mark>,
}

/// What the system says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    length: u64,
    /// Device and number: a file that was renamed to this name is another one.
    file: (u64, u64),
    changed: (i64, i64),
}

/// What somebody may do in a topic, by a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Of the policy that was asked.
    pub(crate) version: u32,
    pub(crate) verbs: Verbs,
}

/// Whether something has changed, so that those who are connected are looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Changed {
    No,
    /// There is another policy.
    Policy,
    /// Somebody's proof has expired.
    Expiry,
}

impl Access {
    /// For a server that asks nobody anything, and serves these.
    pub(crate) fn open(locality: Option<Locality>, audit: Audit) -> Self {
        Self::new(Policy::open(), None, locality, audit)
    }

    /// As the file says. Who is let in at all is then decided by the file alone.
    pub(crate) fn from_file(
        path: &Path,
        audit: Audit,
        lifetimes: Lifetimes,
    ) -> Result<Self, AuthFileError> {
        let mut seen = read(path)?;
        let policy = parse(path, &seen.text)?;
        seen.keys = policy.key_file().and_then(mark);
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let source = Source {
            path: path.to_owned(),
            seen: Mutex::new(seen),
            checker: PasswordChecker::new(cores).map_err(AuthFileError::Randomness)?,
            sealer: Sealer::random(lifetimes.login).map_err(AuthFileError::Randomness)?,
            tickets: Tickets::new(lifetimes.ticket),
        };
        Ok(Self::new(policy, Some(source), None, audit))
    }

    fn new(
        policy: Policy,
        source: Option<Source>,
        locality: Option<Locality>,
        audit: Audit,
    ) -> Self {
        Self {
            version: AtomicU32::new(policy.version),
            policy: RwLock::new(Arc::new(policy)),
            next_expiry: AtomicU64::new(u64::MAX),
            source,
            locality,
            guessing: Arc::default(),
            limiter: Limiter::default(),
            audit,
        }
    }

    /// Has the logins that browsers keep outlive the server, as this secret does.
    pub(crate) fn set_secret(&mut self, secret: &[u8]) {
        if let Some(source) = &mut self.source {
            source.sealer.set_secret(secret);
        }
    }

    /// Where logins, refusals and changes are noted.
    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The file that says who may do what, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.source.as_ref().map(|source| &*source.path)
    }

    /// Whether somebody can log in at all.
    pub(crate) fn has_accounts(&self) -> bool {
        self.policy.read().has_accounts
    }

    /// What everybody may do, as rules say it; empty: nothing.
    pub(crate) fn rules_for_everyone(&self) -> Vec<String> {
        let policy = self.policy();
        policy
            .everyone
            .allow
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Whether only the server's own network is served.
    pub(crate) fn is_local_only(&self) -> bool {
        self.locality.is_some()
    }

    /// Whether a peer at this address is served at all.
    pub(crate) fn lets_in(&self, peer: IpAddr) -> bool {
        let locality = self.locality.as_ref();
        locality.is_none_or(|locality| locality.is_local(peer))
    }

    /// Which policy it is: what was granted by another one has to be decided again.
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        self.policy.read().clone()
    }

    /// What somebody may do in a topic.
    pub(crate) fn grant(&self, visitor: &Visitor, topic: &str) -> Grant {
        let policy = self.policy.read();
        Grant {
            version: policy.version,
            verbs: policy.decide(visitor, topic),
        }
    }

    /// Lets somebody do something in a topic, or says why not.
    pub(crate) fn require(
        &self,
        visitor: &Visitor,
        verbs: Verbs,
        topic: &str,
    ) -> Result<Grant, Denied> {
        let grant = self.grant(visitor, topic);
        match grant.verbs.contains(verbs) {
            true => Ok(grant),
            false => Err(self.denial(visitor, verbs, topic)),
        }
    }

    /// That somebody may not do something in a topic.
    pub(crate) fn denial(&self, visitor: &Visitor, verbs: Verbs, topic: &str) -> Denied {
        self.policy.read().denial(visitor, verbs, topic)
    }

    /// What somebody may do in all topics.
    pub(crate) fn grant_everywhere(&self, visitor: &Visitor) -> Verbs {
        self.policy.read().decide_everywhere(visitor)
    }

    /// Which topics somebody may see in a list.
    pub(crate) fn lister(&self, visitor: &Visitor) -> impl Fn(&str) -> bool + Send + Sync + use<> {
        let (policy, visitor) = (self.policy(), visitor.clone());
        move |topic| policy.decide(&visitor, topic).contains(Verbs::LIST)
    }

    /// Whether somebody may call himself so.
    pub(crate) fn check_name(&self, visitor: &Visitor, name: &UserName) -> Result<(), Denied> {
        self.policy.read().check_name(visitor, name)
    }

    /// Whom somebody is taken for who has said nothing yet.
    pub(crate) fn visitor_at(&self, peer: IpAddr) -> Visitor {
        self.policy.read().visitor_at(peer)
    }

    /// Measures what somebody at an address does; `None` if nothing is limited.
    pub(crate) fn meter(&self, visitor: &Visitor, peer: IpAddr) -> Option<Meter> {
        let limits = self.policy.read().limits(visitor);
        let owner = Owner::of(visitor, peer);
        self.limiter.meter(owner, limits, Instant::now())
    }

    pub(super) fn guessing(&self) -> &Arc<Guessing> {
        &self.guessing
    }

    /// Checks passwords, where there are any.
    pub(super) fn checker(&self) -> Option<&PasswordChecker> {
        self.source.as_ref().map(|source| &source.checker)
    }

    /// Seals logins, where there are any.
    pub(super) fn sealer(&self) -> Option<&Sealer> {
        self.source.as_ref().map(|source| &source.sealer)
    }

    /// Gives out tickets, where there are any.
    pub(super) fn tickets(&self) -> Option<&Tickets> {
        self.source.as_ref().map(|source| &source.tickets)
    }

    /// Has everybody who is connected looked at again.
    pub(super) fn look_again(&self) {
        self.next_expiry.store(0, Ordering::Release);
    }

    /// Somebody stays for longer: he is looked at when his proof expires.
    pub(super) fn watch(&self, visitor: &Visitor) {
        if let Some(expires) = visitor.expires() {
            self.next_expiry.fetch_min(expires, Ordering::AcqRel);
        }
    }

    /// Who somebody is now, who was `visitor` and comes from `peer`.
    pub(crate) fn check(
        &self,
        visitor: &Visitor,
        peer: IpAddr,
        now: u64,
    ) -> Result<Visitor, Ended> {
        let policy = self.policy();
        if !visitor.has_logged_in() {
            return Ok(policy.visitor_at(peer));
        }
        policy.check(visitor, now)?;
        let login = visitor.login();
        let sealer = self.sealer();
        if login.is_some_and(|login| sealer.is_some_and(|sealer| sealer.has_ended(login))) {
            return Err(Ended {
                code: ErrorCode::Revoked,
                text: "you have logged out".to_owned(),
            });
        }
        self.watch(visitor);
        Ok(visitor.clone())
    }

    /// Whether the proof of somebody who is connected has expired by now.
    pub(crate) fn has_expired(&self, now: u64) -> Changed {
        // Those who stay say again until when, as they are looked at.
        let next = self.next_expiry.load(Ordering::Acquire);
        if next > now {
            return Changed::No;
        }
        self.next_expiry.store(u64::MAX, Ordering::Release);
        Changed::Expiry
    }

    /// Looks whether the file has changed, and takes it over if it can be understood. A
    /// file that is the same, or that was already found to be broken, changes nothing.
    pub(crate) fn reload(&self) -> Result<Changed, AuthFileError> {
        let Some(source) = &self.source else {
            return Ok(Changed::No);
        };
        let mut seen = source.seen.lock();
        let keys = self.policy.read().key_file().and_then(mark);
        let has_same_keys = seen.keys == keys;
        if seen.mark.is_some() && seen.mark == mark(&source.path) && has_same_keys {
            return Ok(Changed::No);
        }
        let mut now = match read(&source.path) {
            Ok(now) => now,
            Err(error) => {
                let known = seen.mark.take().is_none();
                // It is said once that it is gone.
                return if known { Ok(Changed::No) } else { Err(error) };
            }
        };
        let is_same = seen.text == now.text && has_same_keys;
        now.keys = keys;
        *seen = now;
        if is_same {
            return Ok(Changed::No);
        }
        let mut policy = parse(&source.path, &seen.text)?;
        seen.keys = policy.key_file().and_then(mark);
        let mut current = self.policy.write();
        policy.version = current.version.wrapping_add(1);
        self.version.store(policy.version, Ordering::Release);
        *current = Arc::new(policy);
        source.checker.forget();
        Ok(Changed::Policy)
    }
}

fn parse(path: &Path, text: &str) -> Result<Policy, AuthFileError> {
    file::parse(text, path.parent().unwrap_or(Path::new(""))).map_err(|at| at.in_file(path, text))
}

fn read(path: &Path) -> Result<Seen, AuthFileError> {
    // Before it is read: what changes meanwhile is seen the next time.
    let mark = mark(path);
    let text = std::fs::read_to_string(path).map_err(|cause| AuthFileError::Io {
        path: path.to_owned(),
        cause,
    })?;
    let keys = None;
    Ok(Seen { mark, text, keys })
}

fn mark(path: &Path) -> Option<Mark> {
    let data = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let (file, changed) = {
        use std::os::unix::fs::MetadataExt as _;
        ((data.dev(), data.ino()), (data.ctime(), data.ctime_nsec()))
    };
    #[cfg(not(unix))]
    let (file, changed) = ((0, 0), (0, 0));
    Some(Mark {
        modified: data.modified().ok(),
        length: data.len(),
        file,
        changed,
    })
}
