//! The task of a client: connects, talks, and connects again when the connection is lost.
//!
//! The only place that decides whether and when there is a next connection. The session decides
//! what is sent over one, and [`crate::connection`] carries it.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use wire::{Address, ErrorCode};

use crate::backoff::BackOff;
use crate::channels::{Command, Program, at, now, perform};
use crate::connection::{Ending, Naming, talk};
use crate::dial::{DialError, Dialer, Protection, SLOW};
use crate::error::{ClientError, Disconnect, SessionError};
use crate::event::{Closing, Event, Finished, Outcome};
use crate::link::{Link, LinkError};
use crate::session::{Session, is_hopeless};
use crate::tls::{Proof, ProvenBy, Tls};

/// See the module.
pub(crate) struct Driver {
    session: Session,
    program: Program,
    /// How long the server has to close its side when everything is sent.
    drain_timeout: Duration,
    dialer: Dialer,
    /// The TLS settings for a server that refuses plain text.
    upgrade: Option<Tls>,
    reconnects: bool,
    waits: bool,
    /// Holds a name that the next connection takes over.
    claimed: Option<Link>,
    /// Where the last server has asked us to go.
    named: Vec<Address>,
}

/// The settings of a driver.
pub(crate) struct Setup {
    pub(crate) dialer: Dialer,
    /// The TLS settings for a server that refuses plain text.
    pub(crate) upgrade: Option<Tls>,
    /// Connect again when the connection is lost.
    pub(crate) reconnects: bool,
    /// Try again until the first connection can be made.
    pub(crate) waits: bool,
    pub(crate) drain_timeout: Duration,
    pub(crate) session: Session,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<Vec<Event>>,
}

/// Which connection is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// The first one: it is waited for even if the program has nothing more to send.
    First,
    /// One after a connection was lost: it is waited for as long as lines are left.
    Again,
}

/// The result of a wait without a connection.
enum Meanwhile<T> {
    /// The event has happened.
    Happened(T),
    /// The program is finishing, and nothing is left to send.
    NothingLeft,
    /// The deadline for the lines that are left has passed.
    Failed(ClientError),
    /// The program has dropped its handles.
    Abandoned,
}

/// How the client ends without another connection.
enum End {
    Outcome(Outcome),
    Abandoned,
}

impl Driver {
    pub(crate) fn new(setup: Setup) -> Self {
        let mut session = setup.session;
        if !setup.reconnects {
            session.stay();
        }
        Self {
            session,
            program: Program::new(setup.commands, setup.events),
            drain_timeout: setup.drain_timeout,
            dialer: setup.dialer,
            upgrade: setup.upgrade,
            reconnects: setup.reconnects,
            waits: setup.waits,
            claimed: None,
            named: Vec::new(),
        }
    }

    /// Runs until everything is delivered, or until delivery has become impossible.
    pub(crate) async fn run(&mut self) -> Outcome {
        let outcome = match self.connect_and_talk().await {
            End::Outcome(outcome) => outcome,
            End::Abandoned => Ok(self.finished(Closing::Abandoned)),
        };
        self.with_untaken(outcome)
    }

    /// Hands over the events that are left, and at last the outcome.
    pub(crate) async fn tell_rest(mut self, outcome: Outcome) {
        self.session.emit(Event::Ended(outcome));
        self.program.events.send_all(&mut self.session).await;
    }

    /// Counts the lines that the program has handed over and that were not taken.
    fn with_untaken(&mut self, outcome: Outcome) -> Outcome {
        let untaken = self.program.commands.close();
        outcome.map_err(|mut error| {
            error.add_undelivered(&untaken);
            error
        })
    }

    fn finished(&self, closing: Closing) -> Finished {
        Finished {
            refused: self.session.refused(),
            closing,
        }
    }

    async fn connect_and_talk(&mut self) -> End {
        let mut back_off = BackOff::new();
        let mut link = match self.begin(&mut back_off).await {
            Ok(link) => link,
            Err(end) => return end,
        };
        loop {
            let began = Instant::now();
            let cause = match self.talk(&mut link).await {
                Ending::Closed(closing) => return End::Outcome(Ok(self.finished(closing))),
                Ending::Abandoned => return End::Abandoned,
                Ending::Failed(error) => return End::Outcome(Err(error)),
                Ending::Lost(cause) => cause,
                Ending::ServerLeft => LinkError::Closed.into(),
                Ending::Renamed(claimed) => {
                    drop(link);
                    link = match self.change_connection(*claimed, &mut back_off).await {
                        Meanwhile::Happened(link) => link,
                        other => return self.end_unconnected(other),
                    };
                    continue;
                }
            };
            back_off.connection_ended(began.elapsed());
            let cause = self.session.disconnected(cause, now());
            let is_upgraded = self.upgrades(&cause);
            if is_upgraded && !self.session.has_joined() {
                drop(link);
                link = match self.begin(&mut back_off).await {
                    Ok(link) => link,
                    Err(end) => return end,
                };
                continue;
            }
            let outcome = self.give_up(&cause).filter(|_| !is_upgraded);
            if let Some(outcome) = outcome {
                return End::Outcome(outcome);
            }
            let queue = self.session.queue();
            let event = Event::Disconnected {
                cause,
                in_flight: queue.in_flight().cloned().collect(),
                unsent: queue.unsent(),
            };
            self.session.emit(event);
            drop(link);
            link = match self
                .connect_again(&mut back_off, Attempt::Again, None)
                .await
            {
                Meanwhile::Happened(link) => link,
                other => return self.end_unconnected(other),
            };
        }
    }

    /// Makes the first connection, or returns how the client ends without one.
    async fn begin(&mut self, back_off: &mut BackOff) -> Result<Link, End> {
        match self.connect_first(back_off).await {
            Meanwhile::Happened(Ok(link)) => Ok(link),
            Meanwhile::Happened(Err(error)) => Err(End::Outcome(Err(error.into()))),
            other => Err(self.end_unconnected(other)),
        }
    }

    /// Whether the connection has ended because the server wants TLS. If so, the next one uses
    /// it.
    fn upgrades(&mut self, cause: &Disconnect) -> bool {
        let is_wanted =
            matches!(cause, Disconnect::Server(error) if error.is(ErrorCode::TlsRequired));
        match self.upgrade.take_if(|_| is_wanted) {
            Some(tls) => {
                self.dialer.protection = Protection::Tls(tls);
                self.session.send_at_once();
                true
            }
            None => false,
        }
    }

    /// Registers over a new connection, and talks until it ends.
    async fn talk(&mut self, link: &mut Link) -> Ending {
        let naming = Naming {
            dialer: &self.dialer,
            claimed: &mut self.claimed,
        };
        talk(
            &mut self.session,
            &mut self.program,
            self.drain_timeout,
            link,
            naming,
        )
        .await
    }

    /// Makes the first connection; until it succeeds, if the program wants to wait.
    async fn connect_first(
        &mut self,
        back_off: &mut BackOff,
    ) -> Meanwhile<Result<Link, DialError>> {
        let error = match self.dial(Attempt::First).await {
            Meanwhile::Happened(Err(error)) if self.waits => error,
            other => return other,
        };
        let again = self.connect_again(back_off, Attempt::First, Some(error));
        match again.await {
            Meanwhile::Happened(link) => Meanwhile::Happened(Ok(link)),
            other => other.without(),
        }
    }

    /// Makes the connection that takes over the claimed name.
    async fn change_connection(
        &mut self,
        claimed: Link,
        back_off: &mut BackOff,
    ) -> Meanwhile<Link> {
        self.claimed = Some(claimed);
        self.session.disconnected(LinkError::Closed.into(), now());
        match self.dial(Attempt::Again).await {
            Meanwhile::Happened(Ok(link)) => Meanwhile::Happened(link),
            Meanwhile::Happened(Err(error)) => {
                let again = self.connect_again(back_off, Attempt::Again, Some(error));
                again.await
            }
            other => other.without(),
        }
    }

    /// The outcome, if no connection is made after the one that was lost.
    fn give_up(&self, cause: &Disconnect) -> Option<Outcome> {
        let is_finished = self.session.is_finished();
        if is_finished && self.session.is_safe() {
            // A new connection would have nothing to do.
            return None;
        }
        let goes_on = self.reconnects && !is_hopeless(cause) && !is_finished;
        (!goes_on).then(|| {
            Err(ClientError::Lost {
                cause: cause.clone(),
                undelivered: self.session.undelivered(),
            })
        })
    }

    /// The outcome if no other connection can be made.
    fn lost(&self, error: DialError) -> ClientError {
        match self.session.has_joined() {
            false => error.into(),
            true => ClientError::Lost {
                cause: Disconnect::Dial(Box::new(error)),
                undelivered: self.session.undelivered(),
            },
        }
    }

    fn end_unconnected<T>(&self, meanwhile: Meanwhile<T>) -> End {
        match meanwhile {
            Meanwhile::Failed(error) => End::Outcome(Err(error)),
            Meanwhile::NothingLeft if self.session.is_safe() => {
                End::Outcome(Ok(self.finished(Closing::Lost)))
            }
            Meanwhile::NothingLeft => End::Outcome(Err(ClientError::Unconnected)),
            Meanwhile::Happened(_) | Meanwhile::Abandoned => End::Abandoned,
        }
    }

    /// Tries until it succeeds.
    async fn connect_again(
        &mut self,
        back_off: &mut BackOff,
        attempt: Attempt,
        mut error: Option<DialError>,
    ) -> Meanwhile<Link> {
        if attempt == Attempt::Again && self.session.is_finished() {
            return Meanwhile::NothingLeft;
        }
        let mut first_pause = self.session.take_move().map(|moving| {
            self.named = moving.servers;
            moving.at.saturating_duration_since(now())
        });
        loop {
            if let Some(error) = error.take_if(|error| error.is_final()) {
                return Meanwhile::Failed(self.lost(error));
            }
            let pause = first_pause.take().unwrap_or_else(|| back_off.pause());
            self.session.emit(Event::Retrying { pause, error });
            match self.meanwhile(sleep(pause), attempt).await {
                Meanwhile::Happened(()) => {}
                other => return other.without(),
            }
            error = match self.dial(attempt).await {
                Meanwhile::Happened(Ok(link)) => return Meanwhile::Happened(link),
                Meanwhile::Happened(Err(error)) => Some(error),
                other => return other.without(),
            };
        }
    }

    /// Makes a connection: to a server that the last one has named, or to our own address.
    async fn dial(&mut self, attempt: Attempt) -> Meanwhile<Result<Link, DialError>> {
        for address in std::mem::take(&mut self.named) {
            let dialer = Dialer {
                address,
                ..self.dialer.clone()
            };
            match self.dial_with(dialer, attempt).await {
                // The next one may be there, and our own address comes last.
                Meanwhile::Happened(Err(_)) => {}
                other => return other,
            }
        }
        let dialed = self.dial_with(self.dialer.clone(), attempt).await;
        if let Meanwhile::Happened(Ok(link)) = &dialed
            && let Some(proof) = link.proof()
        {
            self.secured(proof);
        }
        dialed
    }

    /// Tells the program if that takes long.
    async fn dial_with(
        &mut self,
        dialer: Dialer,
        attempt: Attempt,
    ) -> Meanwhile<Result<Link, DialError>> {
        let mut dialing = pin!(dialer.dial());
        match self.meanwhile(timeout(SLOW, &mut dialing), attempt).await {
            Meanwhile::Happened(Ok(result)) => Meanwhile::Happened(result),
            Meanwhile::Happened(Err(_)) => {
                self.session.emit(Event::StillConnecting);
                self.meanwhile(dialing, attempt).await
            }
            other => other.without(),
        }
    }

    /// The server has proven who it is. A key that was accepted at first use must stay the same
    /// from now on.
    fn secured(&mut self, proof: Proof) {
        if proof.by == ProvenBy::FirstUse
            && let Protection::Tls(tls) | Protection::TlsToOthers(tls) = &mut self.dialer.protection
        {
            tls.pin(proof.key);
        }
        self.session.emit(Event::Secured(proof));
    }

    /// Waits for `event`, and takes commands meanwhile.
    async fn meanwhile<T>(
        &mut self,
        event: impl Future<Output = T>,
        attempt: Attempt,
    ) -> Meanwhile<T> {
        let mut event = pin!(event);
        loop {
            if attempt == Attempt::Again && self.session.is_finished() {
                return Meanwhile::NothingLeft;
            }
            if self.program.is_gone(&self.session) {
                return Meanwhile::Abandoned;
            }
            let deadline = self
                .session
                .poll_timeout()
                .filter(|_| attempt == Attempt::Again);
            let is_open = self.program.commands.is_open;
            tokio::select! {
                happened = &mut event => return Meanwhile::Happened(happened),
                () = at(deadline) => match self.session.handle_timeout(now()) {
                    Ok(()) | Err(SessionError::Lost(_)) => {}
                    Err(SessionError::Failed(error)) => return Meanwhile::Failed(error),
                },
                command = self.program.commands.next(), if self.session.has_room() => {
                    if let Some(Command::Send(lines)) = &command {
                        for line in lines.iter().cloned() {
                            self.session.emit(Event::Kept(line));
                        }
                    }
                    perform(command, &mut self.session);
                }
                () = self.program.events.ready(), if self.session.has_events() => {
                    self.program.events.send_now(&mut self.session);
                }
                () = self.program.events.closed(), if !is_open && !self.session.is_finishing() => {}
            }
        }
    }
}

impl<T> Meanwhile<T> {
    /// The same result for another kind of event, which has not happened.
    fn without<U>(self) -> Meanwhile<U> {
        match self {
            Self::NothingLeft => Meanwhile::NothingLeft,
            Self::Failed(error) => Meanwhile::Failed(error),
            Self::Happened(_) | Self::Abandoned => Meanwhile::Abandoned,
        }
    }
}
