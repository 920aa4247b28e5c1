//! The loop over one connection: commands × connection × events.
//!
//! Reading and writing go on at the same time, and each direction waits only for itself:
//! neither a server that doesn't read nor a program that doesn't stops the other way.

use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::channels::{Program, at, now, perform};
use crate::claim::{Claim, ClaimError, claim};
use crate::deadline::{Deadline, Progress};
use crate::dial::Dialer;
use crate::error::{ClientError, Disconnect, SessionError};
use crate::event::Closing;
use crate::link::{Link, LinkError, Written};
use crate::session::Session;

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Everything was sent.
    Closed(Closing),
    /// The server has closed, and we have not finished.
    ServerLeft,
    /// The connection is lost.
    Lost(Disconnect),
    /// It failed for a reason that another connection would not change.
    Failed(ClientError),
    /// The program has dropped its handles.
    Abandoned,
    /// A new name is granted to this second connection, which the next connection replaces.
    Renamed(Box<Link>),
}

/// What a change of the name needs.
pub(crate) struct Naming<'a> {
    /// The dialer for another connection.
    pub(crate) dialer: &'a Dialer,
    /// Holds the name until this connection has taken it over.
    pub(crate) claimed: &'a mut Option<Link>,
}

type Claiming = Pin<Box<dyn Future<Output = Result<Link, ClaimError>> + Send>>;

/// The state of one connection.
struct Connection<'a> {
    session: &'a mut Session,
    program: &'a mut Program,
    /// See [`client::Options`](crate::Options::drain_timeout).
    drain_timeout: Duration,
    link: &'a mut Link,
    /// Everything is sent, and our side is closed: the deadline for the server to close its side.
    closing: Option<Deadline>,
    /// Sending has failed. What the server sent before is still read.
    broken: Option<io::Error>,
    naming: Naming<'a>,
    /// A name that is being claimed.
    claiming: Option<(Claim, Claiming)>,
}

/// What the loop woke up for.
enum Woken {
    Command,
    /// That many bytes arrived; none at the end of the stream.
    Read(io::Result<usize>),
    Written(io::Result<Written>),
    /// The program can take events.
    CanTell,
    Claimed(Result<Box<Link>, ClaimError>),
    Timeout,
}

/// Registers over a new connection, and talks until it ends.
pub(crate) async fn talk(
    session: &mut Session,
    program: &mut Program,
    drain_timeout: Duration,
    link: &mut Link,
    naming: Naming<'_>,
) -> Ending {
    let (source, destination) = link.endpoints();
    session.connected(source, destination, now());
    let connection = Connection {
        session,
        program,
        drain_timeout,
        link,
        closing: None,
        broken: None,
        naming,
        claiming: None,
    };
    connection.run().await
}

impl Connection<'_> {
    async fn run(mut self) -> Ending {
        loop {
            if self.program.is_gone(self.session) {
                return Ending::Abandoned;
            }
            self.prepare().await;
            let woken = self.wait().await;
            if let Some(ending) = self.handle(woken) {
                return ending;
            }
            if self.leaves_at().is_some_and(|at| at <= now()) {
                return Ending::Lost(Disconnect::Asked);
            }
        }
    }

    /// Does the work that needn't wait: hands events over and begins the next frame.
    async fn prepare(&mut self) {
        self.program.events.send_now(self.session);
        if self.session.is_registered() {
            *self.naming.claimed = None;
        }
        if self.claiming.is_none()
            && let Some(wanted) = self.session.take_claim()
        {
            let claiming = Box::pin(claim(self.naming.dialer.clone(), wanted.clone()));
            self.claiming = Some((wanted, claiming));
        }
        if self.broken.is_some() || self.link.writer.is_busy() || self.closing.is_some() {
            return;
        }
        if let Some(frame) = self.session.poll_transmit(now()) {
            self.link.writer.begin(frame);
        } else if self.session.is_finished() {
            self.link.writer.shutdown().await;
            self.closing = Some(Deadline::start(self.drain_timeout, now()));
        }
    }

    /// When to leave the server, which has asked for that: between two frames, and not when
    /// everything is sent anyway.
    fn leaves_at(&self) -> Option<Instant> {
        let at = self.session.leaves_at()?;
        let is_between = !self.link.writer.is_busy() || self.broken.is_some();
        (is_between && self.closing.is_none()).then_some(at)
    }

    async fn wait(&mut self) -> Woken {
        let leaves_at = self.leaves_at();
        let session = &mut *self.session;
        let Program { commands, events } = &mut *self.program;
        let Link { reader, writer, .. } = &mut *self.link;
        let closing = self.closing.as_ref().map(Deadline::next_check);
        let deadlines = session.poll_timeout().into_iter().chain(closing);
        let deadline = deadlines.chain(leaves_at).min();
        let has_events = session.has_events();
        let writes = self.broken.is_none() && writer.is_busy();
        let is_open = commands.is_open;
        let claiming = &mut self.claiming;
        let command = tokio::select! {
            command = commands.next(), if session.has_room() => command,
            // The events of the last read must have been taken, so that memory is bounded.
            read = reader.fill(), if !has_events => return Woken::Read(read),
            written = writer.write_on(), if writes => return Woken::Written(written),
            () = events.ready(), if has_events => return Woken::CanTell,
            () = events.closed(), if !is_open && !session.is_finishing() => None,
            result = claimed(claiming) => return Woken::Claimed(result.map(Box::new)),
            () = at(deadline) => return Woken::Timeout,
        };
        perform(command, self.session);
        Woken::Command
    }

    fn handle(&mut self, woken: Woken) -> Option<Ending> {
        match woken {
            Woken::Command | Woken::CanTell | Woken::Written(Ok(Written::Partly)) => None,
            Woken::Read(Ok(0)) => Some(self.stream_ended()),
            Woken::Read(Ok(_)) => self.read().err(),
            Woken::Read(Err(error)) => Some(Ending::lost(error)),
            Woken::Written(Ok(Written::Completely)) => {
                self.session.handle_transmitted(now());
                None
            }
            Woken::Written(Err(error)) => {
                self.broken = Some(error);
                None
            }
            Woken::Claimed(result) => self.claim_ended(result),
            Woken::Timeout => self.check_deadlines(),
        }
    }

    fn claim_ended(&mut self, result: Result<Box<Link>, ClaimError>) -> Option<Ending> {
        let (claim, _) = self.claiming.take()?;
        match result {
            Ok(link) => {
                self.session.renamed(&claim);
                Some(Ending::Renamed(link))
            }
            Err(error) => {
                self.session.claim_refused(&claim, error, now());
                None
            }
        }
    }

    fn check_deadlines(&mut self) -> Option<Ending> {
        let session = &mut *self.session;
        self.program.events.send_now(session);
        if session.has_events() {
            session.handle_stall(now());
        }
        if let Err(error) = session.handle_timeout(now()) {
            return Some(error.into());
        }
        match self.closing.as_mut()?.check(now()) {
            Progress::Running => None,
            Progress::Expired => Some(Ending::Closed(Closing::KeptOpen)),
        }
    }

    /// Handles what was read.
    fn read(&mut self) -> Result<(), Ending> {
        let session = &mut *self.session;
        session.handle_activity(now());
        while let Some(frame) = self.link.reader.next_frame().map_err(LinkError::from)? {
            session.handle_frame(&frame, now())?;
        }
        Ok(())
    }

    fn stream_ended(&mut self) -> Ending {
        if self.link.reader.is_partial() {
            return LinkError::Unfinished.into();
        }
        match (self.broken.take(), &self.closing) {
            (Some(error), _) => Ending::lost(error),
            (None, Some(_)) => Ending::Closed(Closing::Complete),
            (None, None) => Ending::ServerLeft,
        }
    }
}

/// Waits for the result of a claim; for ever if no name is being claimed.
async fn claimed(claiming: &mut Option<(Claim, Claiming)>) -> Result<Link, ClaimError> {
    match claiming {
        Some((_, claiming)) => claiming.await,
        None => pending().await,
    }
}

impl Ending {
    fn lost(error: io::Error) -> Self {
        LinkError::from(error).into()
    }
}

impl From<LinkError> for Ending {
    fn from(error: LinkError) -> Self {
        Self::Lost(error.into())
    }
}

impl From<SessionError> for Ending {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Lost(cause) => Self::Lost(cause),
            SessionError::Failed(error) => Self::Failed(error),
        }
    }
}
