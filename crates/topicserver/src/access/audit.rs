//! A line for each login, refusal and change: ids and topics, never a secret.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use parking_lot::Mutex;
use wire::ErrorCode;

use crate::log_limit::LogLimiter;
use crate::metrics::{self, ByCode};
use crate::peer::Shown;

use super::principal::Principal;

/// Writes to the log, and to the audit file if there is one. Lines that peers can cause at will
/// are limited in rate.
#[derive(Default)]
pub(crate) struct Audit {
    file: Mutex<Option<File>>,
    failures: LogLimiter,
    refusals: LogLimiter,
    tickets: LogLimiter,
}

/// A line of the file.
#[derive(serde::Serialize)]
struct Line<'a> {
    /// Milliseconds since the Unix epoch.
    time: u64,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

impl Audit {
    /// Appends to a file, if there is one.
    pub(crate) fn to_file(file: Option<File>) -> Self {
        Self {
            file: Mutex::new(file),
            ..Self::default()
        }
    }

    /// Opens a file to append to, which is created if there is none.
    pub(crate) fn open(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }

    /// From now on appends to this file, or to none.
    pub(crate) fn follow(&self, file: Option<File>) {
        *self.file.lock() = file;
    }

    /// A client has logged in.
    pub(crate) fn login(&self, peer: SocketAddr, principal: &Principal, now: u64) {
        tracing::info!(target: "audit", peer = %Shown(peer), "logged in as {principal}");
        self.write(&Line::new("login", Some(peer), now).of(principal));
    }

    /// Somebody has logged out.
    pub(crate) fn logout(&self, peer: SocketAddr, principal: &Principal, now: u64) {
        tracing::info!(target: "audit", peer = %Shown(peer), "{principal} has logged out");
        self.write(&Line::new("logout", Some(peer), now).of(principal));
    }

    /// Somebody got a ticket. A site fetches one for each of its visitors, so this is held to
    /// a rate.
    pub(crate) fn ticket(&self, peer: SocketAddr, principal: &Principal, now: u64) {
        self.tickets.log(|left_out| {
            tracing::info!(target: "audit", peer = %Shown(peer), left_out, "a ticket for {principal}");
            self.write(&Line::new("ticket", Some(peer), now).of(principal));
        });
    }

    /// A login has failed.
    pub(crate) fn failure(&self, peer: SocketAddr, code: ErrorCode, text: &str, now: u64) {
        metrics::count_code(ByCode::AuthFailures, code);
        self.failures.log(|left_out| {
            tracing::warn!(target: "audit", peer = %Shown(peer), %code, left_out, "a login failed: {text}");
            let line = Line::new("failed-login", Some(peer), now);
            self.write(&line.because(code, text));
        });
    }

    /// A client was refused something, or disconnected.
    pub(crate) fn refusal(
        &self,
        peer: SocketAddr,
        principal: &Principal,
        code: ErrorCode,
        text: &str,
        now: u64,
    ) {
        self.refusals.log(|left_out| {
            tracing::warn!(target: "audit", peer = %Shown(peer), %code, left_out, "{text}");
            let line = Line::new("refusal", Some(peer), now).of(principal);
            self.write(&line.because(code, text));
        });
    }

    /// The file of accounts was changed.
    pub(crate) fn change(&self, path: &Path, now: u64) {
        let text = format!("{} was changed and is in effect", path.display());
        tracing::info!(target: "audit", "{text}");
        let line = Line::new("change", None, now);
        self.write(&Line {
            text: Some(&text),
            ..line
        });
    }

    fn write(&self, line: &Line<'_>) {
        let mut file = self.file.lock();
        let Some(file) = file.as_mut() else {
            return;
        };
        // Strings and numbers can always be written. One write writes a whole line.
        let mut bytes = serde_json::to_vec(line).unwrap_or_default();
        bytes.push(b'\n');
        if let Err(error) = file.write_all(&bytes) {
            self.failures
                .log(|_| tracing::error!(%error, "the audit log can't be written"));
        }
    }
}

impl<'a> Line<'a> {
    fn new(event: &'a str, peer: Option<SocketAddr>, time: u64) -> Self {
        Self {
            time,
            event,
            peer: peer.map(Shown),
            account: None,
            token: None,
            code: None,
            text: None,
        }
    }

    fn of(self, principal: &'a Principal) -> Self {
        Self {
            account: principal.account().map(wire::UserName::as_str),
            token: principal.token(),
            ..self
        }
    }

    fn because(self, code: ErrorCode, text: &'a str) -> Self {
        Self {
            code: Some(code.as_str()),
            text: Some(text),
            ..self
        }
    }
}
