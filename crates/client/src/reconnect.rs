//! The task of a client: connects, talks, and connects again when the connection is lost.
//!
//! The one place that decides whether and when there is a next connection. What is said
//! over one is decided by the session, and carried by [`crate::connection`].

use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::backoff::BackOff;
use crate::client::Command;
use crate::connection::Ending;
use crate::dial::{DialError, Dialer, SLOW};
use crate::error::{ClientError, Disconnect, SessionError};
use crate::event::{Closing, Event, Finished, Outcome};
use crate::link::{Link, LinkError};
use crate::session::Session;

/// See the module.
pub(crate) struct Driver {
    pub(crate) session: Session,
    pub(crate) commands: Commands,
    pub(crate) events: EventSender,
    /// How long the server has to close its side when everything is sent.
    pub(crate) drain_timeout: Duration,
    dialer: Dialer,
    reconnects: bool,
}

/// What a driver begins with.
pub(crate) struct Setup {
    pub(crate) dialer: Dialer,
    /// Connect again when the connection is lost.
    pub(crate) reconnects: bool,
    pub(crate) drain_timeout: Duration,
    pub(crate) session: Session,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<Vec<Event>>,
}

/// What happened while there was no connection.
enum Meanwhile<T> {
    /// What was waited for.
    Happened(T),
    /// The program is finishing, and nothing is left to send.
    NothingLeft,
    /// The time for what is left is over.
    Failed(ClientError),
    /// The program has dropped its handles.
    Abandoned,
}

/// How it ends without another connection.
enum End {
    Outcome(Outcome),
    Abandoned,
}

impl Driver {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            session: setup.session,
            commands: Commands {
                queue: setup.commands,
                is_open: true,
            },
            events: EventSender(Some(setup.events)),
            drain_timeout: setup.drain_timeout,
            dialer: setup.dialer,
            reconnects: setup.reconnects,
        }
    }

    /// Runs until everything is delivered, or until that has become impossible.
    pub(crate) async fn run(&mut self) -> Outcome {
        let outcome = match self.connect_and_talk().await {
            End::Outcome(outcome) => outcome,
            End::Abandoned => Ok(self.finished(Closing::Abandoned)),
        };
        self.with_untaken(outcome)
    }

    /// Hands over the events that are left, and at last how it ended.
    pub(crate) async fn tell_rest(mut self, outcome: Outcome) {
        self.session.emit(Event::Ended(outcome));
        self.events.send_all(&mut self.session).await;
    }

    /// Counts the lines that the program has handed over and that were not taken.
    fn with_untaken(&mut self, outcome: Outcome) -> Outcome {
        let untaken = self.commands.close();
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
        let mut link = match self.dial(false).await {
            Meanwhile::Happened(Ok(link)) => link,
            Meanwhile::Happened(Err(error)) => return End::Outcome(Err(error.into())),
            other => return self.end_unconnected(other),
        };
        let mut back_off = BackOff::new();
        loop {
            let began = Instant::now();
            let cause = match self.talk(&mut link).await {
                Ending::Closed(closing) => return End::Outcome(Ok(self.finished(closing))),
                Ending::Abandoned => return End::Abandoned,
                Ending::Failed(error) => return End::Outcome(Err(error)),
                Ending::Lost(cause) => cause,
                Ending::ServerLeft => LinkError::Closed.into(),
            };
            back_off.connection_ended(began.elapsed());
            let cause = self.session.disconnected(cause, now());
            if let Some(outcome) = self.give_up(&cause) {
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
            link = match self.connect_again(&mut back_off).await {
                Meanwhile::Happened(link) => link,
                other => return self.end_unconnected(other),
            };
        }
    }

    /// How it ends if the connection that was lost is the last one.
    fn give_up(&self, cause: &Disconnect) -> Option<Outcome> {
        let is_finished = self.session.is_finished();
        if is_finished && self.session.is_safe() {
            // Connecting again finds nothing to do.
            return None;
        }
        let goes_on = self.reconnects && !self.session.is_replaced() && !is_finished;
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

    /// Tries until it succeeds.
    async fn connect_again(&mut self, back_off: &mut BackOff) -> Meanwhile<Link> {
        let mut error: Option<DialError> = None;
        if self.session.is_finished() {
            return Meanwhile::NothingLeft;
        }
        loop {
            let pause = back_off.pause();
            self.session.emit(Event::Retrying { pause, error });
            match self.meanwhile(sleep(pause), true).await {
                Meanwhile::Happened(()) => {}
                other => return other.without(),
            }
            error = match self.dial(true).await {
                Meanwhile::Happened(Ok(link)) => return Meanwhile::Happened(link),
                Meanwhile::Happened(Err(error)) => Some(error),
                other => return other.without(),
            };
        }
    }

    /// Makes a connection; tells the program if that takes long.
    async fn dial(&mut self, ends: bool) -> Meanwhile<Result<Link, DialError>> {
        let dialer = self.dialer.clone();
        let mut dialing = pin!(dialer.dial());
        match self.meanwhile(timeout(SLOW, &mut dialing), ends).await {
            Meanwhile::Happened(Ok(result)) => return Meanwhile::Happened(result),
            Meanwhile::Happened(Err(_)) => self.session.emit(Event::StillConnecting),
            other => return other.without(),
        }
        self.meanwhile(dialing, ends).await
    }

    /// Waits for `event`, and takes commands meanwhile.
    ///
    /// With `ends`, doesn't wait on when the program is finishing and nothing is left.
    async fn meanwhile<T>(&mut self, event: impl Future<Output = T>, ends: bool) -> Meanwhile<T> {
        let mut event = pin!(event);
        loop {
            if ends && self.session.is_finished() {
                return Meanwhile::NothingLeft;
            }
            if self.is_abandoned() {
                return Meanwhile::Abandoned;
            }
            let deadline = self.session.poll_timeout().filter(|_| ends);
            let is_open = self.commands.is_open;
            tokio::select! {
                happened = &mut event => return Meanwhile::Happened(happened),
                () = at(deadline) => match self.session.handle_timeout(now()) {
                    Ok(()) | Err(SessionError::Lost(_)) => {}
                    Err(SessionError::Failed(error)) => return Meanwhile::Failed(error),
                },
                command = self.commands.next(), if self.session.has_room() => {
                    if let Some(Command::Send(lines)) = &command {
                        for line in lines.iter().cloned() {
                            self.session.emit(Event::Kept(line));
                        }
                    }
                    self.handle_command(command);
                }
                () = self.events.ready(), if self.session.has_events() => {
                    self.events.send_now(&mut self.session);
                }
                () = self.events.closed(), if !is_open && !self.session.is_finishing() => {}
            }
        }
    }

    /// The program has dropped its handles.
    pub(crate) fn is_abandoned(&self) -> bool {
        !self.commands.is_open && self.events.is_closed() && !self.session.is_finishing()
    }

    pub(crate) fn handle_command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Send(lines)) => {
                for line in lines {
                    self.session.push(line, now());
                }
            }
            Some(Command::Request(request)) => self.session.request(request, now()),
            Some(Command::Finish) => {
                self.session.finish(now());
            }
            None => {}
        }
    }
}

impl<T> Meanwhile<T> {
    /// The same where nothing has happened.
    fn without<U>(self) -> Meanwhile<U> {
        match self {
            Self::NothingLeft => Meanwhile::NothingLeft,
            Self::Failed(error) => Meanwhile::Failed(error),
            Self::Happened(_) | Self::Abandoned => Meanwhile::Abandoned,
        }
    }
}

/// The commands of the program.
pub(crate) struct Commands {
    queue: mpsc::Receiver<Command>,
    /// A handle may still send some.
    pub(crate) is_open: bool,
}

impl Commands {
    /// The next one. Cancel safe. Waits for ever when there will be none.
    pub(crate) async fn next(&mut self) -> Option<Command> {
        if !self.is_open {
            return pending().await;
        }
        let command = self.queue.recv().await;
        self.is_open = command.is_some();
        command
    }

    /// Takes no more. Returns the lines that were handed over and not taken.
    fn close(&mut self) -> Vec<crate::queue::Line> {
        self.queue.close();
        let mut untaken = Vec::new();
        while let Ok(command) = self.queue.try_recv() {
            if let Command::Send(lines) = command {
                untaken.extend(lines);
            }
        }
        untaken
    }
}

/// The way of the events to the program; `None` when it has dropped them.
pub(crate) struct EventSender(Option<mpsc::Sender<Vec<Event>>>);

impl EventSender {
    /// Waits until the program can take events.
    pub(crate) async fn ready(&self) {
        if let Some(sender) = &self.0 {
            // A closed channel is found closed when it is used.
            let _ = sender.reserve().await;
        }
    }

    /// Hands all events over if the program can take them. Discards them if it has
    /// dropped [`Events`](crate::Events).
    pub(crate) fn send_now(&mut self, session: &mut Session) {
        if !session.has_events() {
            return;
        }
        match self.0.as_ref().map(mpsc::Sender::try_reserve) {
            Some(Ok(permit)) => {
                permit.send(session.take_events());
                return;
            }
            // They stay in the session, which isn't handed more frames meanwhile.
            Some(Err(mpsc::error::TrySendError::Full(()))) => return,
            Some(Err(mpsc::error::TrySendError::Closed(()))) | None => {}
        }
        self.0 = None;
        drop(session.take_events());
    }

    /// Hands all events over, however long that takes.
    pub(crate) async fn send_all(&mut self, session: &mut Session) {
        while session.has_events() {
            self.ready().await;
            self.send_now(session);
        }
    }

    /// Waits until the program has dropped [`Events`](crate::Events).
    pub(crate) async fn closed(&self) {
        if let Some(sender) = &self.0 {
            sender.closed().await;
        }
    }

    fn is_closed(&self) -> bool {
        self.0.as_ref().is_none_or(mpsc::Sender::is_closed)
    }
}

/// The time, as the session wants it.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Waits until then, or for ever.
pub(crate) async fn at(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
