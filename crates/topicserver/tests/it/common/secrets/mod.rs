//! The secrets that a test uses, none of which may be in a log.
//!
//! What tests send and receive is searched for them (`found.rs`), and every line of a log for
//! their beginnings. It makes no difference which of them comes first. A leak is printed at
//! once, and fails the test when it drops the server, because a panic of the thread that reads
//! the log would be lost.
//!
//! The tests of `client` and of `chat` have this file too.

mod found;

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing_subscriber::filter::LevelFilter;

pub use found::found_in;

/// What a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a token, what follows its id.
    Token,
    /// What the file of accounts keeps of a token.
    TokenHash,
    /// The token of another program (JWT), and its signature.
    SignedToken,
    Ticket,
    Password,
    /// What the file of accounts keeps of a password: salt and hash.
    PasswordHash,
    /// What `Authorization` brings, in the form in which it does.
    Credentials,
    /// The login that a browser keeps.
    Cookie,
    /// By which a publisher is known that comes back.
    ClientKey,
    /// Of TLS.
    PrivateKey,
    /// By which a server of a cluster logs in to NATS: a password or a token in a URL, or a seed.
    ClusterLogin,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Token,
        Self::TokenHash,
        Self::SignedToken,
        Self::Ticket,
        Self::Password,
        Self::PasswordHash,
        Self::Credentials,
        Self::Cookie,
        Self::ClientKey,
        Self::PrivateKey,
        Self::ClusterLogin,
    ];
}

/// Characters of a secret that are searched for: also one that is cut is found. What is shorter
/// isn't searched for, because it would be in logs by chance.
pub const SEARCHED: usize = 10;

/// The longest line that is kept until it is complete: a cookie's, with what else is said of it.
const MAX_LINE: usize = 8 * 1024;

/// What a test has used, and what was logged meanwhile.
#[derive(Debug, Default)]
pub struct Watch {
    secrets: Vec<Secret>,
    lines: Vec<Line>,
    leaks: Vec<Leak>,
}

#[derive(Debug)]
struct Secret {
    kind: Kind,
    /// How its beginning looks in a log: as text, escaped, and as numbers.
    forms: [String; 3],
}

#[derive(Debug)]
struct Line {
    place: &'static str,
    text: String,
}

/// A line with a secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    kind: Kind,
    place: &'static str,
    line: String,
}

impl Watch {
    /// Somebody uses a secret, which may have been logged already.
    pub fn note(&mut self, kind: Kind, text: &str) {
        let beginning: String = text.chars().take(SEARCHED).collect();
        let is_known = |secret: &Secret| secret.forms[0] == beginning;
        if beginning.chars().count() < SEARCHED || self.secrets.iter().any(is_known) {
            return;
        }
        let escaped = format!("{beginning:?}").trim_matches('"').to_owned();
        let forms = [beginning.clone(), escaped, numbers(beginning.as_bytes())];
        let secret = Secret { kind, forms };
        for line in self.lines.iter().filter(|line| secret.is_in(&line.text)) {
            self.leaks.push(line.shows(kind));
        }
        self.secrets.push(secret);
    }

    /// A line was logged.
    pub fn see(&mut self, place: &'static str, text: &str) {
        let text = text.to_owned();
        let line = Line { place, text };
        for secret in self.secrets.iter().filter(|known| known.is_in(&line.text)) {
            self.leaks.push(line.shows(secret.kind));
        }
        self.lines.push(line);
    }

    /// The lines with a secret in them.
    pub fn leaks(&self) -> &[Leak] {
        &self.leaks
    }
}

impl Secret {
    fn is_in(&self, line: &str) -> bool {
        self.forms.iter().any(|form| line.contains(form))
    }
}

impl Line {
    fn shows(&self, kind: Kind) -> Leak {
        Leak {
            kind,
            place: self.place,
            line: self.text.clone(),
        }
    }
}

/// How bytes look that are logged as such.
pub fn numbers(bytes: &[u8]) -> String {
    let shown = format!("{bytes:?}");
    shown.trim_matches(['[', ']']).to_owned()
}

/// Of this process. One that runs several tests fails all of them after a leak.
static WATCH: Mutex<Watch> = Mutex::new(Watch {
    secrets: Vec::new(),
    lines: Vec::new(),
    leaks: Vec::new(),
});

/// Whether all that goes over connections is searched. Only tests with secrets do that: others
/// send gigabytes.
static IS_WATCHING: AtomicBool = AtomicBool::new(false);

/// From now on, what clients send and receive is searched for secrets.
pub fn watch() {
    IS_WATCHING.store(true, Relaxed);
}

/// The same, and what servers log within this process is looked at, at any level.
pub fn watch_this_process() {
    static LOG: Once = Once::new();
    watch();
    LOG.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(|| WatchedLog)
            .init();
    });
}

/// Where servers within this process log to.
struct WatchedLog;

impl io::Write for WatchedLog {
    /// An event comes as a whole.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        see("the log", String::from_utf8_lossy(bytes).trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Changes the watch, and prints what that has brought to light.
fn with_watch(change: impl FnOnce(&mut Watch)) {
    let mut watch = lock();
    let before = watch.leaks.len();
    change(&mut watch);
    for Leak { kind, place, line } in &watch.leaks[before..] {
        // Not by `eprintln!`, which the harness holds back.
        let text = format!("{place} has a secret in it ({kind:?}): {line}\n");
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

fn lock() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A test uses this secret.
pub fn note(kind: Kind, text: &str) {
    with_watch(|watch| watch.note(kind, text));
}

/// A test uses the secrets in these bytes.
pub fn note_in(bytes: &[u8]) {
    note_all(found_in(bytes));
}

fn note_all(found: Vec<(Kind, String)>) {
    if !found.is_empty() {
        with_watch(|watch| {
            for (kind, text) in found {
                watch.note(kind, &text);
            }
        });
    }
}

/// A server uses the secrets in a file, if it is there.
pub fn note_file(path: &Path) {
    if let Ok(bytes) = std::fs::read(path) {
        note_in(&bytes);
    }
}

/// A client sends this.
pub fn sent(bytes: &[u8]) {
    if is_watching() {
        note_in(bytes);
    }
}

/// The line that a client is receiving: a secret may come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Unfinished(Vec<u8>);

impl Unfinished {
    /// A client has received this.
    pub fn received(&mut self, bytes: &[u8]) {
        if is_watching() {
            note_all(self.found_with(bytes));
        }
    }

    /// The secrets in the lines that this completes, and in the one that it begins.
    pub fn found_with(&mut self, bytes: &[u8]) -> Vec<(Kind, String)> {
        self.0.extend_from_slice(bytes);
        let found = found_in(&self.0);
        let line = self.0.iter().rposition(|byte| *byte == b'\n');
        let surplus = self.0.len().saturating_sub(MAX_LINE);
        self.0.drain(..line.map_or(0, |end| end + 1).max(surplus));
        found
    }
}

/// Whether a test that uses secrets has begun.
pub fn is_watching() -> bool {
    IS_WATCHING.load(Relaxed)
}

/// A program shows this.
pub fn shown(text: &str) {
    if is_watching() {
        see("what a program shows", text);
    }
}

/// A line was logged.
pub fn see(place: &'static str, line: &str) {
    with_watch(|watch| watch.see(place, line));
}

/// The lines of a file were logged, if it is there.
pub fn see_file(place: &'static str, path: &Path) {
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        see(place, line);
    }
}

/// Fails the test if there was a leak. One that fails already has to say why it does.
#[track_caller]
pub fn expect_no_leak() {
    let leaks = lock().leaks.clone();
    if !std::thread::panicking() {
        assert!(leaks.is_empty(), "secrets were logged: {leaks:#?}");
    }
}
