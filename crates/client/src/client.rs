//! The handles of a client: commands in, events out.
//!
//! A separate task does the work ([`crate::reconnect`]). Both directions are bounded: a command
//! waits for room in the queue of lines, and the task reads nothing more from the server while
//! its events wait to be read.

use std::collections::VecDeque;

use tokio::sync::{mpsc, watch};

use crate::channels::Command;
use crate::error::ClientError;
use crate::event::{Event, Outcome};
use crate::line::Line;
use crate::options::Options;
use crate::reconnect::{Driver, Setup};
use crate::session::Request;

/// The sending side of a client. Clones are handles to the same client.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    outcome: watch::Receiver<Option<Outcome>>,
    max_line_frame: usize,
}

/// The receiving side of a client. Dropping it discards all further events.
#[derive(Debug)]
pub struct Events {
    batches: mpsc::Receiver<Vec<Event>>,
    /// Events that have arrived and were not read yet.
    ready: VecDeque<Event>,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// Why a line was not accepted. The line is given back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[must_use]
pub enum SendError {
    /// The queue is full.
    #[error("the queue is full")]
    Full(Line),
    /// The line's frame would be longer than [`Options::max_frame`].
    #[error("the line is too long for a frame")]
    TooLong(Line),
    /// The client has ended, or was told to finish.
    #[error("the client has ended")]
    Ended(Line),
}

/// The client has ended, or was told to finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client has ended")]
pub struct Ended;

impl Client {
    /// Connects and registers. Returns when the server has answered the registration,
    /// or with the reason why that failed.
    ///
    /// From then on the client connects again by itself whenever the connection is lost.
    pub async fn connect(options: Options) -> Result<(Self, Events), ClientError> {
        let (client, mut events) = Self::start(options)?;
        events.joined().await?;
        Ok((client, events))
    }

    /// Connects and registers, but returns at once: lines are accepted while the client is still
    /// connecting, and a failure is the last event. For programs with a user interface.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(options: Options) -> Result<(Self, Events), ClientError> {
        let (commands, taken) = mpsc::channel(1);
        let (to_events, batches) = mpsc::channel(1);
        let (ended, outcome) = watch::channel(None);
        let client = Self {
            commands,
            outcome: outcome.clone(),
            max_line_frame: options.max_line_frame(),
        };
        let mut driver = Driver::new(Setup {
            pool: options.pool(),
            reconnects: options.reconnect,
            waits: options.wait,
            drain_timeout: options.drain_timeout,
            session: options.into_session()?,
            commands: taken,
            events: to_events,
        });
        tokio::spawn(async move {
            let outcome = driver.run().await;
            ended.send_replace(Some(outcome.clone()));
            driver.tell_rest(outcome).await;
        });
        let events = Events {
            batches,
            ready: VecDeque::new(),
            outcome,
        };
        Ok((client, events))
    }

    /// Publishes a line. Waits while the queue is full.
    ///
    /// Not cancel safe: a line that is being sent when the future is dropped may be lost.
    /// [`reserve`](Self::reserve) is the cancel safe way.
    pub async fn send(&self, line: Line) -> Result<(), SendError> {
        if !self.fits(&line) {
            return Err(SendError::TooLong(line));
        }
        match self.reserve().await {
            Ok(permit) => {
                permit.send(vec![line]);
                Ok(())
            }
            Err(Ended) => Err(SendError::Ended(line)),
        }
    }

    /// Publishes a line if the queue has room, and gives it back otherwise.
    pub fn try_send(&self, line: Line) -> Result<(), SendError> {
        if !self.fits(&line) {
            return Err(SendError::TooLong(line));
        }
        match self.commands.try_reserve() {
            Ok(permit) => {
                permit.send(Command::Send(vec![line]));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(())) => Err(SendError::Full(line)),
            Err(mpsc::error::TrySendError::Closed(())) => Err(SendError::Ended(line)),
        }
    }

    /// Waits until the client can take the next command.
    ///
    /// Cancel safe: nothing is handed over before the permit is used.
    pub async fn reserve(&self) -> Result<Permit<'_>, Ended> {
        let permit = self.commands.reserve().await;
        permit.map(Permit).map_err(|_| Ended)
    }

    /// The line fits into a frame.
    pub fn fits(&self, line: &Line) -> bool {
        line.fits(self.max_line_frame)
    }

    /// Asks the server for something. The answer is an event. Waits while the queue is
    /// full.
    pub async fn request(&self, request: Request) -> Result<(), Ended> {
        self.reserve().await?.request(request);
        Ok(())
    }

    /// Waits until everything that was sent is delivered or refused, ends the client, and
    /// says how it ended.
    ///
    /// The events must still be read meanwhile, by another task, or have been dropped.
    pub async fn finish(mut self) -> Outcome {
        if let Ok(permit) = self.reserve().await {
            permit.finish();
        }
        wait(&mut self.outcome).await
    }
}

/// Room for one command.
#[derive(Debug)]
#[must_use = "a permit that isn't used sends nothing"]
pub struct Permit<'a>(mpsc::Permit<'a, Command>);

impl Permit<'_> {
    /// Publishes lines, each of which must [fit](Client::fits).
    pub fn send(self, lines: Vec<Line>) {
        self.0.send(Command::Send(lines));
    }

    /// Asks the server for something.
    pub fn request(self, request: Request) {
        self.0.send(Command::Request(request));
    }

    /// Ends the client when everything that was sent is delivered or refused. The last
    /// event says how it ended.
    pub fn finish(self) {
        self.0.send(Command::Finish);
    }
}

impl Events {
    /// The next event; `None` after [`Event::Ended`].
    ///
    /// Cancel safe: an event that wasn't returned is the next one.
    pub async fn next(&mut self) -> Option<Event> {
        while self.ready.is_empty() {
            match self.batches.recv().await {
                Some(batch) => self.ready.extend(batch),
                None => return None,
            }
        }
        self.ready.pop_front()
    }

    /// Waits until the client takes part in its topics. Other events are kept.
    async fn joined(&mut self) -> Result<(), ClientError> {
        loop {
            let is_joined =
                |event: &Event| matches!(event, Event::Joined { .. } | Event::Registered { .. });
            if self.ready.iter().any(is_joined) {
                return Ok(());
            }
            match self.batches.recv().await {
                Some(batch) => self.ready.extend(batch),
                None => return wait(&mut self.outcome).await.map(|_| ()),
            }
        }
    }
}

async fn wait(outcome: &mut watch::Receiver<Option<Outcome>>) -> Outcome {
    match outcome.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Err(ClientError::Unconnected)),
        // The runtime has ended the task.
        Err(_) => Err(ClientError::Unconnected),
    }
}
