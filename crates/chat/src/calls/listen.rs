//! Listening for direct calls.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use client::link::Link;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use crate::error::Failure;
use crate::output::notice::Notices;
use crate::system;

/// Callers that may wait to be accepted: more than people have friends.
const BACKLOG: i32 = 128;
/// Accepting fails for a while when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Callers who don't give up mustn't fill the screen.
const BUSY_NOTICE_EVERY: Duration = Duration::from_secs(1);

/// When a notice last said that a caller was told that we are busy.
#[derive(Debug, Default)]
pub(crate) struct BusyNotices(Option<Instant>);

impl BusyNotices {
    /// Another one may be said, and is.
    pub(crate) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.0.is_none_or(|said| now - said >= BUSY_NOTICE_EVERY);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

/// A listening port for direct calls.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    max_frame: usize,
    notices: Notices,
}

impl Listener {
    /// Listens on every address of the machine.
    pub(crate) fn bind(port: u16, max_frame: usize, notices: Notices) -> Result<Self, Failure> {
        let socket = bind(port).map_err(|source| Failure::Bind { port, source })?;
        Ok(Self {
            socket,
            max_frame,
            notices,
        })
    }

    /// The next caller who is still there.
    ///
    /// Cancel safe: a caller who wasn't accepted still waits.
    pub(crate) async fn accept(&self) -> Link {
        let mut said = false;
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    if let Some(link) = self.greet(stream) {
                        return link;
                    }
                }
                Err(error) if is_callers_fault(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut said, true) {
                        let notice = format_args!("can't accept a caller, trying again: {error}");
                        self.notices.say(notice);
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// A connection from a caller; `None` if the caller has hung up already.
    fn greet(&self, stream: TcpStream) -> Option<Link> {
        Link::new(stream, self.max_frame).ok()
    }
}

/// IPv6 and IPv4 by one socket, or IPv4 alone where there is no IPv6.
fn bind(port: u16) -> io::Result<TcpListener> {
    let dual = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    match dual {
        Err(error) if !is_about_the_port(&error) => {
            listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        }
        other => other,
    }
}

/// Whether the error is about the port, so that another address wouldn't help.
fn is_about_the_port(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    if address.is_ipv6() {
        // The default differs from system to system.
        socket.set_only_v6(false)?;
    }
    system::reuse_address(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Whether the error is about one caller that vanished before it was accepted.
fn is_callers_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
