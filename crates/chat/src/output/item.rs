//! What happens, on its way to a person's screen: facts, without words or looks.

use client::{HistoryPage, Incoming, Line};
use wire::TopicName;

use super::sanitize::push_escaped;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A message arrived.
    Message(Incoming),
    /// A line of ours has arrived, as this number of its topic's messages if that is known.
    Delivered { line: Line, seq: Option<u64> },
    /// Older messages arrived.
    Older(HistoryPage),
    /// Older messages of that topic will not.
    OlderFailed(TopicName),
    /// Numbers of that topic's messages from before mean nothing any more.
    Renumbered(TopicName),
    /// A line of ours never will.
    Refused(Line),
    /// The program says something.
    Notice(NoticeText),
    /// A line of a direct call.
    CallLine(CallLine),
    /// What has become of a direct call.
    Call(Call),
    /// We take part in these topics now.
    Joined(Vec<TopicName>),
    /// We have left one.
    Left(TopicName),
    /// Who is there.
    Members {
        topic: String,
        count: u64,
        users: Vec<String>,
    },
    /// A user has joined.
    Came { topic: String, user: String },
    /// A user has left.
    Went { topic: String, user: String },
    /// The connection.
    Connection(Connection),
    /// A connection to the server at this address was made.
    Server(String),
}

/// A notice of the program, in one line.
#[derive(Clone, Debug)]
pub(crate) struct NoticeText {
    /// The text, escaped.
    pub(crate) text: String,
    pub(crate) severity: Severity,
    /// The topic that it is about.
    pub(crate) about: Option<String>,
}

/// A line of a direct call.
#[derive(Clone, Debug)]
pub(crate) struct CallLine {
    /// The sender; `None` for our own lines.
    pub(crate) who: Option<String>,
    /// The topic under which it came.
    pub(crate) topic: String,
    /// The text.
    pub(crate) text: String,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// For information.
    Info,
    /// Something is lost, or isn't as it should be.
    Warning,
    /// A person should look at it now.
    Alert,
}

/// The end of a direct call, or of a line in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// It has ended, or could not be made.
    Ended,
    /// This line can't be sent, and goes back into the text box.
    NotSaid(String),
}

/// The connection to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// It is being made.
    Connecting,
    /// It waits for a caller.
    Waiting,
    /// The connection is there.
    Up,
    /// It is lost, and will be made again after this many seconds.
    Down { seconds: u64 },
}

impl NoticeText {
    /// What is said about a topic, or in general.
    pub(crate) fn new(text: &str, severity: Severity, about: Option<&str>) -> Self {
        let mut escaped = String::new();
        push_escaped(&mut escaped, text);
        Self {
            text: escaped,
            severity,
            about: about.map(Into::into),
        }
    }
}

impl Item {
    /// What it costs to keep, in bytes.
    pub(crate) fn cost(&self) -> usize {
        let text = match self {
            Self::Message(incoming) => incoming.text.len() + incoming.topic.len(),
            Self::Delivered { line, .. } | Self::Refused(line) => line.text.len(),
            Self::Older(page) => {
                let cost = |one: &Incoming| one.text.len() + size_of::<Incoming>();
                page.messages.iter().map(cost).sum()
            }
            Self::Notice(said) => said.text.len(),
            Self::CallLine(line) => line.text.len(),
            Self::Members { users, .. } => users.iter().map(String::len).sum(),
            _ => 0,
        };
        text + size_of::<Self>()
    }
}
