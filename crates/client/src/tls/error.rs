//! Why there is no TLS with a server.

use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError};

use crate::pin::Pin;

/// Why a handshake failed. Nothing was sent but the handshake.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The server's key is unusable as proof: see [`KeyError`].
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An authority vouches for the server that is not among the trusted ones.
    #[error("its certificate is from an authority that isn't trusted here")]
    UnknownIssuer,
    /// The certificate's time is over.
    #[error("its certificate has expired")]
    Expired,
    /// The certificate's time has not begun.
    #[error("its certificate isn't valid yet")]
    NotValidYet,
    /// The certificate is for other names or addresses.
    #[error("its certificate is for another name")]
    WrongName,
    /// Anything else about the certificate.
    #[error("its certificate can't be used: {0}")]
    Certificate(CertificateError),
    /// What came is not TLS.
    #[error("it doesn't speak TLS")]
    NotTls,
    /// The server has ended the handshake.
    #[error("it refused the handshake: {0:?}")]
    Refused(AlertDescription),
    /// The server has closed the connection within the handshake.
    #[error("it closed the connection during the handshake")]
    Closed,
    /// The host can't stand in a certificate.
    #[error("{0:?} is no name that a certificate can be for")]
    BadName(String),
    /// The connection failed.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// The server breaks the protocol's rules, or knows nothing that we know.
    #[error("{0}")]
    Protocol(rustls::Error),
}

/// Why a server's key proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The server vouches for itself, and its key is not known.
    #[error("its key is not known: {found}")]
    Unknown {
        /// The key that it has.
        found: Pin,
    },
    /// The server vouches for itself, and has another key than the known one.
    #[error("its key is not the known one, but {found}")]
    Changed {
        /// The known keys, at least one.
        known: Vec<Pin>,
        /// The key that it has.
        found: Pin,
    },
    /// An authority vouches for the server, and there are no trusted ones.
    #[error("its certificate is from an authority, and none is trusted here")]
    NoAuthorities,
}

impl TlsError {
    /// Whether another attempt fails too, unless the trust is changed.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Key(_) | Self::BadName(_))
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => error.into(),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            rustls::Error::AlertReceived(alert) => Self::Refused(alert),
            error => Self::Protocol(error),
        }
    }
}

impl From<CertificateError> for TlsError {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::Other(OtherError(ref inner)) => match inner.downcast_ref() {
                Some(error) => Self::Key(KeyError::clone(error)),
                None => Self::Certificate(error),
            },
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotValidYet
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::WrongName
            }
            error => Self::Certificate(error),
        }
    }
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(error) => rustls::Error::clone(error).into(),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Io(Arc::new(error)),
        }
    }
}

impl From<KeyError> for rustls::Error {
    fn from(error: KeyError) -> Self {
        CertificateError::Other(OtherError(Arc::new(error))).into()
    }
}
