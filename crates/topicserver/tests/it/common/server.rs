//! A server within the test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use topicserver::{CertificateSource, Config, Ended, Server, SystemClocks, TimeSource};

use super::{Client, LIMIT, is_over_tls, secrets};

/// Where servers of tests keep what they make themselves.
pub fn state_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// Whether a test is left out because it is about a server alone; says so.
pub fn is_left_out(why: &str) -> bool {
    let is_left_out = is_in_cluster();
    if is_left_out {
        eprintln!("skipped in a cluster: {why}");
    }
    is_left_out
}

/// Milliseconds since the Unix epoch.
#[cfg(feature = "simulation")]
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.unwrap().as_millis()).unwrap()
}

/// A server on a port of its own. It stops when this is dropped.
pub struct TestServer {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Ended>>,
    runtime: Option<Runtime>,
    audit: Option<PathBuf>,
    /// The others of its cluster. Clients come to each in turn.
    others: Vec<Self>,
    turn: AtomicUsize,
    /// Where their simulated log is.
    worlds: Option<Runtime>,
}

/// Whether this is the suite whose servers are clusters of three.
pub fn is_in_cluster() -> bool {
    env!("CARGO_CRATE_NAME") == "in_cluster"
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
    pub fn with_clocks(config: Config, clocks: Arc<dyn TimeSource>) -> Self {
        #[cfg(feature = "simulation")]
        if is_in_cluster() && config.data.is_none() {
            return Self::cluster(&config, 3);
        }
        Self::bound(config, |config| Server::bind_with(config, clocks).unwrap())
    }

    /// Several servers that are one, as far as their clients see.
    #[cfg(feature = "simulation")]
    fn cluster(config: &Config, count: usize) -> Self {
        use topicserver::simulation::{Faults, World};
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let world = {
            let _within = runtime.enter();
            let world = World::new(1, Faults::default());
            world.set_clock(now());
            world
        };
        let server = |node| Self::in_cluster(config.clone(), world.engine(node));
        let mut all: Vec<_> = (0..count).map(server).collect();
        let mut first = all.remove(0);
        first.others = all;
        first.worlds = Some(runtime);
        first
    }

    /// As one of several servers.
    #[cfg(feature = "simulation")]
    pub fn in_cluster(config: Config, cluster: topicserver::Engine) -> Self {
        let inherited = topicserver::Inherited::default();
        let bind = |config| Server::bind_in_cluster(config, inherited, cluster).unwrap();
        Self::bound(config, bind)
    }

    fn bound(mut config: Config, bind: impl FnOnce(Config) -> Server) -> Self {
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
            bind(config)
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
            others: Vec::new(),
            turn: AtomicUsize::new(0),
            worlds: None,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        let turn = self.turn.fetch_add(1, Relaxed) % (self.others.len() + 1);
        match turn.checked_sub(1) {
            Some(other) => self.others[other].addr,
            None => self.addr,
        }
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.addr())
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
        self.others.iter_mut().for_each(Self::stop);
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
        for runtime in self.runtime.take().into_iter().chain(self.worlds.take()) {
            runtime.shutdown_background();
        }
        if let Some(audit) = &self.audit {
            secrets::see_file("the audit log", audit);
        }
        secrets::expect_no_leak();
    }
}
