//! A server within the test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use topicserver::{CertificateSource, Config, Ended, Server, SystemClocks, TimeSource};

use super::{Client, LIMIT, is_over_tls, secrets};

/// Where servers of tests keep what they make themselves.
pub fn state_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// A server on a port of its own. It stops when this is dropped.
pub struct TestServer {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Ended>>,
    runtime: Option<Runtime>,
    audit: Option<PathBuf>,
}

impl TestServer {
    /// With the limits that everyone has by default.
    pub fn start() -> Self {
        Self::with(Config::default())
    }

    /// On a port that must be free.
    pub fn at_port(port: u16) -> Self {
        Self::with(Config {
            port,
            ..Config::default()
        })
    }

    pub fn with(config: Config) -> Self {
        Self::with_clocks(config, Arc::new(SystemClocks))
    }

    /// With clocks of the test's.
    pub fn with_clocks(mut config: Config, clocks: Arc<dyn TimeSource>) -> Self {
        config.bind = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        // A client that is to read late reads very late on a busy machine.
        if config.write_timeout == Config::default().write_timeout {
            config.write_timeout = 100 * LIMIT;
        }
        let audit = config.audit_log.clone();
        if let Some(accounts) = &config.auth {
            secrets::watch_this_process();
            secrets::note_file(accounts);
        }
        if is_over_tls() && config.tls.certificate.is_none() {
            config.tls.certificate = Some(CertificateSource::SelfSigned { names: Vec::new() });
        }
        config
            .tls
            .state_directory
            .get_or_insert_with(state_directory);
        let keeps = config.data.as_ref().or(config.tls.state_directory.as_ref());
        let key = keeps.map(|directory| directory.join("tls/key.pem"));
        #[cfg(unix)]
        if super::is_over_unix() {
            config.unix.get_or_insert_with(super::socket_path);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let server = {
            let _within = runtime.enter();
            Server::bind_with(config, clocks).unwrap()
        };
        key.iter().for_each(|key| secrets::note_file(key));
        let addr = server.local_addr();
        #[cfg(unix)]
        if let Some(path) = server.socket_path() {
            super::note_socket(addr.port(), path);
        }
        let (stop, stopped) = oneshot::channel();
        let serving = runtime.spawn(server.run(async {
            // A dropped sender stops it too.
            let _ = stopped.await;
        }));
        Self {
            addr,
            stop: Some(stop),
            serving: Some(serving),
            runtime: Some(runtime),
            audit,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.addr)
    }

    /// A client whose registration has taken effect.
    pub fn join(&self, topics: &[&str]) -> Client {
        let mut client = self.connect();
        client.join(topics);
        client
    }

    /// The same, by a registration that the smallest limit of a frame lets pass.
    pub fn join_briefly(&self, topic: &str) -> Client {
        let mut client = self.connect();
        client.send(format!("{{\"topics\":\"{topic}\"}}").as_bytes());
        client.sync();
        client
    }

    /// Asks the server to end.
    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// How it ended.
    pub fn ended(&mut self) -> Ended {
        let serving = self.serving.take().unwrap();
        let runtime = self.runtime.as_ref().unwrap();
        runtime
            .block_on(async { tokio::time::timeout(LIMIT, serving).await })
            .expect("the server didn't end in time")
            .unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if let Some(audit) = &self.audit {
            secrets::see_file("the audit log", audit);
        }
        secrets::expect_no_leak();
    }
}
