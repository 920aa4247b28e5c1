//! What a client tells the program that uses it.

use std::time::Duration;

use wire::{Address, Durability, Envelope, TopicName, UserName};

use crate::dial::DialError;
use crate::error::{ClientError, Disconnect, HistoryError, ServerError};
use crate::line::Line;
use crate::tls::Proof;

/// Something that happened, in the order in which it happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message arrived.
    Message(Incoming),
    /// The server has stored a line of ours. Where nothing is stored or acknowledged: the line
    /// was sent. No further event follows for it.
    Delivered {
        /// The line.
        line: Line,
        /// Its number in the topic's order, if the server has told it.
        seq: Option<u64>,
    },
    /// The server refused a line of ours: it is not delivered, or only not stored.
    LineRefused {
        /// The line.
        line: Line,
        /// The reason.
        error: ServerError,
    },
    /// The client now takes part in these topics.
    Joined {
        /// The topic or topics.
        topics: Vec<TopicName>,
        /// The client has taken part in one of them before.
        again: bool,
    },
    /// The server has answered a registration, so this connection is an extended one.
    Registered {
        /// The name by which others know us.
        user: Option<String>,
        /// What an acknowledgement of the server promises; none of an older server.
        durability: Option<Durability>,
    },
    /// The client no longer takes part in a topic.
    Left(TopicName),
    /// The name is taken; the client tries a similar one.
    NameTaken(UserName),
    /// The name is reserved for an account; the client tries a similar one.
    NameReserved(UserName),
    /// The server has checked [`Options::credential`](crate::Options::credential), for the first
    /// time or with another result than before.
    Authenticated {
        /// The account; none for a token without an account.
        user: Option<String>,
        /// When the login expires, in milliseconds since the Unix epoch; none if it doesn't.
        expires: Option<u64>,
    },
    /// The server has registered the client without having checked its credential: it has no
    /// accounts.
    NotAuthenticated,
    /// The client may not join a topic, and doesn't take part in it.
    JoinRefused {
        /// The topic or topics.
        topic: TopicName,
        /// The reason.
        error: ServerError,
    },
    /// The client may no longer take part in a topic, and has left it.
    Removed {
        /// The topic or topics.
        topic: TopicName,
        /// One of [`wire::ErrorCode`], as it is written.
        code: String,
    },
    /// Messages are lost: the server doesn't have them any more.
    Gap {
        /// The topic.
        topic: String,
        /// How many.
        count: u64,
    },
    /// Messages that were published while we were away may be missing.
    Incomplete(TopicName),
    /// The server has begun the history of a topic anew: numbers from before mean nothing
    /// any more. An [`Incomplete`](Self::Incomplete) follows.
    Renumbered(TopicName),
    /// The answer to [`Request::History`](crate::Request::History).
    History(HistoryPage),
    /// There is no answer to [`Request::History`](crate::Request::History).
    HistoryFailed {
        /// The topic.
        topic: TopicName,
        /// The reason.
        error: HistoryError,
    },
    /// The answer to [`Request::Who`](crate::Request::Who).
    Members {
        /// The topic.
        topic: String,
        /// The number of connections, those without a name included.
        count: u64,
        /// The users with a name, sorted by it; of very many only the first.
        users: Vec<Person>,
        /// More names follow after these.
        more: bool,
    },
    /// The answer to [`Request::Topics`](crate::Request::Topics): all topics, in the order
    /// of their names.
    Topics(Vec<Topic>),
    /// The answer to [`Request::Lookup`](crate::Request::Lookup).
    Found {
        /// The user's name.
        user: String,
        /// The address at which they can be called.
        ip: String,
        /// The port at which they can be called.
        port: String,
    },
    /// A user has joined a topic.
    UserJoined {
        /// The user's name.
        user: String,
        /// The address from which they are connected.
        ip: String,
        /// The topic or topics.
        topic: String,
    },
    /// A user has left a topic.
    UserLeft {
        /// The user's name.
        user: String,
        /// The topic or topics.
        topic: String,
    },
    /// A request could not be sent.
    RequestRefused(RequestRefused),
    /// The server reports a problem that no single line of ours has caused.
    ServerError(ServerError),
    /// Something has changed at the server that people may want to know, as a sentence. The
    /// connection goes on.
    Notice(String),
    /// The server doesn't know the extended protocol: nothing is acknowledged, and
    /// nothing that is missed can be recovered.
    FellBack,
    /// The server has answered after all: from now on lines are acknowledged.
    Recovered,
    /// A connection was made to this server: what follows is about it.
    Connected {
        /// Its address.
        server: Address,
    },
    /// That connection was made over TLS, and the server has proven who it is.
    Secured(Proof),
    /// Connecting takes unusually long.
    StillConnecting {
        /// To which server.
        server: Address,
    },
    /// One of several servers can't be reached, and the next one is tried.
    Unreachable(DialError),
    /// The connection is lost, and the client will connect again.
    Disconnected {
        /// The reason.
        cause: Disconnect,
        /// The lines that were sent and may not have arrived. They are sent again.
        in_flight: Vec<Line>,
        /// The number of lines that wait to be sent.
        unsent: usize,
    },
    /// The next attempt to connect comes after a pause.
    Retrying {
        /// How long.
        pause: Duration,
        /// Why the last attempt failed, if it was one. With several servers, each other one of the
        /// round had an [`Unreachable`](Self::Unreachable).
        error: Option<DialError>,
    },
    /// A line was accepted while there is no connection. It is sent later.
    Kept(Line),
    /// The last event: how the client ended.
    Ended(Outcome),
}

/// How a client ended.
pub type Outcome = Result<Finished, ClientError>;

/// Everything that was sent has been delivered or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Lines that the server refused; each was an [`Event::LineRefused`].
    pub refused: u64,
    /// How the connection was closed.
    pub closing: Closing,
}

/// How the last connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The server closed its side too.
    Complete,
    /// The server kept it open, and was not waited for any longer.
    KeptOpen,
    /// It was lost after everything had been acknowledged.
    Lost,
    /// The program has dropped the [`Client`](crate::Client) and its
    /// [`Events`](crate::Events).
    Abandoned,
}

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The topic: any text, because a classic server may send any.
    pub topic: String,
    /// The text.
    pub text: String,
    /// What the server has added: number, time, sender.
    pub envelope: Envelope,
    /// Whether it is new.
    pub arrival: Arrival,
}

/// A page of older messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// Their topic.
    pub topic: TopicName,
    /// The messages in their order, with those of the client itself. None of them is also a
    /// separate event.
    pub messages: Vec<Incoming>,
    /// The server has messages that are older than these.
    pub has_older: bool,
}

/// Whether a message is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was published before we registered.
    Replayed {
        /// It is the last one of the replay.
        is_last: bool,
    },
    /// It was published just now.
    Live,
}

/// A user with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub user: String,
    /// The address from which they are connected.
    pub ip: String,
    /// The port at which they can be called, or their connection's.
    pub port: String,
}

/// A topic of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// The number of connections that are registered for it.
    pub members: u64,
    /// The number of messages so far.
    pub messages: u64,
}

/// Why a request can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestRefused {
    /// There is no connection, or the server hasn't answered the registration yet.
    NotConnected,
    /// The server doesn't know the extended protocol.
    Unsupported,
}
