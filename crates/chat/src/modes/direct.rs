//! Direct mode: two clients talk to each other without a server.
//!
//! The listener takes one peer at a time, for as long as it runs; the caller makes one
//! connection. Holds the listening socket and the callers that are being refused.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use client::dial::{DialError, Dialer, Protection};
use client::frame::Frame;
use client::link::{Link, LinkError};
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::{Address, Credential, ErrorCode, Event, Request, TopicName, UserName};

use crate::access::KnownServers;
use crate::calls::dial::{LISTENER, dial, dial_until};
use crate::calls::listen::{BusyNotices, Listener};
use crate::conversation::{AtEnd, Conversation, Ending, Meanwhile, Role};
use crate::error::{Failure, LookupError};
use crate::output::notice::Notices;
use crate::output::plural::counted;
use crate::words;

/// Callers that are told at once that we are busy; more wait to be told.
const REFUSED_AT_ONCE: usize = 64;
/// Our peer may have left before the next one called, and the system may report the call
/// first. This is how long it may take to report both.
const GRACE: Duration = Duration::from_millis(5);

/// The program at the other end of a direct call.
const PEER: &str = "chat";

/// The topic of every message in direct mode.
pub(crate) fn topic() -> TopicName {
    crate::calls::manager::topic()
}

/// Whom to talk with.
#[derive(Debug)]
pub(crate) enum Partner {
    /// Whoever calls.
    Caller {
        /// On which port.
        port: u16,
    },
    /// Whoever listens there.
    Peer(Dialer),
    /// Somebody whom a topic server knows.
    User {
        /// Who.
        user: UserName,
        /// The addresses of the server.
        servers: Vec<Entrance>,
        /// Where its key is kept.
        known: KnownServers,
        /// By what we prove to it who we are.
        credential: Option<Credential>,
    },
}

/// One address of a topic server.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// How the server is dialed.
    pub(crate) dialer: Dialer,
    /// How it is dialed when it refuses plain text, if the address leaves that open.
    pub(crate) upgrade: Option<Dialer>,
}

/// Talks until one of the two has finished.
pub(crate) async fn run(
    all: &mut Conversation,
    partner: Partner,
    max_frame: usize,
) -> Result<(), Failure> {
    match partner {
        Partner::Caller { port } => wait(all, port, max_frame).await,
        Partner::Peer(dialer) => call_expecting(all, &dialer, PEER).await,
        Partner::User {
            user,
            servers,
            known,
            credential,
        } => {
            let notices = all.notices.clone();
            let lookup = |entrance| Lookup {
                entrance,
                known: &known,
                credential: credential.as_ref(),
                notices: &notices,
                user: &user,
            };
            call_user(all, &servers, lookup).await
        }
    }
}

/// Calls somebody, and talks until one of the two has finished.
async fn call_expecting(
    all: &mut Conversation,
    dialer: &Dialer,
    expected: &'static str,
) -> Result<(), Failure> {
    let notices = all.notices.clone();
    let waits = all.rules.wait;
    let dialing = async {
        match waits {
            true => Ok(dial_until(dialer, &notices, expected).await),
            false => dial(dialer, &notices).await,
        }
    };
    let mut link = match all.meanwhile(dialing, AtEnd::WaitOn, None).await {
        Meanwhile::Happened(link) => link.map_err(|error| Failure::Dial { error, expected })?,
        Meanwhile::NothingLeft | Meanwhile::ScreenClosed => return Ok(()),
    };
    let peer = dialer.address.clone();
    all.notices.say(format_args!("connected to {peer}"));
    match all.talk(&mut link, Role::Called, pending()).await {
        Ending::PeerLeft => all.notices.say(format_args!("{peer} left")),
        Ending::KeptOpen => all.notices.say(words::kept_open(peer)),
        Ending::Busy => return Err(Failure::Busy { peer }),
        Ending::Done | Ending::ScreenClosed => {}
        Ending::Lost(cause) => {
            let undelivered = all.undelivered();
            explain(link, &cause).await;
            return Err(Failure::Lost {
                peer: peer.to_string(),
                cause,
                undelivered,
            });
        }
    }
    Ok(())
}

/// Asks a topic server where somebody is, and calls them.
async fn call_user<'a>(
    all: &mut Conversation,
    servers: &'a [Entrance],
    lookup: impl Fn(&'a Entrance) -> Lookup<'a>,
) -> Result<(), Failure> {
    let notices = all.notices.clone();
    let asking = async {
        let mut left = servers.iter();
        let mut result = Err(Failure::NoServers);
        while let Some(entrance) = left.next() {
            result = lookup(entrance).run_in_time().await;
            match &result {
                Err(error) if left.len() > 0 && is_about_reaching(error) => {
                    notices.say(words::next_address(error));
                }
                _ => break,
            }
        }
        result
    };
    let (server, user, address) = match all.meanwhile(asking, AtEnd::WaitOn, None).await {
        Meanwhile::Happened(answer) => answer?,
        Meanwhile::NothingLeft | Meanwhile::ScreenClosed => return Ok(()),
    };
    all.notices.say(format_args!("{user} is at {address}"));
    let dialer = Dialer {
        address,
        timeout: server.timeout,
        max_frame: server.max_frame,
        protection: Protection::Plain,
    };
    call_expecting(all, &dialer, LISTENER).await
}

/// Whether another address of the same server may do better.
fn is_about_reaching(failure: &Failure) -> bool {
    match failure {
        Failure::NotFound { reason, .. } => matches!(reason, LookupError::Closed),
        _ => true,
    }
}

/// The question where somebody is.
struct Lookup<'a> {
    entrance: &'a Entrance,
    known: &'a KnownServers,
    credential: Option<&'a Credential>,
    notices: &'a Notices,
    user: &'a UserName,
}

/// The server that knows somebody, who that is, and where.
type Located<'a> = (&'a Dialer, &'a UserName, Address);

impl<'a> Lookup<'a> {
    /// The answer, if it comes in time.
    async fn run_in_time(&self) -> Result<Located<'a>, Failure> {
        let Entrance { dialer, .. } = self.entrance;
        let answer = tokio::time::timeout(dialer.timeout, self.run()).await;
        let address = answer.unwrap_or_else(|_| {
            let address = dialer.address.clone();
            let timeout = dialer.timeout;
            Err(self.failed(DialError::Timeout { address, timeout }))
        })?;
        Ok((dialer, self.user, address))
    }

    /// Where the topic server says that somebody is. Nothing but the question has gone in plain
    /// text when it speaks TLS only: a credential goes to other machines over TLS at once.
    async fn run(&self) -> Result<Address, Failure> {
        let Entrance { dialer, upgrade } = self.entrance;
        match (self.ask(dialer).await, upgrade) {
            (
                Err(Failure::NotFound {
                    reason: LookupError::TlsRequired(_),
                    ..
                }),
                Some(upgrade),
            ) => self.ask(upgrade).await,
            (answer, _) => answer,
        }
    }

    async fn ask(&self, server: &Dialer) -> Result<Address, Failure> {
        let lost = |source| self.failed(server.failed(source));
        let refused = |reason| Failure::NotFound {
            user: self.user.to_string(),
            server: self.entrance.dialer.address.clone(),
            reason,
        };
        let dialed = dial(server, self.notices).await;
        let mut link = dialed.map_err(|error| self.failed(error))?;
        if let Some(proof) = link.proof()
            && let Err(error) = self.known.remember(&self.entrance.dialer.address, proof)
        {
            self.notices.warn(error);
        }
        let login = self.credential.cloned().map(Request::Auth);
        let lookup = Request::Lookup(self.user.to_string());
        let question: Vec<u8> = login
            .into_iter()
            .chain([lookup])
            .flat_map(|one| one.to_line())
            .collect();
        link.writer.write_all(&question).await.map_err(lost)?;
        loop {
            if link.reader.fill().await.map_err(lost)? == 0 {
                return Err(refused(LookupError::Closed));
            }
            while let Some(frame) = link
                .reader
                .next_frame()
                .map_err(|error| refused(error.into()))?
            {
                if let Some(answer) = answer(&frame) {
                    return answer.map_err(refused);
                }
            }
        }
    }

    fn failed(&self, error: DialError) -> Failure {
        Failure::of_dialing(vec![error], self.known)
    }
}

/// Where somebody is, if a frame says that.
fn answer(frame: &Frame<'_>) -> Option<Result<Address, LookupError>> {
    let text = match frame {
        Frame::Event(Event::Found(person)) => {
            let address = words::address(&person.ip, &person.port);
            return Some(address.parse().map_err(LookupError::Address));
        }
        Frame::Event(Event::Error(told)) => words::lookup_error(&told.code, &told.text),
        Frame::Message(frame) => {
            let text = frame.message.text.decode().into_owned();
            let (code, _) = ErrorCode::split_text(&text);
            return Some(Err(match code == ErrorCode::TlsRequired.as_str() {
                true => LookupError::TlsRequired(text),
                false => LookupError::Server(text),
            }));
        }
        Frame::Event(_) => return None,
    };
    Some(Err(LookupError::Server(text)))
}

/// Waits for callers, and talks to one after another.
async fn wait(all: &mut Conversation, port: u16, max_frame: usize) -> Result<(), Failure> {
    let mut host = Host::bind(port, max_frame, all.notices.clone())?;
    all.notices
        .say(format_args!("waiting for a caller on port {port}"));
    let result = host.serve(all).await;
    host.finish().await;
    result
}

/// Takes one caller at a time and refuses all others.
struct Host {
    listener: Listener,
    port: u16,
    notices: Notices,
    /// A caller who was accepted while our peer was there, and is not refused yet.
    next: Option<Link>,
    /// Callers who are being told why they are refused.
    leaving: JoinSet<()>,
    busy_notices: BusyNotices,
}

impl Host {
    fn bind(port: u16, max_frame: usize, notices: Notices) -> Result<Self, Failure> {
        Ok(Self {
            listener: Listener::bind(port, max_frame, notices.clone())?,
            port,
            notices,
            next: None,
            leaving: JoinSet::new(),
            busy_notices: BusyNotices::default(),
        })
    }

    async fn serve(&mut self, all: &mut Conversation) -> Result<(), Failure> {
        const KEPT: &str = "nobody is connected: what is typed is kept for the next caller";
        loop {
            // What was kept before has been said.
            let kept = (all.queue.unsent() == 0).then_some(KEPT);
            let mut link = match all.meanwhile(self.next_caller(), AtEnd::Stop, kept).await {
                Meanwhile::Happened(link) => link,
                Meanwhile::NothingLeft | Meanwhile::ScreenClosed => return Ok(()),
            };
            let peer = link.remote().to_string();
            all.notices.say(format_args!("{peer} connected"));
            let ending = all
                .talk(&mut link, Role::Caller, self.refuse_others())
                .await;
            match ending {
                Ending::Done | Ending::ScreenClosed => return Ok(()),
                Ending::KeptOpen => {
                    all.notices.say(words::kept_open(peer));
                    return Ok(());
                }
                Ending::PeerLeft | Ending::Busy => all.notices.say(format_args!("{peer} left")),
                Ending::Lost(cause) if all.is_finished() => {
                    let undelivered = all.undelivered();
                    return Err(Failure::Lost {
                        peer,
                        cause,
                        undelivered,
                    });
                }
                Ending::Lost(cause) => {
                    let why = words::link_error(&cause);
                    let notice = format_args!("the connection to {peer} is lost: {why}");
                    all.notices.say(notice);
                    self.leaving
                        .spawn(async move { explain(link, &cause).await });
                }
            }
            self.say_what_next(all);
        }
    }

    /// Says that it goes on, if it does.
    fn say_what_next(&self, all: &Conversation) {
        let port = self.port;
        match all.queue.unsent() {
            0 if all.is_finished() => {}
            0 => all
                .notices
                .say(format_args!("waiting for the next caller on port {port}")),
            count => {
                let lines = counted(count as u64, "unsent line is", "unsent lines are");
                all.notices.say(format_args!(
                    "waiting for the next caller on port {port}; {lines} kept"
                ));
            }
        }
    }

    /// Who is to be talked to next.
    async fn next_caller(&mut self) -> Link {
        match self.next.take() {
            Some(link) => link,
            None => self.listener.accept().await,
        }
    }

    /// Tells everybody else who calls that we are busy, for ever.
    async fn refuse_others(&mut self) -> Infallible {
        loop {
            while self.leaving.len() >= REFUSED_AT_ONCE {
                self.leaving.join_next().await;
            }
            if self.next.is_none() {
                self.next = Some(self.listener.accept().await);
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
        if self.busy_notices.is_due() {
            let notice = format_args!("told {} that you are busy", caller.remote());
            self.notices.say(notice);
        }
    }

    /// Lets the callers who are being refused read why. Each has its own limit.
    async fn finish(mut self) {
        drop(self.listener);
        if let Some(link) = self.next {
            let reason = "nobody is here any more";
            self.leaving
                .spawn(link.refuse(ErrorCode::ShuttingDown, reason));
        }
        while self.leaving.join_next().await.is_some() {}
    }
}

/// Tells a peer that sent something that is no frame why its connection is closed.
async fn explain(link: Link, cause: &LinkError) {
    if let LinkError::Scan(error) = cause {
        link.refuse(error.code(), &error.to_string()).await;
    }
}
