//! Checks passwords: a limited number at once, so that many attempts can't use up the machine's
//! memory and processors.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::password::{Memory, PasswordHash};

/// Checks that may wait for others: two seconds of them on one core. A client would give up on a
/// login behind more.
const MAX_WAITING: usize = 64;

/// How long a success is remembered, so that a script that publishes once a minute causes one
/// check and not five.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);

/// Successes that are remembered, at 64 bytes each.
const MAX_REMEMBERED: usize = 10_000;

/// What a client should wait when too many logins wait already.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Checks passwords, and remembers for a while which ones were right.
pub(crate) struct PasswordChecker {
    shared: Arc<Shared>,
    remembered: Mutex<Remembered>,
    /// A key for the remembered marks, so that a reader of the memory can only use them for
    /// guessing.
    key: [u8; 32],
    /// The hash with which the password of an unknown user is compared.
    decoy: PasswordHash,
}

struct Shared {
    /// One permit for each check that waits or runs.
    places: Arc<Semaphore>,
    /// One permit for each core.
    workers: Arc<Semaphore>,
    /// The memory of checks that aren't running: as many as ever ran at once.
    memories: Mutex<Vec<Memory>>,
}

/// Why a password wasn't checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{MAX_WAITING} logins with passwords wait already; try again in {} s, or use a token",
    RETRY_AFTER.as_secs()
)]
pub(crate) struct TooBusy;

/// A mark for a password that was right.
type Mark = [u8; 32];

#[derive(Default)]
struct Remembered {
    marks: HashSet<Mark>,
    /// In the order in which they expire.
    order: VecDeque<(Instant, Mark)>,
}

impl PasswordChecker {
    /// Checks `cores` passwords at once.
    pub(crate) fn new(cores: usize) -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self {
            shared: Arc::new(Shared {
                places: Arc::new(Semaphore::new(cores + MAX_WAITING)),
                workers: Arc::new(Semaphore::new(cores)),
                memories: Mutex::default(),
            }),
            remembered: Mutex::default(),
            key,
            decoy: PasswordHash::decoy()?,
        })
    }

    /// Whether the password was right a short time ago, so that nothing needs to be computed.
    pub(crate) fn remembers(&self, user: &str, password: &str, kept: &PasswordHash) -> bool {
        let mark = self.mark(user, password, kept);
        self.remembered.lock().has(&mark, Instant::now())
    }

    /// Whether the password is the user's. `kept` is `None` for an unknown user: the work is the
    /// same, so that the time reveals nothing.
    pub(crate) async fn check(
        &self,
        user: &str,
        password: &str,
        kept: Option<&PasswordHash>,
    ) -> Result<bool, TooBusy> {
        let is_known = kept.is_some();
        let kept = kept.unwrap_or(&self.decoy);
        let mark = self.mark(user, password, kept);
        let place = self.shared.places.clone().try_acquire_owned();
        let place = place.map_err(|_| TooBusy)?;
        let worker = self.shared.workers.clone().acquire_owned().await;
        let worker = worker.map_err(|_| TooBusy)?;
        // The same login may have been checked while this one waited.
        if self.remembered.lock().has(&mark, Instant::now()) {
            return Ok(is_known);
        }
        let (shared, password, kept) = (self.shared.clone(), password.to_owned(), kept.clone());
        let work = move || {
            let mut memory = shared.memories.lock().pop().unwrap_or_default();
            let fits = kept.fits(&password, &mut memory);
            shared.memories.lock().push(memory);
            // The permits are returned here, because the caller may have stopped waiting.
            drop((worker, place));
            fits
        };
        // A check that has panicked counts as failed.
        let fits = tokio::task::spawn_blocking(work).await.unwrap_or(false);
        if fits && is_known {
            self.remembered.lock().add(mark, Instant::now());
        }
        Ok(fits && is_known)
    }

    /// Forgets all successes.
    pub(crate) fn forget(&self) {
        *self.remembered.lock() = Remembered::default();
    }

    /// The mark of a password. It depends on the stored hash too, so a changed password
    /// invalidates it.
    fn mark(&self, user: &str, password: &str, kept: &PasswordHash) -> Mark {
        let length = |bytes: &[u8]| (bytes.len() as u64).to_le_bytes();
        let mut hash = Sha256::new_with_prefix(self.key);
        for part in [user.as_bytes(), &kept.salt, &kept.hash, password.as_bytes()] {
            hash.update(length(part));
            hash.update(part);
        }
        hash.finalize().into()
    }
}

impl Remembered {
    fn has(&mut self, mark: &Mark, now: Instant) -> bool {
        self.expire(now);
        self.marks.contains(mark)
    }

    fn add(&mut self, mark: Mark, now: Instant) {
        if self.order.len() == MAX_REMEMBERED {
            self.remove_oldest();
        }
        if self.marks.insert(mark) {
            self.order.push_back((now + REMEMBERED, mark));
        }
    }

    fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        if let Some((_, mark)) = self.order.pop_front() {
            self.marks.remove(&mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash that is quick to check.
    const CHEAP: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$\
                         nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    fn cheap() -> PasswordHash {
        CHEAP.parse().unwrap()
    }

    #[tokio::test]
    async fn a_right_password_is_remembered_and_a_wrong_one_is_not() {
        let checker = PasswordChecker::new(1).unwrap();
        let kept = cheap();
        let remembers = |password| checker.remembers("alice", password, &kept);
        for _ in 0..2 {
            let wrong = checker.check("alice", "Password", Some(&kept)).await;
            assert_eq!(wrong, Ok(false));
            assert!(!remembers("Password"));
        }
        let right = checker.check("alice", "password", Some(&kept)).await;
        assert_eq!(right, Ok(true));
        assert!(remembers("password"));
        assert!(!remembers("Password"));
        assert!(!checker.remembers("bob", "password", &kept));
        let changed = PasswordHash::decoy().unwrap();
        assert!(!checker.remembers("alice", "password", &changed));
        checker.forget();
        assert!(!remembers("password"));
    }

    #[tokio::test]
    async fn nobody_has_a_password() {
        let checker = PasswordChecker::new(1).unwrap();
        assert_eq!(checker.check("nobody", "password", None).await, Ok(false));
        assert!(checker.remembered.lock().order.is_empty());
    }

    #[test]
    fn what_is_remembered_expires_and_is_bounded() {
        let start = Instant::now();
        let mark = |number: usize| {
            let mut mark = [0; 32];
            mark[..8].copy_from_slice(&number.to_le_bytes());
            mark
        };
        let mut remembered = Remembered::default();
        remembered.add(mark(1), start);
        remembered.add(mark(1), start);
        assert_eq!(remembered.order.len(), 1);
        let almost = start + REMEMBERED - Duration::from_millis(1);
        assert!(remembered.has(&mark(1), almost));
        assert!(!remembered.has(&mark(1), start + REMEMBERED));
        for number in 0..=MAX_REMEMBERED {
            remembered.add(mark(number), start);
        }
        assert_eq!(remembered.marks.len(), MAX_REMEMBERED);
        assert!(!remembered.has(&mark(0), start));
        assert!(remembered.has(&mark(MAX_REMEMBERED), start));
    }

    #[tokio::test]
    async fn more_logins_than_may_wait_are_told_to_try_later() {
        let cores = 2;
        let checker = Arc::new(PasswordChecker::new(cores).unwrap());
        let holding = checker.shared.workers.clone();
        let held = holding.acquire_many(2).await.unwrap();
        let check = |number: usize| {
            let checker = checker.clone();
            async move {
                let user = format!("user {number}");
                checker.check(&user, "password", Some(&cheap())).await
            }
        };
        let waiting: Vec<_> = (0..cores + MAX_WAITING)
            .map(|number| tokio::spawn(check(number)))
            .collect();
        while checker.shared.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(check(1000).await, Err(TooBusy));
        // A check that is given up makes room.
        waiting[0].abort();
        while checker.shared.places.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        drop(held);
        for waiting in waiting.into_iter().skip(1) {
            assert_eq!(waiting.await.unwrap(), Ok(true));
        }
        assert_eq!(check(1000).await, Ok(true));
        assert!(checker.shared.memories.lock().len() <= cores);
    }

    #[tokio::test]
    async fn many_logins_with_the_same_password_are_one_check() {
        let checker = Arc::new(PasswordChecker::new(1).unwrap());
        let kept = PasswordHash::of("password").unwrap();
        let logins: Vec<_> = (0..MAX_WAITING)
            .map(|_| {
                let (checker, kept) = (checker.clone(), kept.clone());
                tokio::spawn(async move { checker.check("alice", "password", Some(&kept)).await })
            })
            .collect();
        let start = Instant::now();
        for login in logins {
            assert_eq!(login.await.unwrap(), Ok(true));
        }
        // Far less than one check for each.
        let once = Instant::now();
        checker.forget();
        assert_eq!(
            checker.check("alice", "password", Some(&kept)).await,
            Ok(true)
        );
        let (all, one) = (once - start, once.elapsed());
        assert!(all < one * 20, "{all:?} {one:?}");
    }
}
