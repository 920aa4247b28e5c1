//! The state that all TLS connections share: the settings, the certificate in force, and how many
//! handshakes are computed at once.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, version};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Semaphore;

use crate::clock;
use crate::config::{Config, TlsMode, TlsVersion};
use crate::tls::TlsError;
use crate::tls::current::{Current, Reloaded};
use crate::tls::handshake::{self, Accepted, HandshakeError};
use crate::tls::stream::TlsStream;

/// The protocols that clients may offer by ALPN: frames, or HTTP. The first bytes decide all the
/// same. A client that offers only other protocols has reached the wrong server.
const PROTOCOLS: [&[u8]; 2] = [b"natter/1", b"http/1.1"];

/// Accepts connections that speak TLS.
pub(crate) struct Acceptor {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
    mode: TlsMode,
    computing: Semaphore,
    handshake_timeout: Duration,
    check_interval: Duration,
    hsts: Option<Duration>,
}

impl Acceptor {
    /// Reads the certificate, which blocks. `None`: the server doesn't speak TLS.
    pub(crate) fn open(config: &Config) -> Result<Option<Arc<Self>>, TlsError> {
        let mode = config.tls.mode();
        let source = match (mode, &config.tls.certificate) {
            (TlsMode::Off, _) => return Ok(None),
            (_, None) => return Err(TlsError::NoCertificate),
            (_, Some(source)) => source,
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current = Arc::new(Current::open(source, config, provider.clone())?);
        let versions = match config.tls.min_version {
            TlsVersion::Tls12 => &[&version::TLS13, &version::TLS12][..],
            TlsVersion::Tls13 => &[&version::TLS13],
        };
        let mut settings = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        settings.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        // Sessions aren't resumed: with an ECDSA key, that saves next to nothing. And a ticket
        // that a client of TLS 1.3 hasn't read when it closes makes its system reset the
        // connection, which would destroy what it sent last.
        settings.session_storage = Arc::new(NoServerSessionStorage {});
        settings.send_tls13_tickets = 0;
        if config.tls.hsts.is_some() && current.is_self_issued() {
            tracing::warn!("--hsts has no effect with a self-signed certificate");
        }
        Ok(Some(Arc::new(Self {
            config: Arc::new(settings),
            current,
            mode,
            computing: Semaphore::new(config.tls.max_handshakes),
            // A handshake may not take longer than a registration.
            handshake_timeout: config
                .tls
                .handshake_timeout
                .min(config.registration_timeout),
            check_interval: config.tls.check_interval,
            hsts: config.tls.hsts,
        })))
    }

    /// Whether [`open`](Self::open) would probably succeed. Creates nothing.
    pub(crate) fn look(config: &Config) -> Result<(), TlsError> {
        match (config.tls.mode(), &config.tls.certificate) {
            (TlsMode::Off, _) => Ok(()),
            (_, None) => Err(TlsError::NoCertificate),
            (_, Some(source)) => {
                let provider = aws_lc_rs::default_provider();
                Current::look(source, config, &provider)
            }
        }
    }

    /// Whether connections must speak TLS.
    pub(crate) fn is_required(&self) -> bool {
        self.mode == TlsMode::Required
    }

    /// The fingerprint of the key, if the certificate is self-signed.
    pub(crate) fn own_fingerprint(&self) -> Option<String> {
        self.current.own_fingerprint()
    }

    /// When the certificate in force ends, in seconds since 1970.
    pub(crate) fn expiry(&self) -> u64 {
        self.current.expiry()
    }

    /// How long browsers should use only https. Never sent with a self-signed certificate: if it
    /// were lost, browsers would be locked out of every port of the host.
    pub(crate) fn hsts(&self) -> Option<Duration> {
        self.hsts.filter(|_| !self.current.is_self_issued())
    }

    /// Answers a handshake of which the `first` bytes were read already.
    pub(crate) async fn accept(
        &self,
        socket: &TcpStream,
        first: &[u8],
    ) -> Result<Secured, HandshakeError> {
        let accepting = handshake::accept(self.config.clone(), &self.computing, socket, first);
        match tokio::time::timeout(self.handshake_timeout, accepting).await {
            Ok(accepted) => accepted.map(|accepted| Secured(Box::new(accepted))),
            Err(_) => Err(HandshakeError::Late(self.handshake_timeout)),
        }
    }

    /// Ends a connection whose handshake failed.
    pub(crate) async fn hang_up(&self, socket: &TcpStream) {
        handshake::hang_up(socket).await;
    }

    /// Reads the certificate again from time to time; for ever.
    pub(crate) async fn watch(&self) {
        loop {
            self.current.warn_of_the_end(clock::date());
            tokio::time::sleep(self.check_interval).await;
            self.reload(Reason::Time).await;
        }
    }

    /// Whether the certificate's files can be used as they are now, which blocks.
    pub(crate) fn look_again(&self) -> Result<(), TlsError> {
        self.current.look_again()
    }

    /// Reads the certificate again. Returns whether there is a new one.
    pub(crate) async fn reload_now(&self) -> bool {
        let reloaded = self.reload(Reason::Asked).await;
        self.current.warn_of_the_end(clock::date());
        reloaded == Some(Reloaded::Replaced)
    }

    async fn reload(&self, reason: Reason) -> Option<Reloaded> {
        let current = self.current.clone();
        // It fails only if the thread panics, which is logged.
        let reloading = tokio::task::spawn_blocking(move || current.reload());
        let reloaded = reloading.await.ok()?;
        match (&reloaded, reason) {
            (Reloaded::Replaced, _) => tracing::info!("new connections get the new certificate"),
            (Reloaded::Unchanged, Reason::Asked) => tracing::info!("the certificate is unchanged"),
            (Reloaded::Kept, Reason::Asked) => {
                tracing::warn!("the certificate before stays in force");
            }
            (Reloaded::Unchanged | Reloaded::Kept, Reason::Time) => {}
        }
        Some(reloaded)
    }
}

/// Why the files are read again.
#[derive(Clone, Copy)]
enum Reason {
    Asked,
    Time,
}

/// A connection whose handshake is done, without its socket.
pub(crate) struct Secured(Box<Accepted>);

impl Secured {
    pub(crate) fn into_stream(self, socket: OwnedReadHalf) -> Arc<TlsStream> {
        TlsStream::new(socket, *self.0)
    }
}
