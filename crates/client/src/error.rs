//! Errors as types, which a program can match.
//!
//! Their texts are short and for logs. A user interface writes its own sentences.

use std::fmt;
use std::time::Duration;

use wire::{TopicName, UserName};

use crate::dial::DialError;
use crate::line::Line;
use crate::link::LinkError;
use crate::queue::Queue;
use crate::secret::NoRandomness;

/// An error that the server reports, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct ServerError {
    /// One of [`wire::ErrorCode`], or one that this version doesn't know.
    pub code: String,
    /// What happened, to what, and what to do.
    pub text: String,
}

impl ServerError {
    /// Reads the text of a message under [`wire::ErrorCode::TOPIC`].
    pub(crate) fn read(text: &str) -> Self {
        let (code, text) = wire::ErrorCode::split_text(text);
        Self {
            code: code.into(),
            text: text.into(),
        }
    }

    /// The server reports this error.
    pub fn is(&self, code: wire::ErrorCode) -> bool {
        self.code == code.as_str()
    }
}

/// Why a connection was lost.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Disconnect {
    /// The connection failed or was closed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The server stopped responding.
    #[error("the server stopped responding")]
    Silent,
    /// The server closed it, and said why.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server has asked to connect again: it is ending, or can't serve its clients for now.
    #[error("the server has asked to connect again")]
    Asked,
    /// No other connection can be made, for a reason that doesn't go away by itself.
    #[error(transparent)]
    Dial(Box<DialError>),
}

/// What a session can't handle by itself.
#[derive(Clone, Debug)]
pub enum SessionError {
    /// The connection can't go on; the next one may.
    Lost(Disconnect),
    /// Another connection would not help.
    Failed(ClientError),
}

/// Why a client ended without having delivered everything.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// The first connection could not be made.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The first connection could not be made to any of several servers: one error each.
    #[error("none of the servers can be reached: {}", joined(.0))]
    Unreachable(Vec<DialError>),
    /// No key could be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The connection was lost, and reconnecting was off or would not help.
    #[error("the connection was lost: {cause}; {undelivered}")]
    Lost {
        /// The reason.
        cause: Disconnect,
        /// What may not have arrived.
        undelivered: Undelivered,
    },
    /// The client was told to finish while there was no connection.
    #[error("there was no connection at the end: the last lines may not have arrived")]
    Unconnected,
    /// Acknowledgements did not come in time.
    #[error("the server acknowledged nothing for {} s; {undelivered}", .timeout.as_secs_f64())]
    Unacknowledged {
        /// How long the client has waited.
        timeout: Duration,
        /// What may not have arrived.
        undelivered: Undelivered,
    },
    /// The history that was asked for did not come in time.
    #[error("the server sent no history within {} s", .timeout.as_secs_f64())]
    NoHistory {
        /// How long the client has waited.
        timeout: Duration,
    },
    /// Another client has the name.
    #[error("the name {0} is taken")]
    NameTaken(UserName),
    /// The name is reserved for an account that the client has not logged in to.
    #[error("the name {0} is reserved")]
    NameReserved(UserName),
    /// The server refused the registration.
    #[error("the server refused the registration: {0}")]
    Refused(Refusal),
}

fn joined(errors: &[DialError]) -> String {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}

impl From<Vec<DialError>> for ClientError {
    fn from(mut errors: Vec<DialError>) -> Self {
        match (errors.pop(), errors.is_empty()) {
            (Some(error), true) => Self::Dial(error),
            (last, _) => {
                errors.extend(last);
                Self::Unreachable(errors)
            }
        }
    }
}

impl ClientError {
    /// Adds lines that the program has not handed over any more, if this error counts
    /// what was not delivered.
    pub fn add_undelivered<'a>(&mut self, lines: impl IntoIterator<Item = &'a Line>) {
        if let Self::Lost { undelivered, .. } | Self::Unacknowledged { undelivered, .. } = self {
            undelivered.extend(lines);
        }
    }
}

/// Why older messages didn't come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The server reports an error.
    #[error(transparent)]
    Refused(#[from] ServerError),
    /// The server has begun the topic's history anew, so the number that was asked with means
    /// nothing any more.
    #[error("the server has begun the topic's history anew")]
    Renumbered,
    /// The server doesn't know the extended protocol.
    #[error("the server doesn't know the extended protocol")]
    Unsupported,
    /// Each connection over which the page was asked for was lost.
    #[error("the connection was lost each time")]
    Lost,
    /// The server goes on, but did not answer in time.
    #[error("the server did not answer within {} s", .timeout.as_secs_f64())]
    Unanswered {
        /// How long the client has waited.
        timeout: Duration,
    },
}

/// How the server refused the registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// With an error.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server's answer leaves a topic out.
    #[error("it has not registered us for {0}")]
    NotRegistered(TopicName),
}

/// The lines that were not delivered when a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The server acknowledges nothing: this many lines were not completely written.
    /// The others may or may not have arrived.
    Unsent(usize),
    /// This many lines are not acknowledged.
    Unacknowledged {
        /// How many.
        count: usize,
        /// The text of the oldest one.
        first: String,
    },
}

impl Undelivered {
    /// The lines that are left when nothing is acknowledged.
    pub fn unsent(queue: &Queue) -> Self {
        Self::Unsent(queue.unsent())
    }

    /// The lines that are left when every line is acknowledged.
    pub fn unacknowledged(queue: &Queue) -> Self {
        Self::Unacknowledged {
            count: queue.unacknowledged() + queue.unsent(),
            first: queue.first().unwrap_or_default().to_owned(),
        }
    }

    /// Adds lines that the client never got.
    fn extend<'a>(&mut self, lines: impl IntoIterator<Item = &'a Line>) {
        for line in lines {
            match self {
                Self::Unsent(count) => *count += 1,
                Self::Unacknowledged { count, first } => {
                    if *count == 0 {
                        first.clone_from(&line.text);
                    }
                    *count += 1;
                }
            }
        }
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unsent(count) | Self::Unacknowledged { count, .. }) = self;
        match count {
            1 => f.write_str("1 line is left"),
            count => write!(f, "{count} lines are left"),
        }
    }
}
