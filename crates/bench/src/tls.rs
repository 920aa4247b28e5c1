//! The client's end of TLS, and a certificate for the server.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// What all connections have in common.
static CONFIG: LazyLock<Result<Arc<ClientConfig>, Error>> = LazyLock::new(config);

/// A connection's encryption.
pub(crate) struct Session(Box<ClientConnection>);

impl Session {
    /// Does the handshake, and waits for it.
    pub(crate) fn begin(stream: &mut TcpStream) -> Result<Self> {
        let config = CONFIG.clone().context("setting up TLS")?;
        let name = ServerName::try_from("localhost").context("naming the server")?;
        let mut session = ClientConnection::new(config, name).context("beginning TLS")?;
        // A burst is sent at once.
        session.set_buffer_limit(None);
        while session.is_handshaking() {
            session.complete_io(stream).context("the TLS handshake")?;
        }
        Ok(Self(Box::new(session)))
    }

    /// Appends what has to be sent so that the server reads `text`.
    pub(crate) fn seal(&mut self, text: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.0.writer().write_all(text)?;
        while self.0.wants_write() {
            self.0.write_tls(out)?;
        }
        Ok(())
    }

    /// Appends the text of what has arrived, as far as it is whole.
    pub(crate) fn open(&mut self, mut sealed: &[u8], text: &mut Vec<u8>) -> io::Result<()> {
        while !sealed.is_empty() {
            self.0.read_tls(&mut sealed)?;
            let state = self.0.process_new_packets().map_err(io::Error::other)?;
            let (start, count) = (text.len(), state.plaintext_bytes_to_read());
            text.resize(start + count, 0);
            self.0.reader().read_exact(&mut text[start..])?;
        }
        Ok(())
    }
}

fn config() -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.clone()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Trusts every certificate, because the benchmark has just made it. The server's tests have
/// the same verifier; the benchmark keeps its own, because it depends on no other crate here.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Writes a certificate and its key into a folder: their files.
pub(crate) fn write_certificate(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).context("making a certificate")?;
    let files = (folder.join("certificate.pem"), folder.join("key.pem"));
    let key = made.signing_key.serialize_der();
    for (file, label, der) in [
        (&files.0, "CERTIFICATE", made.cert.der().as_ref()),
        (&files.1, "PRIVATE KEY", &key),
    ] {
        let text = BASE64.encode(der);
        let text = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        fs::write(file, text).context("writing a certificate")?;
    }
    Ok(files)
}
