//! A server from its port to its end.

mod open;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use wire::ErrorCode;

use crate::access::AuthFileError;
use crate::admin::{AdminListener, Control};
use crate::announce::{AnnounceError, Announcement, Facts};
use crate::clock::{Clock, SystemClocks, TimeSource};
use crate::cluster::Engine;
use crate::config::{AdminAddress, Config, Gathered};
use crate::http::HttpService;
use crate::identity::NoRandomness;
use crate::listener::{self, Listeners};
use crate::reach;
use crate::reload::{self, Followed, Program, Reloader, Requests};
use crate::state::{self, Kept, ServerState};
use crate::store::OpenError;
use crate::tls::TlsError;
use crate::tls::acceptor::Acceptor;
use crate::vitals::{Pings, Vitals};
use crate::{policy_watch, quorum_watch};

/// A server that has its port and serves once it is [run](Self::run).
pub struct Server {
    listeners: Listeners,
    tcp_addr: Option<SocketAddr>,
    state: Arc<ServerState>,
    reloader: Reloader,
    reloads: Requests,
    followed: Option<Followed>,
    admin: Option<AdminListener>,
    /// Told when an administrator asks for the end.
    drain: Arc<Notify>,
    vitals: Option<Vitals>,
    pings: Pings,
}

/// Sockets that listen already, when a server starts. Each takes the place of what the
/// configuration says of its kind.
#[derive(Debug, Default)]
pub struct Inherited {
    /// For TCP.
    pub tcp: Option<std::net::TcpListener>,
    /// A UNIX socket. Its file stays when the server ends.
    pub unix: Option<std::os::unix::net::UnixListener>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every connection got what was queued for it.
    Drained,
    /// This many connections had not taken what was queued when the time was up.
    CutOff(usize),
}

/// Why a server can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port can't be used.
    #[error("can't listen on port {port} of {}: {}", Where(*.address), advice(.cause))]
    Bind {
        /// The address; `None` for all.
        address: Option<IpAddr>,
        /// The port.
        port: u16,
        /// What the system said.
        cause: io::Error,
    },
    /// The UNIX socket can't be used.
    #[error("can't listen on unix:{}: {cause}", .path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        cause: io::Error,
    },
    /// The place of the admin listener can't be had.
    #[error("can't listen for administrators on {address}: {}", advice(.cause))]
    Admin {
        /// Where to listen.
        address: AdminAddress,
        /// What the system said.
        cause: io::Error,
    },
    /// The history on disk can't be used.
    #[error("{0}")]
    Store(OpenError),
    /// The policy's file can't be used.
    #[error(transparent)]
    Auth(#[from] AuthFileError),
    /// The audit log can't be written.
    #[error("can't write the audit log {}: {cause}", .path.display())]
    AuditLog {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// TLS can't be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system has no random numbers for secrets.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Displays an address, or "all addresses".
struct Where(Option<IpAddr>);

impl std::fmt::Display for Where {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("all addresses"),
        }
    }
}

/// The system's error, and what to do about it.
fn advice(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "it is in use; end the program that has it, or choose another port".into()
        }
        io::ErrorKind::PermissionDenied => {
            "that takes more rights; choose a port from 1024 on".into()
        }
        _ => cause.to_string(),
    }
}

impl Server {
    /// Takes the port, and opens the history if it is to be on disk, which blocks.
    /// Must be called within a tokio runtime.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        Self::bind_with(config, Arc::new(SystemClocks))
    }

    /// Like [`bind`](Self::bind), with the caller's clocks.
    pub fn bind_with(config: Config, clocks: Arc<dyn TimeSource>) -> Result<Self, StartError> {
        Self::open(config, clocks, Inherited::default(), None)
    }

    /// The same with sockets that listen already: who connects while a server is started anew
    /// waits, and isn't refused.
    pub fn bind_to(config: Config, inherited: Inherited) -> Result<Self, StartError> {
        Self::open(config, Arc::new(SystemClocks), inherited, None)
    }

    /// The same for a server that is part of a cluster.
    pub fn bind_in_cluster(
        config: Config,
        inherited: Inherited,
        cluster: Engine,
    ) -> Result<Self, StartError> {
        Self::open(config, Arc::new(SystemClocks), inherited, Some(cluster))
    }

    fn open(
        config: Config,
        clocks: Arc<dyn TimeSource>,
        inherited: Inherited,
        cluster: Option<Engine>,
    ) -> Result<Self, StartError> {
        let listeners = open::listeners(&config, inherited)?;
        let tcp_addr = listeners.tcp.as_ref();
        let tcp_addr = tcp_addr.and_then(|listener| listener.local_addr().ok());
        let admin = open::admin(&config)?;
        let mut access = open::access(&config)?;
        let clock = Clock::new(clocks, config.clock_settle);
        let store = open::store(&config, &clock)?;
        if let Some(store) = &store {
            access.set_secret(&store.secret());
        }
        if let Some(cluster) = &cluster {
            // A login at one server holds at all of them.
            access.set_secret(&cluster.secret);
        }
        let port = tcp_addr.map_or(0, |address| address.port());
        let cluster = cluster.map(|engine| state::part(&config, port, engine, clock.clone()));
        let tls = Acceptor::open(&config)?;
        let http = Arc::new(HttpService::new(&config));
        let (vitals, pings) = Vitals::new(store.clone());
        let (reloader, reloads) = Reloader::new();
        Ok(Self {
            listeners,
            tcp_addr,
            state: ServerState::new(config, Kept { store, cluster }, tls, http, clock, access)?,
            reloader,
            reloads,
            followed: None,
            admin,
            drain: Arc::default(),
            vitals: Some(vitals),
            pings,
        })
    }

    /// What tells whether the server goes on; once.
    pub fn take_vitals(&mut self) -> Option<Vitals> {
        self.vitals.take()
    }

    /// Resolves when an administrator asks for the server's end. It is for whoever runs the
    /// server to end it then, as at any other time.
    pub fn drain_asked(&self) -> impl Future<Output = ()> + Send + 'static {
        let drain = self.drain.clone();
        async move { drain.notified().await }
    }

    /// Where administrators reach it, with the port that it got.
    pub fn admin_address(&self) -> Option<AdminAddress> {
        self.admin.as_ref()?.place().ok()
    }

    /// The fingerprint of its key, as `sha256:BASE64`, if its certificate is self-signed: clients
    /// know the server only by it.
    pub fn fingerprint(&self) -> Option<String> {
        self.state.tls()?.own_fingerprint()
    }

    /// A handle that makes the server read everything again while it runs.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// With a reload the server also follows its options, which this program reads again. Those
    /// in force are `gathered`.
    pub fn follow(&mut self, program: Arc<dyn Program>, gathered: &Gathered) {
        self.followed = Some(Followed::new(program, gathered));
    }

    /// The address that it listens on, with the actual port. The unspecified address and port 0
    /// if there is only a UNIX socket.
    pub fn local_addr(&self) -> SocketAddr {
        let nowhere = (Ipv4Addr::UNSPECIFIED, 0).into();
        self.tcp_addr.unwrap_or(nowhere)
    }

    /// The same; `None` if there is only a UNIX socket.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.tcp_addr
    }

    /// The path of the UNIX socket that it listens on.
    pub fn socket_path(&self) -> Option<&Path> {
        self.listeners.unix.as_ref()?.path()
    }

    /// Logs which addresses to open, and who may read what there.
    pub fn log_reach(&self) {
        reach::log(self.state.access(), self.tcp_addr, self.socket_path());
    }

    /// Serves until `shutdown` resolves, and then lets everyone have what is queued for them,
    /// for as long as the configuration allows.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Ended {
        let admin = self.serve_admin();
        tokio::pin!(admin);
        let announcement = self.announce();
        // Other servers need this one until it has ended.
        let part = AbortOnDropHandle::new(tokio::spawn({
            let state = self.state.clone();
            async move { state.take_part().await }
        }));
        tokio::select! {
            () = listener::accept_all(self.listeners, self.state.clone(), self.pings) => {}
            () = self.state.registry().keep_to_budget() => {}
            () = self.state.registry().expire_ids() => {}
            () = self.state.clock().watch() => {}
            () = policy_watch::run(&self.state) => {}
            () = quorum_watch::run(&self.state) => {}
            () = watch_certificate(&self.state) => {}
            () = reload::run(&self.state, self.reloads, self.followed) => {}
            () = &mut admin => {}
            () = watch_announcement(announcement.as_ref()) => {}
            () = announced_end(&self.state, shutdown) => {}
        }
        if let Some(announcement) = announcement {
            announcement.withdraw().await;
        }
        let ended = tokio::select! {
            ended = drain(&self.state) => ended,
            () = admin => Ended::Drained,
        };
        if let Some(store) = self.state.store() {
            store.close().await;
        }
        self.state.end_part();
        drop(part);
        ended
    }

    /// Announces the server, with `--announce`. Without success it serves all the same.
    fn announce(&self) -> Option<Announcement> {
        let config = self.state.config();
        if !config.announce {
            return None;
        }
        let announced = match self.tcp_addr {
            None => Err(AnnounceError::NoPort),
            Some(listening) => Announcement::start(&Facts {
                listening,
                host: config.host_name.as_deref(),
                has_tls: self.state.tls().is_some(),
                fingerprint: self.fingerprint(),
            }),
        };
        let failed = |error| tracing::warn!("the server isn't announced: {error}");
        announced.map_err(failed).ok()
    }

    /// Answers administrators for ever.
    fn serve_admin(&mut self) -> impl Future<Output = ()> + 'static {
        let control = Arc::new(Control {
            state: self.state.clone(),
            reloader: self.reloader(),
            drain: self.drain.clone(),
        });
        let admin = self.admin.take();
        async move {
            match admin {
                Some(admin) => admin.serve(control).await,
                None => std::future::pending().await,
            }
        }
    }
}

/// Logs what happens to an announcement.
async fn watch_announcement(announcement: Option<&Announcement>) {
    match announcement {
        Some(announcement) => announcement.watch().await,
        None => std::future::pending().await,
    }
}

/// Resolves when the server is to end, and that has been announced for long enough.
async fn announced_end(state: &ServerState, shutdown: impl Future<Output = ()>) {
    shutdown.await;
    state.start_draining();
    state.leave_cluster();
    tokio::time::sleep(state.config().drain_announce).await;
}

/// Lets everyone have what is queued for them, and closes their connections.
async fn drain(state: &ServerState) -> Ended {
    let connections = state.connections();
    let config = state.config();
    let (timeout, spread) = (config.drain_timeout, config.drain_spread);
    let count = connections.count();
    tracing::info!(
        "ending: {count} connections are closed over {spread:?} when they have what is queued for \
         them, for which they have {timeout:?}"
    );
    let drain = async {
        state.registry().barrier().await;
        if !spread.is_zero() {
            let servers = state.other_servers();
            connections.ask_to_reconnect(spread, &servers).await;
        }
        let (code, text) = (ErrorCode::ShuttingDown, "the server is ending");
        connections.close_all(code, text, spread).await;
        connections.emptied().await;
    };
    match tokio::time::timeout(timeout + spread, drain).await {
        Ok(()) => Ended::Drained,
        Err(_) => match connections.count_waiting() {
            0 => Ended::Drained,
            waiting => Ended::CutOff(waiting),
        },
    }
}

/// Reads the certificate again from time to time.
async fn watch_certificate(state: &ServerState) {
    loop {
        let tls = state.tls();
        let watch = async {
            match &tls {
                Some(tls) => tls.watch().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = watch => {}
            () = state.tls_replaced() => {}
        }
    }
}
