//! The certificate in force, and how a new one replaces it while connections go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::clock;
use crate::config::{CertificateSource, Config};
use crate::tls::TlsError;
use crate::tls::certificate::{Certificate, Files};
use crate::tls::self_signed::SelfSigned;

/// How long before the certificate's expiry the log warns.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// How often the log warns.
const WARN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a certificate comes from.
#[derive(Debug)]
enum Source {
    Files { certificate: PathBuf, key: PathBuf },
    SelfSigned(SelfSigned),
}

/// The certificate in force.
#[derive(Debug)]
pub(super) struct Current {
    source: Source,
    provider: Arc<CryptoProvider>,
    certificate: RwLock<Certificate>,
    seen: Mutex<Seen>,
}

/// The state of the files when they were last read, and what was logged about them.
#[derive(Debug)]
struct Seen {
    digest: [u8; 32],
    /// The error, if there was one.
    trouble: Option<String>,
    warned: Option<SystemTime>,
}

/// The result of reading the files again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reloaded {
    /// The files have not changed.
    Unchanged,
    /// A new certificate is in force.
    Replaced,
    /// The files can't be used. The certificate before stays in force.
    Kept,
}

impl Source {
    fn new(source: &CertificateSource, config: &Config) -> Result<Self, TlsError> {
        Ok(match source {
            CertificateSource::Files { certificate, key } => Self::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            CertificateSource::SelfSigned { names } => {
                let directory = config.data.as_ref().or(config.tls.state_directory.as_ref());
                let directory = directory.ok_or(TlsError::NoDirectory)?.join("tls");
                Self::SelfSigned(SelfSigned::new(
                    directory,
                    names,
                    config.host_name.as_deref(),
                ))
            }
        })
    }

    fn paths(&self) -> (PathBuf, PathBuf) {
        match self {
            Self::Files { certificate, key } => (certificate.clone(), key.clone()),
            Self::SelfSigned(own) => (own.certificate(), own.key()),
        }
    }

    fn read(&self) -> Result<Files, TlsError> {
        match self {
            Self::Files { certificate, key } => Files::read(certificate, key),
            Self::SelfSigned(own) => own.ensure(clock::date()),
        }
    }
}

impl Current {
    /// Reads the certificate, which blocks.
    pub(super) fn open(
        source: &CertificateSource,
        config: &Config,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let source = Source::new(source, config)?;
        let files = source.read()?;
        let (certificate, key) = source.paths();
        let certificate = Certificate::from_pem(&files, &certificate, &key, &provider)?;
        Ok(Self {
            source,
            provider,
            certificate: RwLock::new(certificate),
            seen: Mutex::new(Seen {
                digest: files.digest(),
                trouble: None,
                warned: None,
            }),
        })
    }

    /// Whether [`open`](Self::open) would probably succeed. Creates nothing.
    pub(super) fn look(
        source: &CertificateSource,
        config: &Config,
        provider: &CryptoProvider,
    ) -> Result<(), TlsError> {
        match Source::new(source, config)? {
            Source::Files { certificate, key } => {
                let files = Files::read(&certificate, &key)?;
                Certificate::from_pem(&files, &certificate, &key, provider).map(drop)
            }
            Source::SelfSigned(_) => Ok(()),
        }
    }

    /// The fingerprint of the key, if the certificate is self-signed: clients then know the
    /// server by it.
    pub(super) fn own_fingerprint(&self) -> Option<String> {
        let certificate = self.certificate.read();
        certificate
            .fingerprint()
            .filter(|_| certificate.is_self_issued)
    }

    /// When the certificate ends, in seconds since 1970.
    pub(super) fn expiry(&self) -> u64 {
        let end = self.certificate.read().not_after;
        let end = end.duration_since(SystemTime::UNIX_EPOCH);
        end.map_or(0, |end| end.as_secs())
    }

    /// Whether the certificate is self-signed.
    pub(super) fn is_self_issued(&self) -> bool {
        self.certificate.read().is_self_issued
    }

    /// Reads the files again, which blocks, and puts a new certificate in force. An error is
    /// reported once for each content.
    pub(super) fn reload(&self) -> Reloaded {
        let mut seen = self.seen.lock();
        let files = match self.source.read() {
            Ok(files) => files,
            Err(error) => return seen.keep(&error),
        };
        let digest = files.digest();
        if digest == seen.digest {
            return Reloaded::Unchanged;
        }
        match self.parse(&files) {
            Ok(new) => {
                seen.digest = digest;
                *self.certificate.write() = new;
                seen.trouble = None;
                seen.warned = None;
                Reloaded::Replaced
            }
            Err(error) => seen.keep(&error),
        }
    }

    /// Whether the files can be used as they are now. If not, that is logged as by
    /// [`reload`](Self::reload).
    pub(super) fn look_again(&self) -> Result<(), TlsError> {
        let mut seen = self.seen.lock();
        let files = self.source.read();
        let result = files.and_then(|files| self.parse(&files).map(drop));
        if let Err(error) = &result {
            seen.keep(error);
        }
        result
    }

    fn parse(&self, files: &Files) -> Result<Certificate, TlsError> {
        let (certificate, key) = self.source.paths();
        Certificate::from_pem(files, &certificate, &key, &self.provider)
    }

    /// Logs once a day that the certificate expires soon.
    pub(super) fn warn_of_the_end(&self, now: SystemTime) {
        let not_after = self.certificate.read().not_after;
        let left = not_after.duration_since(now).unwrap_or_default();
        let mut seen = self.seen.lock();
        let is_said = seen.warned.is_some_and(|said| {
            now.duration_since(said)
                .is_ok_and(|since| since < WARN_EVERY)
        });
        if left >= WARN_BEFORE || is_said {
            return;
        }
        seen.warned = Some(now);
        let (certificate, _) = self.source.paths();
        let file = certificate.display();
        match left.as_secs() / 3600 {
            0 if left.is_zero() => {
                tracing::warn!("the certificate in {file} has expired: clients refuse it");
            }
            hours if hours < 48 => {
                tracing::warn!("the certificate in {file} expires in {hours} h; renew it");
            }
            hours => {
                let days = hours / 24;
                tracing::warn!("the certificate in {file} expires in {days} days; renew it");
            }
        }
    }
}

impl Seen {
    fn keep(&mut self, error: &TlsError) -> Reloaded {
        // The files before may come back: they would be the same as before then.
        self.digest = [0; 32];
        let text = error.to_string();
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!("the certificate was not replaced, the one before stays: {text}");
            self.trouble = Some(text);
        }
        Reloaded::Kept
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certificate.read().key.clone())
    }
}
