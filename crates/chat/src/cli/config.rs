//! What a command line means.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use client::ServerList;
use wire::{Address, TopicName, UserName};

/// The meaning of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whom to talk to.
    pub mode: Mode,
    /// The options.
    pub options: Options,
}

/// Whom to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `-direct PORT`: wait for a caller.
    Wait {
        /// 1 to 65535.
        port: u16,
    },
    /// `-direct 0 ADDRESS:PORT`: call somebody.
    Call {
        /// The peer's address.
        peer: Address,
    },
    /// `-direct 0 NAME@ADDRESS:PORT`: call somebody whom a topic server knows.
    CallUser {
        /// The user's name.
        user: UserName,
        /// The addresses of the topic server.
        servers: ServerList,
    },
    /// `-topic ADDRESS:PORT TOPIC...`: talk with everybody on some topics.
    Join {
        /// The addresses of the topic server.
        servers: ServerList,
        /// The topics, at least one, none twice.
        topics: Vec<TopicName>,
    },
    /// `--find`: list the servers on this network.
    Find {
        /// How long to wait for answers.
        time: Duration,
    },
    /// `--forget ADDRESS:PORT`: forget the key of a topic server.
    Forget {
        /// The addresses of the server.
        servers: Vec<Address>,
    },
}

impl fmt::Display for Mode {
    /// The place, as notices name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait { port } => write!(f, "port {port}"),
            Self::Call { peer } => write!(f, "{peer}"),
            Self::CallUser { user, servers } => write!(f, "{user}@{}", servers.addresses()),
            Self::Join { servers, .. } => f.write_str(&servers.addresses()),
            Self::Find { .. } => f.write_str("this network"),
            Self::Forget { servers } => {
                let servers: Vec<_> = servers.iter().map(Address::to_string).collect();
                f.write_str(&servers.join(","))
            }
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
    /// End after this many messages.
    pub count: Option<u64>,
    /// End when no message has come for this long.
    pub timeout: Option<Duration>,
    /// Report only errors.
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
    /// On a wide terminal, members and topics are listed at the sides.
    pub sides: bool,
    /// On a terminal, messages don't name the topic that is in view.
    pub hide_topic: bool,
    /// On a terminal, chat takes the mouse's wheel, and selecting text needs Shift.
    pub mouse: bool,
    /// Typed lines are remembered from run to run.
    pub history_file: bool,
    /// The usual name on a terminal, if no name was given for this run.
    pub usual_name: Option<UserName>,
    /// How a topic server is reached.
    pub access: Access,
    /// In topic mode: the options of the extended protocol; `None` with `--classic`.
    pub extended: Option<Extended>,
}

/// How a topic server is reached, beside its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Certificates of authorities in PEM, instead of the system's.
    pub authorities: Option<PathBuf>,
    /// The key of a server that is new is accepted and kept.
    pub accept_new: bool,
    /// The credential.
    pub login: Login,
    /// A credential may be sent to other machines over plain TCP.
    pub insecure_auth: bool,
}

/// The credential.
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
    /// The value as it is written.
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
    /// The value as it is written.
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

/// The options of the extended protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extended {
    /// The name by which others know us.
    pub name: Option<UserName>,
    /// Which older messages to ask for.
    pub history: History,
    /// How long acknowledgements are waited for when the input has ended.
    pub ack_timeout: Duration,
    /// On a terminal: the port for direct calls, which is announced.
    pub listen: Option<u16>,
}

/// Which older messages to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Nothing.
    None,
    /// This many of the newest messages.
    Last(u64),
    /// Those that are no older than this.
    Since(Duration),
}
