//! TLS on the same port: certificates, handshakes, and connections that are encrypted.
//!
//! A connection that begins with a handshake is accepted here and becomes a
//! [`TlsStream`](stream::TlsStream), whose two ends a session and an outbox use like those of a
//! socket. Nothing else in the server knows about encryption.

pub(crate) mod acceptor;
mod certificate;
mod current;
mod error;
pub(crate) mod handshake;
pub(crate) mod reader;
mod records;
mod self_signed;
pub(crate) mod stream;
mod x509;

pub use error::TlsError;
