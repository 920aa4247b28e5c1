//! Why a server can't speak TLS.

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;

/// Why a server can't speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// TLS is asked for, and there is no certificate.
    #[error(
        "--tls needs a certificate: give --tls-cert and --tls-key, or --tls-self-signed to have \
         one made"
    )]
    NoCertificate,
    /// A file can't be read.
    #[error("can't read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file isn't PEM.
    #[error("{} is no PEM file: {cause}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        cause: pem::Error,
    },
    /// A file has no certificate.
    #[error(
        "there is no certificate in {}; a PEM file has a line -----BEGIN CERTIFICATE-----",
        .0.display()
    )]
    EmptyCertificate(PathBuf),
    /// A file has no key.
    #[error(
        "there is no private key in {}; a PEM file has a line -----BEGIN PRIVATE KEY-----, and \
         one that is encrypted can't be used",
        .0.display()
    )]
    EmptyKey(PathBuf),
    /// A certificate can't be read.
    #[error("the first certificate in {} is damaged", .0.display())]
    BadCertificate(PathBuf),
    /// A key can't be used.
    #[error("the private key in {} can't be used: {cause}", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: rustls::Error,
    },
    /// Certificate and key don't belong together.
    #[error(
        "the private key in {} is not the key of the first certificate in {}",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's.
        key: PathBuf,
    },
    /// There is no directory for a self-signed certificate.
    #[error(
        "there is no directory for the key of --tls-self-signed: give --data, or set \
         XDG_STATE_HOME or HOME"
    )]
    NoDirectory,
    /// A file can't be written.
    #[error("can't write {}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A certificate can't be made.
    #[error("can't make a certificate: {0}; is each name of --tls-self-signed a host's name?")]
    Make(#[from] rcgen::Error),
    /// The library refuses its settings.
    #[error("can't set up TLS: {0}")]
    Library(#[from] rustls::Error),
}
