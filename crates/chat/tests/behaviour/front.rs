//! A server's end of TLS: it passes on to a server that speaks plain text, and refuses whoever
//! doesn't speak TLS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::process::chat;
use crate::secrets;

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = params("an authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let base64 = base64::engine::general_purpose::STANDARD.encode(certificate.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A server's certificate for these names.
    pub(crate) fn signs(&self, names: &[&str]) -> Identity {
        self.signs_params(&params("a server", names))
    }

    /// One whose time is over.
    pub(crate) fn signs_expired(&self, names: &[&str]) -> Identity {
        let mut params = params("a server", names);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.signs_params(&params)
    }

    fn signs_params(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let certificate = signed.der().clone();
        Identity { certificate, key }
    }
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A server's certificate and its key.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Identity {
    /// One that the server has made itself.
    pub(crate) fn own() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = params("a server", &["localhost"]);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, key }
    }

    /// The fingerprint of its key, as other programs compute it.
    pub(crate) fn pin(&self) -> String {
        let key = rcgen::PublicKeyData::subject_public_key_info(&self.key);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key);
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        format!("sha256:{hash}")
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"natter/1".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// See the module. Dropping it cuts all of its connections.
pub(crate) struct Front {
    /// Its address, without a scheme.
    pub(crate) address: String,
    server: String,
    refusals: Arc<AtomicUsize>,
    plain: Arc<Mutex<String>>,
    stop: Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>,
}

impl Front {
    /// Before `server`.
    pub(crate) fn start(identity: &Identity, server: &str) -> Self {
        Self::start_at("127.0.0.1:0", identity, server)
    }

    /// The same at a given address.
    pub(crate) fn start_at(address: &str, identity: &Identity, server: &str) -> Self {
        let acceptor = identity.acceptor();
        let refusals = Arc::new(AtomicUsize::new(0));
        let (bound, address) = {
            let listener = std::net::TcpListener::bind(address).unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            (listener, address)
        };
        let (stop, stopped) = oneshot::channel();
        let plain = Arc::new(Mutex::new(String::new()));
        let backend = Backend {
            server: server.to_owned(),
            refusals: Arc::clone(&refusals),
            plain: Arc::clone(&plain),
        };
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(bound).unwrap();
                tokio::select! {
                    () = accept(listener, acceptor, backend) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address: address.to_string(),
            server: server.to_owned(),
            refusals,
            plain,
            stop: Some((stop, thread)),
        }
    }

    /// Ends it, and cuts its connections: its address.
    pub(crate) fn stop(mut self) -> String {
        self.end();
        std::mem::take(&mut self.address)
    }

    /// Ends it as a crash does, and starts another one at the same address.
    pub(crate) fn restart(self, identity: &Identity) -> Self {
        let server = self.server.clone();
        let address = self.stop();
        Self::start_at(&address, identity, &server)
    }

    /// How often plain text was refused.
    pub(crate) fn refusals(&self) -> usize {
        self.refusals.load(Ordering::SeqCst)
    }

    /// What came in plain text.
    pub(crate) fn plain_text(&self) -> String {
        self.plain.lock().unwrap().clone()
    }

    fn end(&mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            drop(stop);
            thread.join().unwrap();
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a front stands before, and what it has refused.
#[derive(Clone)]
struct Backend {
    server: String,
    refusals: Arc<AtomicUsize>,
    plain: Arc<Mutex<String>>,
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, backend: Backend) {
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let (acceptor, backend) = (acceptor.clone(), backend.clone());
        tokio::spawn(async move {
            let mut first = [0];
            if stream.peek(&mut first).await.is_ok_and(|count| count > 0) && first[0] == b'{' {
                return backend.refuse(stream, peer).await;
            }
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut server = TcpStream::connect(backend.server).await.unwrap();
            // Either side may break off.
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        });
    }
}

impl Backend {
    /// Says that only TLS is spoken here, as the real server does.
    async fn refuse(&self, mut stream: TcpStream, peer: SocketAddr) {
        self.refusals.fetch_add(1, Ordering::SeqCst);
        let text =
            "tls-required: this server speaks TLS only; connect with chat -topic tls://HOST:PORT";
        let end = serde_json::json!({"ip": peer.ip(), "port": peer.port().to_string()});
        let message = serde_json::json!({"topic": "error", "text": text});
        let frame = serde_json::json!({"source": end, "destination": end, "message": message});
        let _ = stream.write_all(format!("{frame}\n").as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut came = Vec::new();
        let _ = stream.read_to_end(&mut came).await;
        let came = String::from_utf8(came).unwrap();
        self.plain.lock().unwrap().push_str(&came);
    }
}

/// Where somebody's configuration is. Removed when it is dropped.
pub(crate) struct Home(PathBuf);

impl Home {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("home-{name}-{}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(folder.join("natter")).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// A file of theirs. The secrets in it are for no output.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        secrets::watch();
        secrets::note_in(text.as_bytes());
        let path = self.0.join("natter").join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Lets nobody else read that file.
    pub(crate) fn makes_private(&self, name: &str) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let path = self.0.join("natter").join(name);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    /// The known servers.
    pub(crate) fn known(&self) -> String {
        std::fs::read_to_string(self.0.join("natter/known_servers")).unwrap_or_default()
    }

    /// Runs `chat` with these arguments.
    pub(crate) fn chat(&self, arguments: &[&str]) -> Command {
        let mut command = chat();
        command.env("XDG_CONFIG_HOME", &self.0).args(arguments);
        command
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
