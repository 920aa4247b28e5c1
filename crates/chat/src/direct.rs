//! Direct mode: two clients talk to each other, nobody in between.
//!
//! The listener takes one peer at a time, for as long as it runs; the caller
//! makes one connection. Owns the listening socket and who is being turned away.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wire::{Address, ErrorCode, Event, TopicName, UserName};

use crate::conversation::{Conversation, Ending, Meanwhile, Role};
use crate::dial::{DialError, Dialer};
use crate::failure::Failure;
use crate::link::{Link, LinkError, Said};
use crate::notice::Notices;
use crate::session;
use crate::system;

/// The topic of every message in direct mode.
const TOPIC: &str = "direct";

/// Callers that may wait to be accepted: more than people have friends.
const BACKLOG: i32 = 128;
/// Callers that are told at once that we are busy; more wait to be told.
const TURNED_AWAY: usize = 64;
/// Accepting fails for a while when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Our peer may have left before the next one called, and the system may tell us
/// of the call first. So long it may take to tell us of both.
const GRACE: Duration = Duration::from_millis(5);
/// Callers who don't give up mustn't fill the screen.
const BUSY_NOTICE_EVERY: Duration = Duration::from_secs(1);

/// The topic of every message in direct mode.
pub(crate) fn topic() -> TopicName {
    TopicName::new(TOPIC).unwrap_or_else(|_| unreachable!("it is allowed as one"))
}

/// Calls somebody, and talks until one of the two has finished.
pub(crate) async fn call(all: &mut Conversation, dialer: &Dialer) -> Result<(), Failure> {
    let mut link = match all.meanwhile(dialer.dial(), false, None).await {
        Meanwhile::Happened(link) => link?,
        Meanwhile::Failed(failure) => return Err(failure),
        Meanwhile::NothingLeft | Meanwhile::ScreenClosed => return Ok(()),
    };
    let peer = dialer.address.to_string();
    all.notices.say(format_args!("connected to {peer}"));
    let ending = all.talk(&mut link, Role::Called, pending()).await;
    match ending {
        Ending::Left => all.notices.say(format_args!("{peer} left")),
        Ending::KeptOpen => say_kept_open(&all.notices, &peer),
        Ending::Busy => return Err(Failure::Busy { peer }),
        Ending::Done | Ending::ScreenClosed => {}
        Ending::Failed(failure) => return Err(failure),
        Ending::Lost(cause) => {
            let left = all.left();
            tell_why(link, &cause).await;
            return Err(Failure::Lost { peer, cause, left });
        }
    }
    Ok(())
}

/// Asks a topic server where somebody is, and calls them.
pub(crate) async fn call_user(
    all: &mut Conversation,
    server: &Dialer,
    user: &UserName,
) -> Result<(), Failure> {
    let asking = tokio::time::timeout(server.timeout, look_up(server, user));
    let address = match all.meanwhile(asking, false, None).await {
        Meanwhile::Happened(answer) => answer.unwrap_or_else(|_| {
            let address = server.address.clone();
            let timeout = server.timeout;
            Err(DialError::Timeout { address, timeout }.into())
        })?,
        Meanwhile::Failed(failure) => return Err(failure),
        Meanwhile::NothingLeft | Meanwhile::ScreenClosed => return Ok(()),
    };
    all.notices.say(format_args!("{user} is at {address}"));
    let expected = "chat --listen";
    let dialer = Dialer {
        address,
        expected,
        ..server.clone()
    };
    call(all, &dialer).await
}

/// Where a topic server says that somebody is.
async fn look_up(server: &Dialer, user: &UserName) -> Result<Address, Failure> {
    let lost = |source| server.failed(source);
    let refused = |said| Failure::NotFound {
        user: user.to_string(),
        server: server.address.to_string(),
        said,
    };
    let mut link = server.dial().await?;
    let question = session::question("lookup", user.as_str());
    link.outgoing.write_first(&question).await.map_err(lost)?;
    loop {
        if link.incoming.fill().await.map_err(lost)? == 0 {
            return Err(refused("it closed the connection".into()));
        }
        while let Some(said) = link
            .incoming
            .next_frame()
            .map_err(|error| refused(error.to_string()))?
        {
            match said {
                Said::Event(Event::Found(person)) => {
                    let address = Endpoints(&person.ip, &person.port).to_string();
                    return address.parse().map_err(|_| refused(address));
                }
                Said::Event(Event::Error(told)) => return Err(refused(told.text.into())),
                Said::Message(letter) => return Err(refused(letter.message.text.decode().into())),
                Said::Event(_) => {}
            }
        }
    }
}

/// An address as it is typed: IPv6 in brackets.
struct Endpoints<'a>(&'a str, &'a str);

impl std::fmt::Display for Endpoints<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.contains(':') {
            true => write!(f, "[{}]:{}", self.0, self.1),
            false => write!(f, "{}:{}", self.0, self.1),
        }
    }
}

/// Waits for callers, and talks to one after another.
pub(crate) async fn wait(
    all: &mut Conversation,
    port: u16,
    max_frame: usize,
) -> Result<(), Failure> {
    let mut listener = Listener::bind(port, max_frame, all.notices.clone())?;
    all.notices
        .say(format_args!("waiting for a caller on port {port}"));
    let result = listener.serve(all).await;
    listener.finish().await;
    result
}

/// Waits for callers and turns away all but one.
struct Listener {
    socket: TcpListener,
    port: u16,
    max_frame: usize,
    notices: Notices,
    /// Who was accepted while our peer was there, and hasn't been turned away.
    next: Option<Link>,
    /// Those who are being told why they aren't talked to.
    leaving: JoinSet<()>,
    /// When somebody was last said to have been turned away.
    said_busy: Option<Instant>,
}

impl Listener {
    fn bind(port: u16, max_frame: usize, notices: Notices) -> Result<Self, Failure> {
        let socket = bind(port).map_err(|source| Failure::Bind { port, source })?;
        Ok(Self {
            socket,
            port,
            max_frame,
            notices,
            next: None,
            leaving: JoinSet::new(),
            said_busy: None,
        })
    }

    async fn serve(&mut self, all: &mut Conversation) -> Result<(), Failure> {
        const KEPT: &str = "nobody is connected: what is typed is kept for the next caller";
        loop {
            // What was kept before has been said.
            let kept = (all.input.unsent() == 0).then_some(KEPT);
            let mut link = match all.meanwhile(self.next_caller(), true, kept).await {
                Meanwhile::Happened(link) => link,
                Meanwhile::Failed(failure) => return Err(failure),
                Meanwhile::NothingLeft | Meanwhile::ScreenClosed => return Ok(()),
            };
            let peer = link.remote().to_string();
            all.notices.say(format_args!("{peer} connected"));
            let ending = all.talk(&mut link, Role::Caller, self.turn_away()).await;
            match ending {
                Ending::Done | Ending::ScreenClosed => return Ok(()),
                Ending::Failed(failure) => return Err(failure),
                Ending::KeptOpen => {
                    say_kept_open(&all.notices, &peer);
                    return Ok(());
                }
                Ending::Left | Ending::Busy => all.notices.say(format_args!("{peer} left")),
                Ending::Lost(cause) if all.is_finished() => {
                    let left = all.left();
                    return Err(Failure::Lost { peer, cause, left });
                }
                Ending::Lost(cause) => {
                    let notice = format_args!("the connection to {peer} is lost: {cause}");
                    all.notices.say(notice);
                    self.leaving
                        .spawn(async move { tell_why(link, &cause).await });
                }
            }
            self.say_what_next(all);
        }
    }

    /// Says that it goes on, if it does.
    fn say_what_next(&self, all: &Conversation) {
        let port = self.port;
        match all.input.unsent() {
            0 if all.is_finished() => {}
            0 => all
                .notices
                .say(format_args!("waiting for the next caller on port {port}")),
            count => all.notices.say(format_args!(
                "waiting for the next caller on port {port}; unsent lines kept: {count}"
            )),
        }
    }

    /// Who is to be talked to next.
    async fn next_caller(&mut self) -> Link {
        match self.next.take() {
            Some(link) => link,
            None => self.accept().await,
        }
    }

    /// The next caller who is still there.
    ///
    /// Cancel safe: whoever wasn't accepted still waits.
    async fn accept(&self) -> Link {
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
                        let notice = format_args!("can't take a caller, trying on: {error}");
                        self.notices.say(notice);
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// A caller who has hung up already is none.
    fn greet(&self, stream: TcpStream) -> Option<Link> {
        Link::new(stream, self.max_frame).ok()
    }

    /// Tells everybody else who calls that we are busy, for ever.
    async fn turn_away(&mut self) -> Infallible {
        loop {
            while self.leaving.len() >= TURNED_AWAY {
                self.leaving.join_next().await;
            }
            if self.next.is_none() {
                self.next = Some(self.accept().await);
            }
            sleep(GRACE).await;
            if let Some(link) = self.next.take() {
                self.say_busy(&link);
                let reason = "somebody else is being talked to; try again later";
                self.leaving.spawn(link.refuse(ErrorCode::Busy, reason));
            }
            while self.leaving.try_join_next().is_some() {}
        }
    }

    fn say_busy(&mut self, caller: &Link) {
        let now = Instant::now();
        let is_due = |said| now - said >= BUSY_NOTICE_EVERY;
        if self.said_busy.is_none_or(is_due) {
            self.said_busy = Some(now);
            let notice = format_args!("told {} that you are busy", caller.remote());
            self.notices.say(notice);
        }
    }

    /// Lets those who are being turned away hear why. Each has its own limit.
    async fn finish(mut self) {
        drop(self.socket);
        if let Some(link) = self.next {
            let reason = "nobody is here any more";
            self.leaving
                .spawn(link.refuse(ErrorCode::ShuttingDown, reason));
        }
        while self.leaving.join_next().await.is_some() {}
    }
}

/// Listens on every address of the machine: IPv6 and IPv4 by one socket, or IPv4
/// alone where there is no IPv6.
pub(crate) fn bind(port: u16) -> io::Result<TcpListener> {
    let dual = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    match dual {
        Err(error) if !is_about_the_port(&error) => {
            listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        }
        other => other,
    }
}

/// Another address wouldn't help.
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

/// A caller that vanished before it was accepted is no trouble of ours.
fn is_callers_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Tells a peer whose stream can't be trusted why it is closed.
async fn tell_why(link: Link, cause: &LinkError) {
    if let LinkError::Scan(error) = cause {
        link.refuse(error.code(), &error.to_string()).await;
    }
}

fn say_kept_open(notices: &Notices, peer: &str) {
    notices.say(format_args!(
        "everything is sent; {peer} keeps the connection open and isn't waited for any longer"
    ));
}
