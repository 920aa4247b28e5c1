//! The task of a client: connects, talks, and connects again when the connection is lost.
//!
//! The only place that decides whether and when there is a next connection. The session decides
//! what is sent over one, and [`crate::connection`] carries it.

mod dialing;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::ErrorCode;

use crate::backoff::{BackOff, Stood};
use crate::channels::{Command, Program, now};
use crate::connection::{Ending, Naming, talk};
use crate::error::{ClientError, Disconnect};
use crate::event::{Closing, Event, Finished, Outcome};
use crate::link::{Link, LinkError};
use crate::pool::Pool;
use crate::session::{Session, is_hopeless};
use dialing::{Attempt, Meanwhile};

/// See the module.
pub(crate) struct Driver {
    session: Session,
    program: Program,
    /// How long the server has to close its side when everything is sent.
    drain_timeout: Duration,
    /// The servers, and how they are dialed.
    pool: Pool,
    reconnects: bool,
    waits: bool,
    /// Holds a name that the next connection takes over.
    claimed: Option<Link>,
}

/// The settings of a driver.
pub(crate) struct Setup {
    /// The servers, and how they are dialed.
    pub(crate) pool: Pool,
    /// Connect again when the connection is lost.
    pub(crate) reconnects: bool,
    /// Try again until the first connection can be made.
    pub(crate) waits: bool,
    pub(crate) drain_timeout: Duration,
    pub(crate) session: Session,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<Vec<Event>>,
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
            pool: setup.pool,
            reconnects: setup.reconnects,
            waits: setup.waits,
            claimed: None,
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
                    self.learn_servers();
                    drop(link);
                    link = match self.change_connection(*claimed, &mut back_off).await {
                        Meanwhile::Happened(link) => link,
                        other => return self.end_unconnected(other),
                    };
                    continue;
                }
            };
            drop(link);
            self.learn_servers();
            if back_off.connection_ended(began.elapsed()) == Stood::Long {
                self.pool.begin_round();
                self.pool.tried_current();
            }
            link = match self.come_back(cause, &mut back_off).await {
                Ok(link) => link,
                Err(end) => return end,
            };
        }
    }

    /// Makes another connection after one was lost, or returns how the client ends without one.
    async fn come_back(&mut self, cause: Disconnect, back_off: &mut BackOff) -> Result<Link, End> {
        let cause = self.session.disconnected(cause, now());
        let is_upgraded = self.upgrades(&cause);
        if is_upgraded && !self.session.has_joined() {
            return self.begin(back_off).await;
        }
        let goes_elsewhere = is_upgraded || self.leaves_named(&cause);
        let outcome = self.give_up(&cause).filter(|_| !goes_elsewhere);
        if let Some(outcome) = outcome {
            return Err(End::Outcome(outcome));
        }
        let queue = self.session.queue();
        let event = Event::Disconnected {
            cause,
            in_flight: queue.in_flight().cloned().collect(),
            unsent: queue.unsent(),
        };
        self.session.emit(event);
        match self
            .connect_again(back_off, Attempt::Again, Vec::new())
            .await
        {
            Meanwhile::Happened(link) => Ok(link),
            other => Err(self.end_unconnected(other)),
        }
    }

    /// Makes the first connection, or returns how the client ends without one.
    async fn begin(&mut self, back_off: &mut BackOff) -> Result<Link, End> {
        match self.connect_first(back_off).await {
            Meanwhile::Happened(Ok(link)) => Ok(link),
            Meanwhile::Happened(Err(error)) => Err(End::Outcome(Err(error))),
            other => Err(self.end_unconnected(other)),
        }
    }

    /// Whether the connection has ended because the server wants TLS. If so, the next one uses
    /// it.
    fn upgrades(&mut self, cause: &Disconnect) -> bool {
        let is_wanted =
            matches!(cause, Disconnect::Server(error) if error.is(ErrorCode::TlsRequired));
        let is_upgraded = is_wanted && self.pool.upgrade();
        if is_upgraded {
            self.session.send_at_once();
        }
        is_upgraded
    }

    /// Whether a server was left that another one had named, and that refuses us. Nobody has
    /// chosen it, so we go on with those that were chosen.
    fn leaves_named(&mut self, cause: &Disconnect) -> bool {
        // Our own doing is the same everywhere.
        let is_ours = matches!(cause, Disconnect::Server(error) if error.is(ErrorCode::Replaced));
        self.reconnects && is_hopeless(cause) && !is_ours && self.pool.drop_named()
    }

    /// The server has named others.
    fn learn_servers(&mut self) {
        if let Some(servers) = self.session.take_named() {
            self.pool.name(&servers);
        }
    }

    /// Registers over a new connection, and talks until it ends.
    async fn talk(&mut self, link: &mut Link) -> Ending {
        self.session.has_alternative(self.pool.has_more());
        let naming = Naming {
            dialer: self.pool.current(),
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
}
