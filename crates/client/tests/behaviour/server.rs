//! A topic server in a process of its own, which can be killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use topicserver::{CertificateSource, Config, Server, TlsConfig, TlsMode};

const PORT: &str = "TEST_PORT";
const DATA: &str = "TEST_DATA";
const TLS: &str = "TEST_TLS";

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Plain,
    /// TLS, and nothing else.
    Tls,
}

/// A running server. Dropping it kills it and removes its data.
pub(crate) struct Killable {
    child: Child,
    /// What to give to clients.
    pub(crate) address: String,
    data: PathBuf,
    speaks: Speaks,
}

impl Killable {
    /// Starts one that keeps its history on disk.
    pub(crate) fn start(name: &str) -> Self {
        Self::speaking(name, Speaks::Plain)
    }

    /// The same, over TLS or not.
    pub(crate) fn speaking(name: &str, speaks: Speaks) -> Self {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("client-{name}-{}", std::process::id()));
        let (child, address) = spawn("0", &data, speaks);
        Self {
            child,
            address,
            data,
            speaks,
        }
    }

    /// Kills it as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Loses its data.
    pub(crate) fn forget(&self) {
        std::fs::remove_dir_all(&self.data).unwrap();
    }

    /// Has another one take over its data, on another port.
    pub(crate) fn start_elsewhere(&mut self, port: &str) {
        (self.child, self.address) = spawn(port, &self.data, self.speaks);
    }

    /// Starts it again on the same port, with the same data.
    pub(crate) fn start_again(&mut self) {
        let before = self.address.clone();
        let address = before.split('#').next().unwrap();
        let port = address.rsplit(':').next().unwrap();
        (self.child, self.address) = spawn(port, &self.data, self.speaks);
        assert_eq!(self.address, before);
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Runs this very program as a server: its process, and its address.
fn spawn(port: &str, data: &Path, speaks: Speaks) -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    if speaks == Speaks::Tls {
        command.env(TLS, "");
    }
    let mut child = command
        .args(["--ignored", "--exact", "--nocapture", "server::is_a_server"])
        .env(PORT, port)
        .env(DATA, data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().expect("the server has ended").unwrap();
        if let Some(address) = line.strip_prefix("listening on ") {
            break address.to_owned();
        }
    };
    // What else it says is read, so that it never blocks.
    std::thread::spawn(move || lines.for_each(drop));
    (child, address)
}

#[test]
#[ignore = "is the server of the other tests, in a process of its own"]
fn is_a_server() {
    let config = Config {
        bind: Some("127.0.0.1".parse().unwrap()),
        port: std::env::var(PORT).unwrap().parse().unwrap(),
        data: Some(std::env::var_os(DATA).unwrap().into()),
        tls: TlsConfig {
            mode: std::env::var_os(TLS).map(|_| TlsMode::Required),
            certificate: std::env::var_os(TLS)
                .map(|_| CertificateSource::SelfSigned { names: Vec::new() }),
            ..TlsConfig::default()
        },
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::bind(config).unwrap();
        let address = server.local_addr();
        match server.fingerprint() {
            Some(fingerprint) => eprintln!("listening on tls://{address}#{fingerprint}"),
            None => eprintln!("listening on {address}"),
        }
        server.run(std::future::pending()).await
    });
}
