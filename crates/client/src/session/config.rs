//! The settings of a session, from the program's options.

use std::time::Duration;

use wire::{ClientKey, Credential, TopicName, UserName};

use super::resume::History;

/// The settings of a session.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The topics to register for.
    pub topics: Vec<TopicName>,
    /// The name by which others know us.
    pub name: Name,
    /// Whether to follow the members of the topics.
    pub presence: Presence,
    /// Which messages from before the first registration to ask for.
    pub history: History,
    /// The port for direct calls.
    pub port: Option<u16>,
    /// The credential, which is in each registration.
    pub credential: Option<Credential>,
    /// After [`finish`](super::Session::finish): how long the server may acknowledge nothing.
    pub ack_timeout: Duration,
    /// After [`finish`](super::Session::finish): how long a replay may pause.
    pub replay_timeout: Duration,
    /// How long the server may take to answer a request for history.
    pub answer_timeout: Duration,
    /// The secret by which the server recognises us.
    pub key: ClientKey,
    /// The prefix of our lines' ids.
    pub run: String,
    /// Which protocol to speak.
    pub protocol: Protocol,
    /// When the first lines are sent to a server that is not known yet.
    pub first_lines: FirstLines,
}

/// When the first lines are sent to a server that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstLines {
    /// With the registration: that saves a round trip.
    AtOnce,
    /// After the server has answered, or after a second. So if the server refuses plain text, no
    /// line was sent in it.
    AfterAnswer,
}

/// The name by which others know a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// No name.
    Anonymous,
    /// This one, or a similar one if it is taken: `alice`, `alice-2` and so on.
    Preferred(UserName),
    /// This one. The client fails if it is taken.
    Required(UserName),
}

impl Name {
    pub(super) fn get(&self) -> Option<&UserName> {
        match self {
            Self::Anonymous => None,
            Self::Preferred(name) | Self::Required(name) => Some(name),
        }
    }
}

/// Whether a client follows the members of its topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The client doesn't follow them.
    Ignore,
    /// The client asks for them when it joins a topic, and reports who joins and leaves.
    Follow,
}

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The extended protocol, and the classic one with a server that doesn't know it.
    Extended,
    /// The classic protocol: nothing is acknowledged, numbered or recovered.
    Classic,
}
