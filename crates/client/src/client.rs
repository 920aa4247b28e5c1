//! The handles of a client: commands in, events out.
//!
//! A separate task does the work ([`crate::reconnect`]). Both directions are bounded: a command
//! waits for room in the queue of lines, and the task reads nothing more from the server while
//! its events wait to be read.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use wire::{Credential, Limits, TopicName};

use crate::address::{Security, ServerAddress};
use crate::channels::Command;
use crate::dial::{Dialer, Protection};
use crate::error::ClientError;
use crate::event::{Event, Outcome};
use crate::line::Line;
use crate::queue::ID_MEMBER;
use crate::reconnect::{Driver, Setup};
use crate::secret;
use crate::session::{
    ENVELOPE, FirstLines, HISTORY_BYTES, HISTORY_HEAD, History, Name, Presence, Protocol, Request,
    Session, SessionConfig,
};
use crate::tls::{Tls, Trust};

/// Where to connect, and how to behave there.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's address.
    pub server: ServerAddress,
    /// Which servers the client trusts, over TLS. By default those with a certificate of one of
    /// the system's authorities, or with the key in [`Options::server`].
    pub trust: Trust,
    /// The client's credential. None by default. Only the extended protocol can send it.
    pub credential: Option<Credential>,
    /// Where a credential may be sent over plain TCP. Only within this machine by default.
    pub plain_secrets: PlainSecrets,
    /// The topics to take part in.
    pub topics: Vec<TopicName>,
    /// The name by which others know the client. None by default.
    pub name: Name,
    /// Whether the client follows the members of its topics. Off by default.
    pub presence: Presence,
    /// Which messages from before the first registration to ask for. None by default.
    pub history: History,
    /// The port for direct calls, which the server tells other users.
    pub port: Option<u16>,
    /// Which protocol to speak. The extended one by default.
    pub protocol: Protocol,
    /// Connect again when the connection is lost. True by default.
    pub reconnect: bool,
    /// Try again until the first connection can be made. False by default: then the client
    /// fails if it can't.
    pub wait: bool,
    /// The longest that connecting may take: 10 s by default.
    pub connect_timeout: Duration,
    /// How long the server may acknowledge nothing after
    /// [`finish`](Client::finish): 30 s by default.
    pub ack_timeout: Duration,
    /// How long the server has to answer a [`Request::History`]: 30 s by default, which is
    /// longer than a server waits for its disk.
    pub answer_timeout: Duration,
    /// How long the server has to close its side after that: 3 s by default.
    pub drain_timeout: Duration,
    /// The longest frame, sent or received, in bytes: 64 KiB by default.
    pub max_frame: usize,
}

impl Options {
    /// The defaults.
    pub fn new(server: ServerAddress, topics: Vec<TopicName>) -> Self {
        Self {
            server,
            trust: Trust::default(),
            credential: None,
            plain_secrets: PlainSecrets::WithinMachine,
            topics,
            name: Name::Anonymous,
            presence: Presence::Ignore,
            history: History::None,
            port: None,
            protocol: Protocol::Extended,
            reconnect: true,
            wait: false,
            connect_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(3),
            max_frame: Limits::DEFAULT_MAX_FRAME,
        }
    }

    /// The longest frame of a line. With the extended protocol it must leave room for the line's
    /// id.
    pub fn max_line_frame(&self) -> usize {
        match self.protocol {
            Protocol::Extended => self.max_frame - ID_MEMBER.min(self.max_frame),
            Protocol::Classic => self.max_frame,
        }
    }

    /// The longest frame that may arrive: a message with the server's envelope, or a page of
    /// older messages.
    fn max_received_frame(&self) -> usize {
        match self.protocol {
            Protocol::Extended => HISTORY_BYTES.max(self.max_frame + ENVELOPE) + HISTORY_HEAD,
            Protocol::Classic => self.max_frame,
        }
    }

    /// The dialer of the client's connections, for a program that makes another one itself.
    pub fn dialer(&self) -> Dialer {
        self.dialer_for(match self.credential {
            Some(_) => Payload::Secret,
            None => Payload::Public,
        })
    }

    /// The dialer for connections that carry this payload, also before the credential is known.
    pub fn dialer_for(&self, payload: Payload) -> Dialer {
        let is_guarded =
            payload == Payload::Secret && self.plain_secrets == PlainSecrets::WithinMachine;
        Dialer {
            address: self.server.address.clone(),
            timeout: self.connect_timeout,
            max_frame: self.max_received_frame(),
            protection: match self.server.security {
                Security::Tls => Protection::Tls(self.tls()),
                Security::Automatic if is_guarded => Protection::TlsToOthers(self.tls()),
                Security::Plain if is_guarded => Protection::PlainWithinMachine,
                Security::Automatic | Security::Plain => Protection::Plain,
            },
        }
    }

    fn tls(&self) -> Tls {
        let mut trust = self.trust.clone();
        trust.pins.extend(self.server.pin);
        Tls::new(trust)
    }

    /// The TLS settings for a server that refuses plain text, if the address leaves the choice
    /// open. `None` with the classic protocol, because refused lines would be lost.
    fn upgrade(&self) -> Option<Tls> {
        let is_left = self.server.security == Security::Automatic;
        (is_left && self.protocol == Protocol::Extended).then(|| self.tls())
    }

    fn into_session(self) -> Result<Session, secret::NoRandomness> {
        let first_lines = match self.dialer().protection {
            Protection::Plain if self.upgrade().is_some() => FirstLines::AfterAnswer,
            _ => FirstLines::AtOnce,
        };
        Ok(Session::new(SessionConfig {
            topics: self.topics,
            name: self.name,
            presence: self.presence,
            history: self.history,
            port: self.port,
            credential: self.credential,
            ack_timeout: self.ack_timeout,
            replay_timeout: self.drain_timeout,
            answer_timeout: self.answer_timeout,
            key: secret::client_key()?,
            run: secret::run_id()?,
            protocol: self.protocol,
            first_lines,
        }))
    }
}

/// Where a credential may be sent over plain TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainSecrets {
    /// Only to a server on this machine.
    WithinMachine,
    /// To any server. Others on the network can read it.
    Anywhere,
}

/// What is sent over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// No credential.
    Public,
    /// A credential.
    Secret,
}

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
            dialer: options.dialer(),
            upgrade: options.upgrade(),
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
