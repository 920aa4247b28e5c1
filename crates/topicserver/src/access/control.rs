//! The policy in force, and what changes it: the file, and the clock.

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
use super::principal::{Ended, Principal};
use super::sealed::Sealer;
use super::tickets::Tickets;
use super::verbs::Verbs;

/// The policy in force, with logins, limits and the audit log.
pub(crate) struct Access {
    policy: RwLock<Arc<Policy>>,
    /// The policy's version, to be compared without the lock.
    version: AtomicU32,
    /// When the first login of a connection expires, in milliseconds since the Unix epoch;
    /// `u64::MAX` if none does.
    next_expiry: AtomicU64,
    /// The file of the policy.
    source: Option<Source>,
    /// The networks that are served; `None` for all.
    locality: Option<Locality>,
    guessing: Arc<Guessing>,
    limiter: Limiter,
    audit: Audit,
}

/// A file, and its state when it was read.
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

/// A mark of a file's state, to notice changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    mark: Option<Mark>,
    text: String,
    /// The mark of the file with the keys of signed tokens.
    keys: Option<Mark>,
}

/// A file's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    length: u64,
    /// Device and inode: a file that was renamed to this name has another one.
    file: (u64, u64),
    changed: (i64, i64),
}

/// What a principal may do in a topic, by one version of the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The version of the policy.
    pub(crate) version: u32,
    pub(crate) verbs: Verbs,
}

/// Whether something has changed, so that connections must be checked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Changed {
    No,
    /// The policy has changed.
    Policy,
    /// A login has expired.
    Expiry,
}

impl Access {
    /// For a server without accounts that serves these networks.
    pub(crate) fn open(locality: Option<Locality>, audit: Audit) -> Self {
        Self::new(Policy::open(), None, locality, audit)
    }

    /// Reads the policy from a file, which then also decides who is let in.
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

    /// From now on logins and tickets are good for so long.
    pub(crate) fn follow(&self, lifetimes: Lifetimes) {
        if let Some(source) = &self.source {
            source.sealer.set_lifetime(lifetimes.login);
            source.tickets.set_lifetime(lifetimes.ticket);
        }
    }

    /// The audit log of logins, refusals and changes.
    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The file of the policy, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.source.as_ref().map(|source| &*source.path)
    }

    /// Whether somebody can log in at all.
    pub(crate) fn has_accounts(&self) -> bool {
        self.policy.read().has_accounts
    }

    /// The rules for everyone; empty if nothing is allowed.
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

    /// The version of the policy. Grants by another version have to be checked again.
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        self.policy.read().clone()
    }

    /// What a principal may do in a topic.
    pub(crate) fn grant(&self, principal: &Principal, topic: &str) -> Grant {
        let policy = self.policy.read();
        Grant {
            version: policy.version,
            verbs: policy.decide(principal, topic),
        }
    }

    /// Checks that a principal may do something in a topic.
    pub(crate) fn require(
        &self,
        principal: &Principal,
        verbs: Verbs,
        topic: &str,
    ) -> Result<Grant, Denied> {
        let grant = self.grant(principal, topic);
        match grant.verbs.contains(verbs) {
            true => Ok(grant),
            false => Err(self.denial(principal, verbs, topic)),
        }
    }

    /// The error that a principal may not do something in a topic.
    pub(crate) fn denial(&self, principal: &Principal, verbs: Verbs, topic: &str) -> Denied {
        self.policy.read().denial(principal, verbs, topic)
    }

    /// What a principal may do in all topics.
    pub(crate) fn grant_everywhere(&self, principal: &Principal) -> Verbs {
        self.policy.read().decide_everywhere(principal)
    }

    /// Which topics a principal may see in a list.
    pub(crate) fn lister(
        &self,
        principal: &Principal,
    ) -> impl Fn(&str) -> bool + Send + Sync + use<> {
        let (policy, principal) = (self.policy(), principal.clone());
        move |topic| policy.decide(&principal, topic).contains(Verbs::LIST)
    }

    /// Whether a principal may use a name.
    pub(crate) fn check_name(&self, principal: &Principal, name: &UserName) -> Result<(), Denied> {
        self.policy.read().check_name(principal, name)
    }

    /// The principal of a client that has not logged in, by its address.
    pub(crate) fn principal_at(&self, peer: IpAddr) -> Principal {
        self.policy.read().principal_at(peer)
    }

    /// The meter of a principal at an address; `None` if nothing is limited.
    pub(crate) fn meter(&self, principal: &Principal, peer: IpAddr) -> Option<Meter> {
        let limits = self.policy.read().limits(principal);
        let owner = Owner::of(principal, peer);
        self.limiter.meter(owner, limits, Instant::now())
    }

    pub(super) fn guessing(&self) -> &Arc<Guessing> {
        &self.guessing
    }

    /// The checker of passwords, if there are accounts.
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

    /// Notes when a principal's login expires, so that it is checked then.
    pub(super) fn watch(&self, principal: &Principal) {
        if let Some(expires) = principal.expires() {
            self.next_expiry.fetch_min(expires, Ordering::AcqRel);
        }
    }

    /// The principal of a connection from `peer`, checked again by the policy in force.
    pub(crate) fn check(
        &self,
        principal: &Principal,
        peer: IpAddr,
        now: u64,
    ) -> Result<Principal, Ended> {
        let policy = self.policy();
        if !principal.has_logged_in() {
            return Ok(policy.principal_at(peer));
        }
        policy.check(principal, now)?;
        let login = principal.login();
        let sealer = self.sealer();
        if login.is_some_and(|login| sealer.is_some_and(|sealer| sealer.has_ended(login))) {
            return Err(Ended {
                code: ErrorCode::Revoked,
                text: "you have logged out".to_owned(),
            });
        }
        self.watch(principal);
        Ok(principal.clone())
    }

    /// Whether the login of a connection has expired by now.
    pub(crate) fn has_expired(&self, now: u64) -> Changed {
        // Connections that stay note their next expiry when they are checked.
        let next = self.next_expiry.load(Ordering::Acquire);
        if next > now {
            return Changed::No;
        }
        self.next_expiry.store(u64::MAX, Ordering::Release);
        Changed::Expiry
    }

    /// Whether the file can be used as it is now.
    pub(crate) fn look(&self) -> Result<(), AuthFileError> {
        let Some(source) = &self.source else {
            return Ok(());
        };
        let now = read(&source.path)?;
        parse(&source.path, &now.text).map(drop)
    }

    /// Reads the file again if it has changed, and puts it in force if it is valid. An error is
    /// returned once for each content.
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
                // That the file is missing is reported once.
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
    // The mark is taken before the file is read, so a change meanwhile is noticed the next time.
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
