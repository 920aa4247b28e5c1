//! A certificate that the server makes itself. Its key stays the same, so clients that have
//! noted the key's fingerprint go on trusting it when the certificate is renewed.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::TlsError;
use crate::tls::certificate::Files;
use crate::tls::x509;

/// After this time the certificate is renewed: months before it expires.
const RENEW_AFTER: Duration = Duration::from_secs(300 * DAY);

/// For how long it is valid: browsers accept no certificate for more than 398 days.
const VALID_FOR: Duration = Duration::from_secs(397 * DAY);

/// Its validity begins before it was made, because clocks differ.
const VALID_BEFORE: Duration = Duration::from_secs(DAY);

/// Characters of a line in PEM.
const PEM_LINE: usize = 64;

const DAY: u64 = 24 * 60 * 60;

/// The beginning of the line before the certificate that lists its names.
const MADE_FOR: &str = "Made by topicserver for: ";

/// A self-signed certificate in a directory.
#[derive(Clone, Debug)]
pub(super) struct SelfSigned {
    directory: PathBuf,
    names: Vec<String>,
}

impl SelfSigned {
    /// A certificate in this directory, for these names and those of the machine.
    pub(super) fn new(directory: PathBuf, names: &[String], host_name: Option<&str>) -> Self {
        let mut all = Vec::new();
        if let Some(host) = host_name.filter(|host| !host.is_empty()) {
            let short = host.split_once('.').map_or(host, |(short, _)| short);
            all.extend([host.to_owned(), short.to_owned(), format!("{short}.local")]);
        }
        all.push("localhost".to_owned());
        all.push(Ipv4Addr::LOCALHOST.to_string());
        all.push(Ipv6Addr::LOCALHOST.to_string());
        let given = names.iter().map(|name| name.trim().to_ascii_lowercase());
        all.extend(given.filter(|name| !name.is_empty()));
        let mut known = Vec::with_capacity(all.len());
        for name in all {
            if !known.contains(&name) {
                known.push(name);
            }
        }
        Self {
            directory,
            names: known,
        }
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.directory.join("certificate.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.directory.join("key.pem")
    }

    /// Creates the key and the certificate if they are missing or too old, and reads them.
    pub(super) fn ensure(&self, now: SystemTime) -> Result<Files, TlsError> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&self.directory);
        made.map_err(|cause| TlsError::Write {
            path: self.directory.clone(),
            cause,
        })?;
        if !self.key().exists() {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            let text = pem("PRIVATE KEY", &key.serialize_der());
            self.write(&self.key(), text.as_bytes(), IfExists::Keep)?;
        }
        let missing = || Files::read(&self.certificate(), &self.key());
        match missing() {
            Ok(files) if self.is_current(&files, now) => return Ok(files),
            Ok(_) => {}
            Err(TlsError::Read { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.make(now)?;
        Files::read(&self.certificate(), &self.key())
    }

    /// Whether the certificate has this key and these names, and isn't too old.
    fn is_current(&self, files: &Files, now: SystemTime) -> bool {
        let is_for_these = files
            .certificate
            .starts_with(format!("{}\n", self.made_for()).as_bytes());
        let der = CertificateDer::from_pem_slice(&files.certificate).ok();
        let facts = der.as_ref().and_then(|der| x509::read(der));
        let is_young = facts.is_some_and(|facts| {
            let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(facts.not_before);
            // A clock that was wrong may have dated it into the future.
            begin <= now && now < begin + VALID_BEFORE + RENEW_AFTER
        });
        let is_of_key = key_pair(&files.key)
            .ok()
            .zip(der)
            .is_some_and(|(key, der)| {
                let public = key.public_key_raw();
                der.windows(public.len()).any(|part| part == public)
            });
        is_for_these && is_young && is_of_key
    }

    fn made_for(&self) -> String {
        format!("{MADE_FOR}{}", self.names.join(", "))
    }

    fn make(&self, now: SystemTime) -> Result<(), TlsError> {
        let path = self.key();
        let text = std::fs::read(&path).map_err(|cause| TlsError::Read { path, cause })?;
        let key = key_pair(&text)?;
        let mut parameters = CertificateParams::new(self.names.clone())?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "natter");
        parameters.distinguished_name = name;
        let since_1970 = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = rcgen::date_time_ymd(1970, 1, 1) + since_1970;
        parameters.not_before = now - VALID_BEFORE;
        parameters.not_after = now + VALID_FOR - VALID_BEFORE;
        let certificate = parameters.self_signed(&key)?;
        let text = pem("CERTIFICATE", certificate.der());
        let text = format!("{}\n{text}", self.made_for());
        self.write(&self.certificate(), text.as_bytes(), IfExists::Replace)
    }

    /// Writes a file that only the server's user can read, whole or not at all. A key that
    /// another server has written meanwhile stays.
    fn write(&self, path: &Path, content: &[u8], if_exists: IfExists) -> Result<(), TlsError> {
        let temporary = path.with_extension(getrandom::u64().unwrap_or_default().to_string());
        let write = || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            let mut file = options.open(&temporary)?;
            file.write_all(content)?;
            file.sync_all()?;
            match if_exists {
                IfExists::Replace => std::fs::rename(&temporary, path),
                IfExists::Keep => match std::fs::hard_link(&temporary, path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                    result => result,
                },
            }
        };
        let written = write();
        // After a rename it is gone already.
        let _ = std::fs::remove_file(&temporary);
        written.map_err(|cause| TlsError::Write {
            path: path.to_owned(),
            cause,
        })
    }
}

/// What happens to a file that exists already.
#[derive(Clone, Copy)]
enum IfExists {
    Keep,
    Replace,
}

/// The key pair of a private key in PEM.
fn key_pair(text: &[u8]) -> Result<KeyPair, rcgen::Error> {
    let private = PrivateKeyDer::from_pem_slice(text);
    let private = private.map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    KeyPair::try_from(&private)
}

/// Bytes in the text form of keys and certificates.
fn pem(label: &str, bytes: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = BASE64.encode(bytes);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            let name = format!("natter-tls-{:016x}", getrandom::u64().unwrap());
            Self(std::env::temp_dir().join(name))
        }

        fn of(&self, names: &[&str]) -> SelfSigned {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            SelfSigned::new(self.0.join("tls"), &names, Some("box.lab"))
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn at(days: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs((20_000 + days) * DAY)
    }

    #[test]
    fn a_certificate_is_kept_until_it_is_old_and_its_key_for_ever() {
        let directory = Directory::new();
        let own = directory.of(&["lab.example", "10.0.0.7"]);
        let first = own.ensure(at(0)).unwrap();
        let facts = x509::read(&CertificateDer::from_pem_slice(&first.certificate).unwrap());
        let facts = facts.unwrap();
        assert!(facts.is_self_issued);
        assert_eq!(facts.not_before, (20_000 - 1) * DAY);
        assert_eq!(facts.not_after, (20_000 + 396) * DAY);
        let second = own.ensure(at(299)).unwrap();
        assert_eq!(second.digest(), first.digest());
        let third = own.ensure(at(300)).unwrap();
        assert_eq!(third.key, first.key);
        assert_ne!(third.certificate, first.certificate);
        // Dated into the future, by a clock that was wrong.
        let fourth = own.ensure(at(100)).unwrap();
        assert_eq!(fourth.key, first.key);
        assert_ne!(fourth.certificate, third.certificate);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&own.key()), 0o600);
        assert_eq!(mode(&own.directory), 0o700);
    }

    #[test]
    fn other_names_and_another_key_take_another_certificate() {
        let directory = Directory::new();
        let first = directory.of(&[]).ensure(at(0)).unwrap();
        let second = directory.of(&["chat.example"]).ensure(at(0)).unwrap();
        assert_eq!(second.key, first.key);
        assert_ne!(second.certificate, first.certificate);
        let own = directory.of(&["chat.example"]);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let text = pem("PRIVATE KEY", &key.serialize_der());
        std::fs::write(own.key(), &text).unwrap();
        let third = own.ensure(at(0)).unwrap();
        assert_ne!(third.certificate, second.certificate);
        assert_eq!(third.key, text.as_bytes());
    }

    #[test]
    fn the_names_of_the_machine_are_in_it_once() {
        let own = SelfSigned::new(
            PathBuf::new(),
            &["Box.local".into(), " ".into()],
            Some("box"),
        );
        let expected = ["box", "box.local", "localhost", "127.0.0.1", "::1"];
        assert_eq!(own.names, expected);
    }
}
