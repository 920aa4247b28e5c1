//! Accepts connections up to the limits, and waits when descriptors run out. Reads and writes
//! nothing itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, unix};
use tokio::sync::Semaphore;
use wire::{ErrorCode, Message};

use crate::config::Config;
use crate::connections::Refusal;
use crate::linger;
use crate::metrics::{self, Count};
use crate::outbox::Outbox;
use crate::outbox::transport::{TcpWriter, UnixWriter};
use crate::peer::{self, Shown};
use crate::session::Session;
use crate::socket;
use crate::state::{ConnectionGuard, ServerState};
use crate::unix_socket::{self, SocketFile};
use crate::vitals::Pings;

mod proxied;

/// Connections that may wait to be accepted. With fewer, a storm of joins loses
/// SYNs, each of which costs its client a second.
const BACKLOG: i32 = 4096;

/// The first pause when connections can't be accepted, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How many refused connections are kept for a moment, so that their peers can read why. More are
/// closed at once.
const REFUSALS_AT_ONCE: usize = 64;

/// How long a refused peer has to read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// A peer whose machine or network is gone sends nothing. After this silence the system probes
/// it, then every [`PROBE_INTERVAL`], and gives it up within a minute.
const PROBE_AFTER: Duration = Duration::from_secs(15);
/// See [`PROBE_AFTER`].
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// See [`PROBE_AFTER`]. Linux uses the time that [`watch_over`] sets.
#[cfg(not(windows))]
const PROBES: u32 = 4;

/// The permissions of a UNIX socket's file: its owner, who runs the server, and its group.
const PERMISSIONS: u32 = 0o660;

/// What a server listens on: one of both at least.
#[derive(Default)]
pub(crate) struct Listeners {
    pub(crate) tcp: Option<TcpListener>,
    pub(crate) unix: Option<LocalListener>,
}

/// A UNIX socket that is listened on.
pub(crate) struct LocalListener {
    listener: UnixListener,
    path: Option<PathBuf>,
    /// Removed at the end. `None` if another program has opened the socket.
    _file: Option<SocketFile>,
}

/// A connection, and where it comes from.
enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream, SocketAddr),
}

/// A socket of either kind, owned.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl LocalListener {
    /// Listens on a path.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let (listener, file) = unix_socket::bind(path, PERMISSIONS, BACKLOG)?;
        Ok(Self {
            listener,
            path: Some(path.to_owned()),
            _file: Some(file),
        })
    }

    /// Takes over a socket that listens already.
    pub(crate) fn adopt(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self {
            listener: unix_socket::adopt(listener)?,
            path: address.as_pathname().map(Path::to_owned),
            _file: None,
        })
    }

    /// Its path, if it has one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    async fn accept(&self) -> io::Result<Accepted> {
        let (stream, _) = self.listener.accept().await?;
        let uid = stream.peer_cred()?.uid();
        Ok(Accepted::Unix(stream, peer::of_user(uid)))
    }
}

impl Listeners {
    async fn accept(&self) -> io::Result<Accepted> {
        let tcp = async {
            match &self.tcp {
                Some(listener) => {
                    let (stream, peer) = listener.accept().await?;
                    Ok(Accepted::Tcp(stream, peer))
                }
                None => std::future::pending().await,
            }
        };
        let unix = async {
            match &self.unix {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = tcp => accepted,
            accepted = unix => accepted,
        }
    }
}

impl Stream {
    fn socket(&self) -> socket::Socket<'_> {
        match self {
            Self::Tcp(stream) => socket::Socket::Tcp(stream),
            Self::Unix(stream) => socket::Socket::Unix(stream),
        }
    }
}

/// Listens on one address, or on all.
pub(crate) fn bind(address: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    match address {
        Some(address) => listen(SocketAddr::new(address, port)),
        None => listen(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)).or_else(|error| {
            // This is for systems without IPv6. A port in use stays an error.
            if error.kind() == io::ErrorKind::AddrInUse {
                return Err(error);
            }
            listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
        }),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // On Windows this would let two servers share a port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Takes over a socket that listens already.
pub(crate) fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Accepts for ever, and answers who asks whether it does.
pub(crate) async fn accept_all(listeners: Listeners, state: Arc<ServerState>, mut pings: Pings) {
    let refusals = Arc::new(Semaphore::new(REFUSALS_AT_ONCE));
    let mut pause = PAUSES.0;
    loop {
        let accepted = tokio::select! {
            accepted = listeners.accept() => accepted,
            Some(ping) = pings.recv() => {
                // Whoever asked may have stopped waiting.
                let _ = ping.send(());
                continue;
            }
        };
        match accepted {
            Ok(accepted) => {
                metrics::count(Count::Accepted, 1);
                if pause > PAUSES.0 {
                    tracing::info!("accepting connections again");
                    pause = PAUSES.0;
                }
                serve(accepted, &state, &refusals);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                let text = "can't accept connections; trying again in a moment. If descriptors \
                            have run out, raise the limit (ulimit -n)";
                state.warn(|| tracing::warn!(%error, "{text}"));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}

/// Serves a connection, or refuses it.
fn serve(accepted: Accepted, state: &Arc<ServerState>, refusals: &Arc<Semaphore>) {
    match accepted {
        Accepted::Tcp(stream, peer) => match state.admit(peer) {
            Ok(guard) if guard.is_of_proxy() => {
                set_options(&stream, &guard);
                let stream = Stream::Tcp(stream);
                tokio::spawn(proxied::serve(stream, peer, guard, refusals.clone()));
            }
            Ok(guard) => {
                set_options(&stream, &guard);
                tokio::spawn(session(stream, peer, guard).enter());
            }
            Err(refusal) => refuse(Stream::Tcp(stream), peer, &refusal, state, refusals),
        },
        Accepted::Unix(stream, peer) => match state.admit(peer) {
            Ok(guard) if guard.is_of_proxy() => {
                let stream = Stream::Unix(stream);
                tokio::spawn(proxied::serve(stream, peer, guard, refusals.clone()));
            }
            Ok(guard) => {
                tokio::spawn(local_session(stream, peer, guard).enter_private());
            }
            Err(refusal) => refuse(Stream::Unix(stream), peer, &refusal, state, refusals),
        },
    }
}

/// Whether an error concerns only one connection, whose peer has gone before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Sets a connection's socket options.
fn set_options(stream: &TcpStream, guard: &ConnectionGuard) {
    // Without it a single message would wait for the acknowledgement of the one before. An error
    // has no other effect.
    let _ = stream.set_nodelay(true);
    watch_over(stream, guard.config().write_timeout);
}

/// The session of a connection from `peer`.
fn session(stream: TcpStream, peer: SocketAddr, guard: ConnectionGuard) -> Session<OwnedReadHalf> {
    let (reader, writer) = stream.into_split();
    let limits = guard.state().queue_limits().clone();
    let outbox = Arc::new(Outbox::new(TcpWriter::new(writer), peer, limits));
    tracing::debug!(peer = %outbox.peer(), "connected");
    Session::new(reader, outbox, guard)
}

/// The session of a connection over the UNIX socket.
fn local_session(
    stream: UnixStream,
    peer: SocketAddr,
    guard: ConnectionGuard,
) -> Session<unix::OwnedReadHalf> {
    let (reader, writer) = stream.into_split();
    let limits = guard.state().queue_limits().clone();
    let outbox = Arc::new(Outbox::new(UnixWriter::new(writer), peer, limits));
    tracing::debug!(peer = %Shown(peer), "connected");
    Session::new(reader, outbox, guard)
}

/// Has the system detect a peer that vanishes without a FIN. Where this isn't possible, the
/// connection stays until something is written to it.
///
/// While bytes are in flight the system doesn't probe but retransmits, for a quarter of an hour
/// by default. The timeout set here shortens that. It also runs while a live peer has no room, so
/// it is a little longer than the write deadline, which is for those peers.
#[cfg_attr(not(target_os = "linux"), expect(unused_variables))]
fn watch_over(stream: &TcpStream, write_timeout: Duration) {
    let socket = SockRef::from(stream);
    let probes = socket2::TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_INTERVAL);
    #[cfg(not(windows))]
    let probes = probes.with_retries(PROBES);
    let _ = socket.set_tcp_keepalive(&probes);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(write_timeout + Config::WRITE_GRACE));
}

/// Tells a peer that there are too many connections.
fn refuse(
    stream: Stream,
    peer: SocketAddr,
    refusal: &Refusal,
    state: &ServerState,
    refusals: &Arc<Semaphore>,
) {
    let code = ErrorCode::TooManyConnections;
    turn_away(stream, peer, code, &refusal.to_string(), state, refusals);
}

/// Tells a peer why its connection is closed.
fn turn_away(
    stream: Stream,
    peer: SocketAddr,
    code: ErrorCode,
    text: &str,
    state: &ServerState,
    refusals: &Arc<Semaphore>,
) {
    state.log_peer_error(peer, code, text);
    let Ok(local) = stream.socket().local_addr() else {
        return;
    };
    let Ok(permit) = refusals.clone().try_acquire_owned() else {
        return;
    };
    let message = Message {
        source: local.into(),
        destination: peer::endpoint(peer).into(),
        topic: ErrorCode::TOPIC,
        text: &code.to_text(text),
    };
    // A new connection takes a line at once, or is lost.
    let _ = SockRef::from(&stream.socket()).send(&message.to_line());
    tokio::spawn(async move {
        // Closing with unread bytes would reset the connection, and the line with the reason
        // could be lost.
        stream.socket().close_sending_side();
        linger::discard(stream.socket(), REFUSAL_TIMEOUT).await;
        drop(permit);
    });
}
