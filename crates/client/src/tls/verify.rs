//! Verifies a server's certificate.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::EndEntityCert;

use super::error::KeyError;
use super::{Proof, ProvenBy, UnknownKey};
use crate::pin::Pin;

/// Verifies the certificate of one connection.
///
/// An authority's word comes first. Pins count only for a certificate that a server has
/// signed itself: an authority's certificate that has expired or is for another name stays an
/// error, whatever is pinned.
#[derive(Debug)]
pub(super) struct Verifier {
    /// The verifier for certificates of authorities; there may be none.
    pub(super) authorities: Option<Arc<dyn ServerCertVerifier>>,
    /// Verifies that the server has the certificate's key.
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// The keys that a server without an authority may have.
    pub(super) pins: Vec<Pin>,
    /// What to do with any other key.
    pub(super) unknown: UnknownKey,
    /// What was found.
    pub(super) proof: OnceLock<Proof>,
}

impl Verifier {
    /// Checks whether the key of a self-signed certificate is known.
    fn verify_key(&self, found: Pin) -> Result<ProvenBy, KeyError> {
        if self.pins.contains(&found) {
            return Ok(ProvenBy::Pin);
        }
        match self.unknown {
            _ if !self.pins.is_empty() => Err(KeyError::Changed {
                known: self.pins.clone(),
                found,
            }),
            UnknownKey::Accept => Ok(ProvenBy::FirstUse),
            UnknownKey::Refuse => Err(KeyError::Unknown { found }),
        }
    }
}

/// Whether the certificate looks self-signed. Nobody has checked its name, its dates or its
/// purpose, so only its key counts.
fn is_self_signed(certificate: &EndEntityCert<'_>) -> bool {
    certificate.issuer() == certificate.subject()
}

/// An authority that was replaced by another one of the same name counts as unknown.
fn by_another_of_that_name(error: Error) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            CertificateError::UnknownIssuer.into()
        }
        error => error,
    }
}

/// An authority vouches for the certificate, and it is for another name.
fn is_for_another_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = match &self.authorities {
            None => Err(KeyError::NoAuthorities.into()),
            Some(authorities) => authorities
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(|_| ProvenBy::Authority)
                .map_err(by_another_of_that_name),
        };
        let certificate = EndEntityCert::try_from(end_entity)
            .map_err(|_| Error::from(CertificateError::BadEncoding))?;
        let key = Pin::of_key(&certificate.subject_public_key_info());
        let by = match verified {
            Err(error) if is_self_signed(&certificate) && !is_for_another_name(&error) => {
                self.verify_key(key)?
            }
            verified => verified?,
        };
        // There is one certificate in a connection.
        let _ = self.proof.set(Proof { key, by });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
