//! What a command line means.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use client::ServerAddress;
use wire::{Address, TopicName, UserName};

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whom to talk with.
    pub mode: Mode,
    /// How.
    pub options: Options,
}

/// Whom to talk with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `-direct PORT`: wait for a caller.
    Wait {
        /// 1 to 65535.
        port: u16,
    },
    /// `-direct 0 ADDRESS:PORT`: call somebody.
    Call {
        /// Whom.
        peer: Address,
    },
    /// `-direct 0 NAME@ADDRESS:PORT`: call somebody whom a topic server knows.
    CallUser {
        /// Whom.
        user: UserName,
        /// Where the topic server is.
        server: ServerAddress,
    },
    /// `-topic ADDRESS:PORT TOPIC...`: talk with everybody on some topics.
    Join {
        /// Where the topic server is.
        server: ServerAddress,
        /// The topics, at least one, none twice.
        topics: Vec<TopicName>,
    },
    /// `--forget ADDRESS:PORT`: forget the key of a topic server.
    Forget {
        /// Whose.
        server: Address,
    },
}

impl fmt::Display for Mode {
    /// Where that is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait { port } => write!(f, "port {port}"),
            Self::Call { peer } => write!(f, "{peer}"),
            Self::CallUser { user, server } => write!(f, "{user}@{}", server.address),
            Self::Join { server, .. } => write!(f, "{}", server.address),
            Self::Forget { server } => write!(f, "{server}"),
        }
    }
}

/// How to talk. `--help` gives each default and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Go on receiving when the input has ended.
    pub stay: bool,
    /// In topic mode: connect again when the connection is lost.
    pub reconnect: bool,
    /// Try again until the first connection can be made.
    pub wait: bool,
    /// The longest that making a connection may take.
    pub connect_timeout: Duration,
    /// The longest wait for the other side to close when everything is sent.
    pub drain_timeout: Duration,
    /// The longest frame that is sent or received, in bytes.
    pub max_frame: usize,
    /// What arrives is printed as JSON.
    pub json: bool,
    /// End after so many messages.
    pub count: Option<u64>,
    /// End when no message has come for so long.
    pub timeout: Option<Duration>,
    /// Say nothing but what is wrong.
    pub quiet: bool,
    /// All of the input is one message.
    pub whole: bool,
    /// On a terminal too, one line in is one message out.
    pub plain: bool,
    /// When there are colours.
    pub color: When,
    /// A mention of one's name rings.
    pub bell: bool,
    /// How the desktop is told of a mention or a call.
    pub notify: Notifying,
    /// On a wide terminal, members and topics stand at the sides.
    pub sides: bool,
    /// On a terminal, messages don't name the topic that is in view.
    pub hide_topic: bool,
    /// On a terminal, the mouse's wheel is ours, and selecting takes Shift.
    pub mouse: bool,
    /// What is typed on a terminal is remembered from run to run.
    pub history_file: bool,
    /// What to be called on a terminal, if no name was given for this run.
    pub usual_name: Option<UserName>,
    /// How a topic server is reached.
    pub access: Access,
    /// In topic mode: what is asked of the server beyond the specification;
    /// nothing with `--classic`.
    pub extended: Option<Extended>,
}

/// How a topic server is reached, beside its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Certificates of authorities in PEM, instead of the system's.
    pub authorities: Option<PathBuf>,
    /// The key of a server that is new is accepted and kept.
    pub accept_new: bool,
    /// By what we prove who we are.
    pub login: Login,
    /// That is sent to other machines over plain TCP, too.
    pub insecure_auth: bool,
}

/// By what we prove who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// Nothing.
    #[default]
    None,
    /// The token in a file.
    Token(PathBuf),
    /// A user's name, and the password that is asked for on the terminal.
    User(String),
}

/// When there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// On any terminal.
    Always,
    /// Nowhere.
    Never,
}

impl When {
    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    /// Reads what is written.
    pub(super) fn read(text: &str) -> Option<Self> {
        let all = [Self::Auto, Self::Always, Self::Never];
        all.into_iter().find(|when| when.as_str() == text)
    }
}

/// How the desktop is told of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Notifying {
    /// In the way that the terminal is known for.
    #[default]
    Auto,
    /// By the sequence OSC 9.
    Osc9,
    /// By the sequence OSC 777.
    Osc777,
    /// Not at all.
    Never,
}

impl Notifying {
    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Osc9 => "osc9",
            Self::Osc777 => "osc777",
            Self::Never => "never",
        }
    }

    /// Reads what is written.
    pub(super) fn read(text: &str) -> Option<Self> {
        let all = [Self::Auto, Self::Osc9, Self::Osc777, Self::Never];
        all.into_iter().find(|how| how.as_str() == text)
    }
}

/// What is asked of a server beyond the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extended {
    /// The name by which others know us.
    pub name: Option<UserName>,
    /// What is wanted of the time before we came.
    pub history: History,
    /// How long acknowledgements are waited for when the input has ended.
    pub ack_timeout: Duration,
    /// On a terminal: where direct calls are taken, and that is announced.
    pub listen: Option<u16>,
}

/// What is wanted of the time before we came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Nothing.
    None,
    /// So many of the newest messages.
    Last(u64),
    /// Those that are no older than this.
    Since(Duration),
}
