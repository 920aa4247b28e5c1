//! A certificate with its key, read from PEM and checked.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::tls::TlsError;
use crate::tls::x509;

/// A server's certificate and key.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// The certificate and the key for handshakes.
    pub(super) key: Arc<CertifiedKey>,
    /// Until when it is valid.
    pub(super) not_after: SystemTime,
    /// The certificate is self-signed.
    pub(super) is_self_issued: bool,
}

/// Two files as they are on disk.
pub(super) struct Files {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Files {
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(certificate)?,
            key: read(key)?,
        })
    }

    /// A digest of the contents, to notice changes without keeping another copy of the key.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut context = aws_lc_rs::digest::Context::new(&SHA256);
        context.update(&(self.certificate.len() as u64).to_be_bytes());
        context.update(&self.certificate);
        context.update(&self.key);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        bytes
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|cause| TlsError::Read {
        path: path.to_owned(),
        cause,
    })
}

impl Certificate {
    /// Parses the files, which have these paths, and checks that certificate and key belong
    /// together.
    pub(super) fn from_pem(
        files: &Files,
        certificate: &Path,
        key: &Path,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let chain = chain(&files.certificate, certificate)?;
        let facts = chain.first().and_then(|first| x509::read(first));
        let facts = facts.ok_or_else(|| TlsError::BadCertificate(certificate.to_owned()))?;
        let private = match PrivateKeyDer::from_pem_slice(&files.key) {
            Ok(private) => private,
            Err(pem::Error::NoItemsFound) => return Err(TlsError::EmptyKey(key.to_owned())),
            Err(cause) => {
                let path = key.to_owned();
                return Err(TlsError::Pem { path, cause });
            }
        };
        let bad_key = |cause| TlsError::BadKey {
            path: key.to_owned(),
            cause,
        };
        let signer = provider
            .key_provider
            .load_private_key(private)
            .map_err(bad_key)?;
        let certified = CertifiedKey::new(chain, signer);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(TlsError::Mismatch {
                    certificate: certificate.to_owned(),
                    key: key.to_owned(),
                });
            }
            Err(_) => return Err(TlsError::BadCertificate(certificate.to_owned())),
        }
        Ok(Self {
            key: Arc::new(certified),
            not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(facts.not_after),
            is_self_issued: facts.is_self_issued,
        })
    }

    /// The fingerprint of its public key, as `sha256:` and base64: it stays the same as long
    /// as the key does.
    pub(super) fn fingerprint(&self) -> Option<String> {
        let key = self.key.key.public_key()?;
        let hash = digest(&SHA256, key.as_ref());
        Some(format!("sha256:{}", BASE64.encode(hash)))
    }
}

/// All certificates of a file.
fn chain(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(TlsError::EmptyCertificate(path.to_owned())),
        Ok(chain) => Ok(chain),
        Err(cause) => Err(TlsError::Pem {
            path: path.to_owned(),
            cause,
        }),
    }
}
