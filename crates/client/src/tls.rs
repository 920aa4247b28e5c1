//! TLS: which servers a client trusts, and the handshake.
//!
//! The system's authorities are asked first. A server that has signed its certificate itself
//! is known by its key. Decides nothing about when TLS is spoken: that is the dialer's.

mod error;
mod verify;

use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use error::{KeyError, TlsError};

use crate::pin::Pin;
use verify::Verifier;

/// The ALPN name of the protocol, by which a server can tell it from HTTP.
const PROTOCOL: &[u8] = b"natter/1";

/// Which servers a client trusts.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Whose certificates are trusted. The system's authorities by default.
    pub authorities: Authorities,
    /// The trusted keys of servers with a self-signed certificate.
    pub pins: Vec<Pin>,
    /// What to do with the key of such a server if there is no pin.
    pub unknown: UnknownKey,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, Default)]
pub enum Authorities {
    /// The authorities that the system trusts. A system may have none.
    #[default]
    System,
    /// These, and no others.
    Certificates(Certificates),
}

/// Certificates of authorities.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<RootCertStore>);

/// What to do with an unknown key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownKey {
    /// The connection fails with [`KeyError::Unknown`].
    #[default]
    Refuse,
    /// It is accepted, and from then on it is the only one.
    Accept,
}

/// How a server has proven who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The server's key.
    pub key: Pin,
    /// Why that key is the right one.
    pub by: ProvenBy,
}

/// Why a server's key is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvenBy {
    /// A trusted authority vouches for it.
    Authority,
    /// The key is pinned.
    Pin,
    /// It is the first one that was seen, and [`UnknownKey::Accept`] was set.
    FirstUse,
}

/// Why a file has no certificates of authorities.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CertificatesError {
    /// There is none in it.
    #[error("there is no certificate in it: it begins with -----BEGIN CERTIFICATE-----")]
    None,
    /// It is no PEM.
    #[error("it is no PEM: {0}")]
    Pem(Arc<rustls::pki_types::pem::Error>),
    /// A certificate can't be used.
    #[error("a certificate in it can't be used: {0}")]
    Certificate(rustls::Error),
}

impl Certificates {
    /// Reads the certificates of a PEM file.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificatesError> {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate =
                certificate.map_err(|error| CertificatesError::Pem(Arc::new(error)))?;
            store
                .add(certificate)
                .map_err(CertificatesError::Certificate)?;
        }
        match store.is_empty() {
            true => Err(CertificatesError::None),
            false => Ok(Self(Arc::new(store))),
        }
    }
}

/// Makes TLS connections to one server.
#[derive(Clone, Debug)]
pub struct Tls {
    trust: Trust,
    /// Reading the system's authorities takes a while, so it is done once.
    authorities: Arc<OnceLock<Option<Arc<dyn ServerCertVerifier>>>>,
}

impl Tls {
    /// Trusts servers as `trust` says.
    pub fn new(trust: Trust) -> Self {
        Self {
            trust,
            authorities: Arc::default(),
        }
    }

    /// The same for a server that may have these keys, too.
    pub(crate) fn with_pins(mut self, pins: &[Pin]) -> Self {
        self.trust.pins.extend(pins);
        self
    }

    /// The same for a server that one of ours has named. It has one of these keys, or one that our
    /// own may have, or a certificate of a trusted authority; nobody has seen it before, so none
    /// of its keys is accepted at first use.
    pub(crate) fn for_named(&self, pins: &[Pin]) -> Self {
        let mut named = self.clone().with_pins(pins);
        named.trust.unknown = UnknownKey::Refuse;
        named
    }

    /// Which servers are trusted.
    #[cfg(test)]
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// From now on the server must have this key, or a certificate of a trusted authority.
    pub(crate) fn pin(&mut self, key: Pin) {
        self.trust.pins = vec![key];
    }

    /// Does the handshake over a connection.
    ///
    /// Cancel safe: dropping it closes the connection.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Proof), TlsError> {
        let name = server_name(host)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(Verifier {
            authorities: self.authorities(&provider),
            algorithms: provider.signature_verification_algorithms,
            pins: self.trust.pins.clone(),
            unknown: self.trust.unknown,
            proof: OnceLock::new(),
        });
        let config = config(provider, Arc::clone(&verifier) as _)?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await?;
        let proof = verifier.proof.get().copied();
        // A handshake without a certificate isn't offered.
        let proof = proof.ok_or(rustls::Error::NoCertificatesPresented)?;
        Ok((stream, proof))
    }

    /// The verifier for certificates of authorities; `None` if there are no authorities.
    fn authorities(&self, provider: &Arc<CryptoProvider>) -> Option<Arc<dyn ServerCertVerifier>> {
        let make = || -> Option<Arc<dyn ServerCertVerifier>> {
            let provider = Arc::clone(provider);
            match &self.trust.authorities {
                // This fails where the system has no authorities.
                Authorities::System => rustls_platform_verifier::Verifier::new(provider)
                    .ok()
                    .map(|verifier| Arc::new(verifier) as _),
                Authorities::Certificates(Certificates(store)) => {
                    let store = Arc::clone(store);
                    WebPkiServerVerifier::builder_with_provider(store, provider)
                        .build()
                        .ok()
                        .map(|verifier| verifier as _)
                }
            }
        };
        self.authorities.get_or_init(make).clone()
    }
}

fn config(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // Each connection sees the server's certificate, so that a key that has changed is
    // noticed. Resuming would save next to nothing: the key exchange is what costs.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The name that the certificate must be for: an IP address is matched as such.
fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    // The zone of a link-local address only means something on this machine.
    let (name, _zone) = host.split_once('%').unwrap_or((host, ""));
    let bad_name = |_| TlsError::BadName(name.to_owned());
    ServerName::try_from(name.to_owned()).map_err(bad_name)
}

#[cfg(test)]
mod tests;
