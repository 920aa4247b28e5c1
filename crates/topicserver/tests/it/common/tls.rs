//! The client's end of TLS, for a test: it reads and writes at the same time, on one thread
//! or two.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use super::uninterrupted::{read_some, uninterrupted};

/// An encrypted connection.
pub struct TlsEnd {
    socket: TcpStream,
    state: Mutex<State>,
    /// Held by the one who writes to the socket, which may take long.
    writing: Mutex<()>,
}

struct State {
    connection: ClientConnection,
    /// Decrypted, and not read yet.
    received: Vec<u8>,
    /// The server has said that it has sent everything.
    has_ended: bool,
}

impl TlsEnd {
    /// Does the handshake. The socket comes back if the server answers in plain, as it does
    /// when it has no place for another connection.
    pub fn over(socket: TcpStream) -> io::Result<Result<Self, TcpStream>> {
        let mut connection = client(config());
        connection.write_tls(&mut &socket)?;
        let mut first = [0];
        let count = uninterrupted(|| socket.peek(&mut first))?;
        match count == 1 && first[0] == b'{' {
            true => Ok(Err(socket)),
            false => Self::go_on(socket, connection).map(Ok),
        }
    }

    /// The same with other settings, and with nothing but TLS.
    #[allow(dead_code, reason = "most suites need no others")]
    pub fn with(socket: TcpStream, config: ClientConfig) -> io::Result<Self> {
        Self::go_on(socket, client(config))
    }

    fn go_on(mut socket: TcpStream, mut connection: ClientConnection) -> io::Result<Self> {
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        let mut state = State {
            connection,
            received: Vec::new(),
            has_ended: false,
        };
        state.take_text()?;
        Ok(Self {
            socket,
            state: Mutex::new(state),
            writing: Mutex::new(()),
        })
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The certificate that the server has shown.
    #[allow(dead_code, reason = "most suites don't look at it")]
    pub fn certificate(&self) -> Vec<u8> {
        let state = self.state.lock().unwrap();
        state.connection.peer_certificates().unwrap()[0].to_vec()
    }

    /// Reads once. An end that the server didn't announce is an error.
    pub fn read_some(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut raw = [0; 16 * 1024];
        loop {
            {
                let mut state = self.state.lock().unwrap();
                let count = state.received.len().min(bytes.len());
                bytes[..count].copy_from_slice(&state.received[..count]);
                state.received.drain(..count);
                if count > 0 || state.has_ended {
                    return Ok(count);
                }
            }
            // Not under the lock: another thread may write.
            let count = read_some(&mut &self.socket, &mut raw)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            {
                let mut state = self.state.lock().unwrap();
                let mut new = &raw[..count];
                while !new.is_empty() {
                    state.connection.read_tls(&mut new)?;
                    state.take_text()?;
                }
            }
            // Whoever writes sends it too. A server that has closed may still be read from.
            if let Ok(writing) = self.writing.try_lock() {
                let _ = self.send(&writing, |_| Ok(()));
            }
        }
    }

    /// What has to be sent so that the server reads this.
    #[allow(dead_code, reason = "most suites send it at once")]
    pub fn seal(&self, text: &[u8]) -> Vec<u8> {
        let connection = &mut self.state.lock().unwrap().connection;
        connection.writer().write_all(text).unwrap();
        let mut bytes = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let writing = self.writing.lock().unwrap();
        for some in bytes.chunks(16 * 1024) {
            self.send(&writing, |connection| connection.writer().write_all(some))?;
        }
        Ok(())
    }

    /// Has the connection say something, and sends that.
    fn send(
        &self,
        _: &MutexGuard<'_, ()>,
        say: impl FnOnce(&mut ClientConnection) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        {
            let connection = &mut self.state.lock().unwrap().connection;
            say(connection)?;
            while connection.wants_write() {
                connection.write_tls(&mut bytes)?;
            }
        }
        (&self.socket).write_all(&bytes)
    }

    /// Says that nothing more comes.
    pub fn finish(&self) -> io::Result<()> {
        let writing = self.writing.lock().unwrap();
        self.send(&writing, |connection| {
            connection.send_close_notify();
            Ok(())
        })?;
        self.socket.shutdown(Shutdown::Write)
    }
}

impl State {
    /// Decrypts what has come.
    fn take_text(&mut self) -> io::Result<()> {
        let processed = self.connection.process_new_packets();
        let state = processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.has_ended |= state.peer_has_closed();
        let length = self.received.len();
        self.received
            .resize(length + state.plaintext_bytes_to_read(), 0);
        self.connection
            .reader()
            .read_exact(&mut self.received[length..])
    }
}

fn client(config: ClientConfig) -> ClientConnection {
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::new(config), name).unwrap()
}

/// The settings of a test's clients: they trust every certificate, if the server has its key.
pub fn config() -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier())
        .with_no_client_auth()
}

/// Trusts every certificate, if the server has its key.
///
/// The benchmark has the same verifier. Neither can import the other: the benchmark depends on
/// no crate here, and the server's tests don't depend on `client`, whose verifier checks more.
pub fn verifier() -> Arc<dyn ServerCertVerifier> {
    Arc::new(AnyCertificate(Arc::new(aws_lc_rs::default_provider())))
}

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
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
