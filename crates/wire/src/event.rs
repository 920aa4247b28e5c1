//! Events: what a server sends to an extended client besides messages. One type for writing and
//! for reading them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::extended;
use crate::frame_error::FrameError;
use crate::scan::Value;

/// The member of `extended` in a frame of the server's.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event<'a> {
    /// The answer to a registration, and to leaving.
    #[serde(borrow)]
    Registered(Registered<'a>),
    /// The answer to `auth`: the account that the connection has logged in to.
    #[serde(borrow)]
    Authenticated(Authenticated<'a>),
    /// The connection may no longer be in a topic, and has left it.
    #[serde(borrow)]
    Removed(Removed<'a>),
    /// A message with an id is stored.
    #[serde(borrow)]
    Ack(Ack<'a>),
    /// The answer to `who`.
    #[serde(borrow)]
    Members(Members<'a>),
    /// The answer to `lookup`.
    #[serde(borrow)]
    Found(Person<'a>),
    /// The answer to `topics`: a page of them, in the order of their names.
    #[serde(borrow)]
    Topics(Vec<TopicSummary<'a>>),
    /// The answer to `history`.
    #[serde(borrow)]
    History(HistoryRange<'a>),
    /// The answer to `ping`: its value.
    #[serde(borrow)]
    Pong(&'a RawValue),
    /// Is the client still there? To be answered with the same value.
    #[serde(borrow)]
    Ping(&'a RawValue),
    /// A user has joined a topic.
    #[serde(borrow)]
    Joined(Presence<'a>),
    /// A user has left a topic.
    #[serde(borrow)]
    Left(Presence<'a>),
    /// A gap: messages that the history no longer has.
    #[serde(borrow)]
    Gap(Gap<'a>),
    /// Come back at some moment within a time: the server is ending, or can't serve its clients for
    /// now.
    #[serde(borrow)]
    Reconnect(Reconnect<'a>),
    /// Something has changed that a person may want to know. The connection goes on.
    #[serde(borrow)]
    Notice(Notice<'a>),
    /// Something went wrong.
    #[serde(borrow)]
    Error(ReportedError<'a>),
}

/// See [`Event::Registered`].
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Registered<'a> {
    /// The name that the connection has.
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    pub user: Option<Cow<'a, str>>,
    /// The state of each topic that the registration named, by name. For a connection that was
    /// classic before, of all its topics.
    pub topics: BTreeMap<String, TopicState>,
    /// The topics that it has left, in the answer to leaving.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub left: Vec<String>,
    /// Other servers of the same service, as `HOST:PORT`, by which a client can come back when
    /// this one is gone; none if the server says nothing about that.
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    pub servers: Option<Vec<Cow<'a, str>>>,
    /// What an acknowledgement of these topics promises. Absent in the answer to leaving, and of
    /// older servers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub durability: Option<Durability>,
}

/// Where a message is when it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On disk; in a cluster, on the disks of most NATS servers.
    Flushed,
    /// In the memory of most NATS servers of a cluster. A power cut of all of them loses the
    /// messages of the last seconds.
    Replicated,
    /// In the memory of the server. A restart loses it.
    Memory,
    /// Something that a newer server promises.
    #[serde(other)]
    Unknown,
}

/// The state of a topic when a connection joined it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TopicState {
    /// The epoch of its history; opaque.
    pub epoch: String,
    /// The newest message's sequence number; 0 if there never was one.
    pub seq: u64,
    /// With a resume: true if every missed message follows; false if only those follow that are
    /// kept, and some may be missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovered: Option<bool>,
}

/// See [`Event::Authenticated`].
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Authenticated<'a> {
    /// The account; none for a token without an account, such as that of a link.
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    pub user: Option<Cow<'a, str>>,
    /// When the login expires, in milliseconds since the Unix epoch; none if it doesn't.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<u64>,
}

/// See [`Event::Removed`].
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Removed<'a> {
    /// The topic that the connection has left.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Why: one of [`ErrorCode`](crate::ErrorCode), as it is written.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
}

/// See [`Event::Ack`].
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Ack<'a> {
    /// The message's id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Its topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Its sequence number there.
    pub seq: u64,
}

/// See [`Event::Members`].
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Members<'a> {
    /// The topic that was asked for.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Connections that are registered for it, those without a name included.
    pub count: u64,
    /// A page of the members with a name, sorted by name.
    #[serde(borrow)]
    pub users: Vec<Person<'a>>,
    /// More entries follow after this page.
    #[serde(skip_serializing_if = "is_false", default)]
    pub more: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A user and the address at which the user can be called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Person<'a> {
    /// The name.
    #[serde(borrow)]
    pub user: Cow<'a, str>,
    /// The address from which the user is connected.
    #[serde(borrow)]
    pub ip: Cow<'a, str>,
    /// The port that the user has announced for direct calls, or that of the connection.
    #[serde(borrow)]
    pub port: Cow<'a, str>,
}

/// See [`Event::Topics`].
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TopicSummary<'a> {
    /// The name.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// Connections that are registered for it.
    pub members: u64,
    /// The newest message's sequence number; 0 if there never was one.
    pub seq: u64,
    /// This is the last topic of a page, and more follow.
    #[serde(skip_serializing_if = "is_false", default)]
    pub more: bool,
}

/// See [`Event::History`].
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct HistoryRange<'a> {
    /// The topic that was asked for.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The epoch of its history.
    #[serde(borrow)]
    pub epoch: Cow<'a, str>,
    /// The oldest message's sequence number; the next one's if there is none.
    pub first: u64,
    /// Whole frames in their order, each as a subscriber gets it.
    pub messages: Vec<Box<RawValue>>,
}

/// See [`Event::Joined`].
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Presence<'a> {
    /// The topic.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The user.
    #[serde(flatten, borrow)]
    pub person: Person<'a>,
}

/// See [`Event::Gap`].
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Gap<'a> {
    /// The topic in which they are missing.
    #[serde(borrow)]
    pub topic: Cow<'a, str>,
    /// The first missing sequence number.
    pub from: u64,
    /// The last one.
    pub to: u64,
}

/// See [`Event::Notice`].
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Notice<'a> {
    /// `no-quorum`: the server doesn't reach those that keep the messages, so none come and none
    /// are taken. `quorum`: it does again.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// The same as a sentence.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
}

/// See [`Event::Reconnect`].
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reconnect<'a> {
    /// Milliseconds. The client chooses its moment within them at random.
    pub within: u64,
    /// Where to, as `HOST:PORT`; empty for the same address.
    #[serde(borrow, skip_serializing_if = "Vec::is_empty", default)]
    pub servers: Vec<Cow<'a, str>>,
}

/// See [`Event::Error`].
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct ReportedError<'a> {
    /// One of [`ErrorCode`](crate::ErrorCode), as it is written.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// What happened, to what, and what to do.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// The id of the message that caused it, if it had one.
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    pub id: Option<Cow<'a, str>>,
    /// The limit of an account or an address that is reached: `messages`, `bytes` or `new-topics`.
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<Cow<'a, str>>,
}

impl<'a> Event<'a> {
    /// Reads the frame that a scanner found in `bytes`. A frame that is none of
    /// these, or not yet known, is an error after which the stream goes on.
    pub fn read(bytes: &'a [u8], value: &Value) -> Result<Self, FrameError> {
        let event = value.extended(bytes).ok_or(FrameError::Unknown)?;
        Ok(extended::read(event)?)
    }

    /// The frame as it goes over the wire: one line, with its end.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::new();
        self.write_line(&mut line);
        line
    }

    /// Appends the frame to other lines.
    pub fn write_line(&self, lines: &mut Vec<u8>) {
        #[derive(serde::Serialize)]
        struct Frame<'a> {
            extended: &'a Event<'a>,
        }
        // Writing into memory can't fail.
        let _ = serde_json::to_writer(&mut *lines, &Frame { extended: self });
        lines.push(b'\n');
    }
}
