//! The command line, in two steps: what was typed, then what is meant.
//!
//! Takes the original command lines, with one dash, and today's, with two. Reads the
//! arguments and the configuration file, and never ends the process: it returns what to
//! answer (help, a version, the configuration, an error).

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use wire::{Address, Limits, TopicName, UserName};

use crate::environment::Environment;
use file::{File, FileError};
use mode::UsageError;
use settings::Settings;

const USAGE: &str = "chat [OPTIONS] -direct PORT
       chat [OPTIONS] -direct 0 ADDRESS:PORT
       chat [OPTIONS] -direct 0 NAME@ADDRESS:PORT
       chat [OPTIONS] -topic ADDRESS:PORT TOPIC...";

const DETAILS: &str = "\
Each line you type is one message. Messages that arrive are printed as TOPIC:TEXT.
Notices go to standard error. The chat ends at the end of the input (Ctrl-D, or the
end of a pipe). On a terminal you can edit lines and use commands: type /help. With
several topics, lines go to the first one, or to the one that /topic chooses.
A long option may be written with one dash or with two.

Examples:
  chat -direct 10000                         wait for a call
  chat -direct 0 127.0.0.1:10000             call that address
  chat -direct 0 alice@127.0.0.1:20000       call alice, whom that server knows
  chat -topic 127.0.0.1:20000 lame-conversation
  chat -topic 127.0.0.1:20000 lab lunch      two topics at once
  tail -f log | chat -topic [::1]:20000 log  send lines as they come
  chat -topic 127.0.0.1:20000 lab -name alice -last 20
  chat -topic lab.example:20000 -- -dash     a topic that begins with a dash

Exit codes: 0 done, 1 failed (standard error says why), 2 wrong usage, 130
interrupted; on a terminal also 143 terminated, 129 hung up.";

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
        server: Address,
    },
    /// `-topic ADDRESS:PORT TOPIC...`: talk with everybody on some topics.
    Join {
        /// Where the topic server is.
        server: Address,
        /// The topics, at least one, none twice.
        topics: Vec<TopicName>,
    },
}

/// How to talk. `--help` gives each default and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Go on receiving when the input has ended.
    pub stay: bool,
    /// In topic mode: connect again when the connection is lost.
    pub reconnect: bool,
    /// The longest that making a connection may take.
    pub connect_timeout: Duration,
    /// The longest wait for the other side to close when everything is sent.
    pub drain_timeout: Duration,
    /// The longest frame that is sent or received, in bytes.
    pub max_frame: usize,
    /// What arrives is printed as JSON.
    pub json: bool,
    /// On a terminal too, one line in is one message out.
    pub plain: bool,
    /// When there are colours.
    pub color: When,
    /// A mention of one's name rings.
    pub bell: bool,
    /// What is typed on a terminal is remembered from run to run.
    pub history_file: bool,
    /// What to be called on a terminal, if no name was given for this run.
    pub usual_name: Option<UserName>,
    /// In topic mode: what is asked of the server beyond the specification;
    /// nothing with `--classic`.
    pub extended: Option<Extended>,
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
    fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    /// Reads what is written.
    fn read(text: &str) -> Option<Self> {
        let all = [Self::Auto, Self::Always, Self::Never];
        all.into_iter().find(|when| when.as_str() == text)
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

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "chat",
    version,
    about = "Talk directly with one person, or by topic with any number",
    long_about = None,
    override_usage = USAGE,
    after_help = DETAILS
)]
struct Typed {
    /// Talk directly: wait for a caller on PORT, or with 0 call ADDRESS:PORT
    #[arg(long)]
    direct: bool,
    /// Talk by topic: ADDRESS:PORT is where topicserver runs
    #[arg(long)]
    topic: bool,
    /// Go on receiving when the input has ended
    ///
    /// By default the chat ends with the input, so that `echo hello | chat ...` ends.
    #[arg(long)]
    stay: bool,
    /// By topic: end with exit code 1 when the connection is lost
    ///
    /// By default chat reconnects until it succeeds.
    #[arg(long)]
    no_reconnect: bool,
    /// By topic: the name by which others know you
    ///
    /// 1 to 64 characters. Only one person at a time can have a name. The default is
    /// your login name on a terminal and no name in a pipe: a name is optional.
    #[arg(long, value_name = "NAME", conflicts_with = "classic")]
    name: Option<UserName>,
    /// By topic: begin with the last COUNT messages
    ///
    /// The server sends those that it still has. The default is none, so that the output
    /// of a script doesn't depend on earlier messages.
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["classic", "since"])]
    last: Option<u64>,
    /// By topic: begin with the messages of the last TIME, as 90s, 10m, 2h or 1d
    ///
    /// The server sends those that it still has. The default is none, as with --last.
    #[arg(long, value_name = "TIME", value_parser = values::time, conflicts_with = "classic")]
    since: Option<Duration>,
    /// Print each message as a JSON object: topic, text, user, time, seq
    ///
    /// One object a line, for programs. Unknown members are left out; time is in
    /// milliseconds since 1970. The default is TOPIC:TEXT, for people.
    #[arg(long)]
    json: bool,
    /// By topic: speak only the protocol of the original specification
    ///
    /// Then nothing is acknowledged, and messages that are sent while the connection is
    /// lost are missed. By default chat speaks the extended protocol, and the original
    /// one with a server that doesn't know it.
    #[arg(long)]
    classic: bool,
    /// By topic: the longest wait for an acknowledgement when the input has ended
    ///
    /// Each acknowledgement starts the time again. When it is over, chat fails and names
    /// the lines that may not have arrived. 30 seconds are enough to restart a server.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::positive_seconds)]
    ack_timeout: Duration,
    /// The longest that connecting may take
    ///
    /// This includes looking up the name and trying each of its addresses. 10 seconds are
    /// enough on any network.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = values::positive_seconds)]
    connect_timeout: Duration,
    /// How long the other side has to close when everything is sent
    ///
    /// Messages that arrive until then are printed. A program with nothing more to say
    /// closes at once, so 3 seconds are enough. In direct mode each message that arrives
    /// starts the time again.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = values::seconds)]
    drain_timeout: Duration,
    /// The longest frame, sent or received
    ///
    /// 64 KiB is what servers allow by default, and more than a person types.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::DEFAULT_MAX_FRAME, value_parser = values::frame_size)]
    max_frame: usize,
    /// By topic, on a terminal: take direct calls on PORT
    ///
    /// The server announces the port, so that others can call you by name. You decide
    /// about each call with /accept or /decline.
    #[arg(long, value_name = "PORT", conflicts_with = "classic",
        value_parser = clap::value_parser!(u16).range(1..))]
    listen: Option<u16>,
    /// On a terminal: behave as in a pipe, one line in, one message out
    ///
    /// By default you can edit lines there, and messages have names, times and colours.
    #[arg(long)]
    plain: bool,
    /// When to use colours
    ///
    /// A pipe has no colours. auto respects NO_COLOR.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: When,
    /// On a terminal: don't ring when your name is mentioned
    #[arg(long)]
    no_bell: bool,
    /// On a terminal: don't keep the lines you type for the next run
    ///
    /// By default they are kept in natter/history in the state directory, which only you
    /// can read.
    #[arg(long)]
    no_history_file: bool,
    /// Read this configuration file instead of natter/chat.toml in the usual place
    #[arg(long, value_name = "FILE", conflicts_with = "no_config")]
    config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long)]
    no_config: bool,
    /// Print the configuration in force as a configuration file, and exit
    ///
    /// A comment after each value says where it comes from.
    #[arg(long)]
    print_config: bool,
    /// PORT, or 0 and ADDRESS:PORT, or ADDRESS:PORT and TOPICs.
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// The options, for whoever describes them: shells and manuals.
pub fn command() -> clap::Command {
    Typed::command()
}

/// What to answer instead of chatting.
#[derive(Debug)]
pub enum Answer {
    /// Help, the version, or what is wrong with the command line.
    Usage(clap::Error),
    /// The configuration, as a file.
    Configuration(String),
}

impl Answer {
    /// Prints it where it belongs.
    pub fn print(&self) -> io::Result<()> {
        match self {
            Self::Usage(error) => error.print(),
            Self::Configuration(text) => io::stdout().write_all(text.as_bytes()),
        }
    }

    /// The exit code that goes with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(error) => u8::try_from(error.exit_code()).unwrap_or(1),
            Self::Configuration(_) => 0,
        }
    }
}

impl From<clap::Error> for Answer {
    fn from(error: clap::Error) -> Self {
        Self::Usage(error)
    }
}

/// Why a command line or the configuration can't be used.
#[derive(Debug, thiserror::Error)]
enum ConfigError {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Reads a command line, the program's name first.
///
/// The error is what to answer instead of chatting.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Config, Answer> {
    let mut command = Typed::command();
    command.build();
    let arguments = with_two_dashes(&command, arguments);
    let matches = command.try_get_matches_from_mut(arguments)?;
    let typed = Typed::from_arg_matches(&matches)?;
    let mut wrong = |error: ConfigError| command.error(ErrorKind::ValueValidation, error);
    let file = typed.file(environment);
    let file = file.map_err(|error| wrong(error.into()))?;
    let is_given = |option: &str| matches.value_source(option) == Some(ValueSource::CommandLine);
    let settings = Settings::resolve(&typed, &is_given, environment, file);
    if typed.print_config {
        return Err(Answer::Configuration(settings.to_string()));
    }
    let config = typed.resolve(settings);
    Ok(config.map_err(|error| wrong(error.into()))?)
}

/// Turns `-NAME` into `--NAME`, where the command has a long option NAME, up to
/// a `--`. The specification's command lines have one dash, which clap reads as
/// a row of short options.
fn with_two_dashes(
    command: &clap::Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let is_long = |name: &str| {
        command
            .get_arguments()
            .any(|arg| arg.get_long() == Some(name))
    };
    let mut options_end = false;
    let one = |argument: OsString| {
        options_end |= argument == "--";
        match argument.to_str().and_then(|text| text.strip_prefix('-')) {
            Some(name) if !options_end && is_long(name) => format!("--{name}").into(),
            _ => argument,
        }
    };
    arguments.into_iter().map(one).collect()
}

impl Typed {
    /// The configuration file, if there is one.
    fn file(&self, environment: &Environment) -> Result<File, FileError> {
        match (&self.config, &environment.config) {
            _ if self.no_config => Ok(File::default()),
            (Some(path), _) => File::read(path),
            (None, Some(usual)) => File::read_if_exists(&usual.join("natter").join("chat.toml")),
            (None, None) => Ok(File::default()),
        }
    }

    /// What is meant by it, or what to type instead.
    fn resolve(self, settings: Settings) -> Result<Config, UsageError> {
        let rest: Vec<&str> = self.rest.iter().map(String::as_str).collect();
        let mode = match (self.direct, self.topic) {
            (true, false) if self.name.is_some() => return Err(UsageError::OnlyByTopic("name")),
            (true, false) if self.last.is_some() => return Err(UsageError::OnlyByTopic("last")),
            (true, false) if self.listen.is_some() => {
                return Err(UsageError::OnlyByTopic("listen"));
            }
            (true, false) if self.since.is_some() => return Err(UsageError::OnlyByTopic("since")),
            (true, false) => mode::direct(&rest, &settings.file)?,
            (false, true) => mode::topic(&rest, &settings.file)?,
            (true, true) => {
                return Err(UsageError::TwoModes);
            }
            (false, false) => {
                return Err(UsageError::NoMode);
            }
        };
        let history = match (self.last, self.since) {
            (Some(count), _) => History::Last(count),
            (None, Some(ago)) => History::Since(ago),
            (None, None) => History::None,
        };
        let extended = Extended {
            name: self.name,
            history,
            ack_timeout: self.ack_timeout,
            listen: self.listen,
        };
        Ok(Config {
            mode,
            options: Options {
                stay: self.stay,
                reconnect: !self.no_reconnect,
                connect_timeout: self.connect_timeout,
                drain_timeout: self.drain_timeout,
                max_frame: self.max_frame,
                json: self.json,
                plain: self.plain,
                color: settings.color.value,
                bell: settings.bell.value,
                usual_name: settings.file.name,
                history_file: !self.no_history_file,
                extended: (self.topic && !self.classic).then_some(extended),
            },
        })
    }
}

mod file;
mod mode;
mod settings;
mod values;

#[cfg(test)]
mod tests;
