//! A line for each login, refusal and change: ids and topics, never a secret.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use parking_lot::Mutex;
use wire::ErrorCode;

use crate::log_limit::LogLimiter;
use crate::metrics::{self, ByCode};

use super::visitor::Visitor;

/// Writes what is worth knowing later into the log, and into a file of its own if there is
/// one. What peers can cause at will is held to a rate.
#[derive(Default)]
pub(crate) struct Audit {
    file: Option<Mutex<File>>,
    failures: LogLimiter,
    refusals: LogLimiter,
}

/// A line of the file.
#[derive(serde::Serialize)]
struct Line<'a> {
    /// Milliseconds since the Unix epoch.
    time: u64,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
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
    /// Appends to a file, which is made if it isn't there.
    pub(crate) fn to_file(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self {
            file: Some(Mutex::new(options.open(path)?)),
            ..Self::default()
        })
    }

    /// Somebody has logged in.
    pub(crate) fn login(&self, peer: SocketAddr, visitor: &Visitor, now: u64) {
        tracing::info!(target: "audit", %peer, "logged in as {visitor}");
        self.write(&Line::new("login", Some(peer), now).of(visitor));
    }

    /// Somebody could not log in.
    pub(crate) fn failure(&self, peer: SocketAddr, code: ErrorCode, text: &str, now: u64) {
        metrics::count_code(ByCode::AuthFailures, code);
        self.failures.log(|left_out| {
            tracing::warn!(target: "audit", %peer, %code, left_out, "a login failed: {text}");
            let line = Line::new("failed-login", Some(peer), now);
            self.write(&line.because(code, text));
        });
    }

    /// Somebody was refused something, or sent away.
    pub(crate) fn refusal(
        &self,
        peer: SocketAddr,
        visitor: &Visitor,
        code: ErrorCode,
        text: &str,
        now: u64,
    ) {
        self.refusals.log(|left_out| {
            tracing::warn!(target: "audit", %peer, %code, left_out, "{text}");
            let line = Line::new("refusal", Some(peer), now).of(visitor);
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
        let Some(file) = &self.file else {
            return;
        };
        // Strings and numbers can be written, and one write is one whole line.
        let mut bytes = serde_json::to_vec(line).unwrap_or_default();
        bytes.push(b'\n');
        if let Err(error) = file.lock().write_all(&bytes) {
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
            peer,
            account: None,
            token: None,
            code: None,
            text: None,
        }
    }

    fn of(self, visitor: &'a Visitor) -> Self {
        Self {
            account: visitor.account().map(wire::UserName::as_str),
            token: visitor.token(),
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
