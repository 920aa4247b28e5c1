//! The command line, in two steps: what was typed, then what is meant.
//!
//! Takes the original command lines, with one dash, and today's, with two. Reads
//! nothing but the arguments it is given, and never ends the process: what there
//! is to answer (help, a version, an error) is returned.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use wire::{Address, Limits, TopicName, UserName};

use crate::Surroundings;
use crate::config::File;
use wishes::Wishes;

const USAGE: &str = "chat [OPTIONS] -direct PORT
       chat [OPTIONS] -direct 0 ADDRESS:PORT
       chat [OPTIONS] -direct 0 NAME@ADDRESS:PORT
       chat [OPTIONS] -topic ADDRESS:PORT TOPIC...";

const DETAILS: &str = "\
Each line typed is one message; what arrives is printed as TOPIC:TEXT. Notices go
to standard error. The end of the input (Ctrl-D, or a pipe's end) ends the chat.
On a terminal, lines are edited and there are commands: type /help. With several
topics, lines go to the first one, or to the one that /topic chooses.
A long option may be written with one dash or with two.

Examples:
  chat -direct 10000                         wait for somebody to call
  chat -direct 0 127.0.0.1:10000             call them
  chat -direct 0 alice@127.0.0.1:20000       call whom that topic server knows
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
    /// With whom to talk.
    pub mode: Mode,
    /// How.
    pub options: Options,
}

/// With whom to talk.
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
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    /// Reads what is written.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let all = [Self::Auto, Self::Always, Self::Never];
        let mut all = all.into_iter().filter(|when| when.as_str() == text);
        let wrong = || format!("color is auto, always or never, not {text:?}");
        all.next().ok_or_else(wrong)
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
    /// Otherwise the chat ends with the input, as `echo hello | chat ...` should.
    #[arg(long)]
    stay: bool,
    /// By topic: end with exit code 1 when the connection is lost
    ///
    /// Otherwise connecting is tried again for as long as it takes, because
    /// people want to be back, not to notice.
    #[arg(long)]
    no_reconnect: bool,
    /// By topic: the name by which others know you
    ///
    /// 1 to 64 characters, and nobody else may have it at that moment. On a
    /// terminal your login name by default; otherwise none, because nobody needs
    /// one to take part.
    #[arg(long, value_name = "NAME", conflicts_with = "classic")]
    name: Option<UserName>,
    /// By topic: begin with the last COUNT messages
    ///
    /// As far as the server keeps them. None by default: what a script reads
    /// shouldn't depend on what was said before it came.
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["classic", "since"])]
    last: Option<u64>,
    /// By topic: begin with the messages of the last TIME, as 90s, 10m, 2h or 1d
    ///
    /// As far as the server keeps them. None by default, as with --last.
    #[arg(long, value_name = "TIME", value_parser = values::time, conflicts_with = "classic")]
    since: Option<Duration>,
    /// Print each message as a JSON object: topic, text, user, time, seq
    ///
    /// One a line, for programs; what isn't known isn't in it, and time is in
    /// milliseconds since 1970. Otherwise it is TOPIC:TEXT, for people.
    #[arg(long)]
    json: bool,
    /// By topic: send nothing but what the original specification has
    ///
    /// Nothing is acknowledged then, and what is missed while the connection is
    /// lost stays missed. Otherwise more is asked for, and a server that doesn't
    /// know what is meant is talked to as if this had been typed.
    #[arg(long)]
    classic: bool,
    /// By topic: how long acknowledgements may take when the input has ended
    ///
    /// Counted anew from each that comes. Then the chat fails, and names what may
    /// not have arrived. 30 seconds, because a server that was restarted is back by
    /// then, and whoever waits for a pipe wants to know.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::positive_seconds)]
    ack_timeout: Duration,
    /// The longest that connecting may take
    ///
    /// Looking up the name and trying each of its addresses included. 10 seconds
    /// are plenty on any network, and short enough to wait for.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = values::positive_seconds)]
    connect_timeout: Duration,
    /// How long the other side has to close when everything is sent
    ///
    /// What arrives until then is printed. 3 seconds, because whoever has
    /// nothing more to say closes at once, and nobody should wait for the rest.
    /// In direct mode they count anew whenever something arrives.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = values::seconds)]
    drain_timeout: Duration,
    /// The longest frame, sent or received
    ///
    /// 64 KiB is what servers allow by default, and more than anybody types.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::DEFAULT_MAX_FRAME, value_parser = values::frame_size)]
    max_frame: usize,
    /// By topic, on a terminal: take direct calls on PORT
    ///
    /// The server is told of it, so that others can call you by name. You are asked
    /// before anybody is let through.
    #[arg(long, value_name = "PORT", conflicts_with = "classic",
        value_parser = clap::value_parser!(u16).range(1..))]
    listen: Option<u16>,
    /// On a terminal: do as in a pipe, one line in, one message out
    ///
    /// Otherwise lines are edited there, and shown with names, times and colours.
    #[arg(long)]
    plain: bool,
    /// When to use colours
    ///
    /// There are none in a pipe. auto heeds NO_COLOR.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: When,
    /// On a terminal: don't ring when your name is mentioned
    #[arg(long)]
    no_bell: bool,
    /// On a terminal: don't remember what was typed from run to run
    ///
    /// Otherwise it is kept in natter/history in the state directory, readable by
    /// you alone.
    #[arg(long)]
    no_history_file: bool,
    /// Read this configuration file, not natter/chat.toml in the usual place
    #[arg(long, value_name = "FILE", conflicts_with = "no_config")]
    config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long)]
    no_config: bool,
    /// Print what is in force by default, and from where, and do nothing else
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

/// Reads a command line, the program's name first.
///
/// The error is what to answer instead of chatting: help, the version, or what
/// was wrong with the usage, each with its exit code.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    around: &Surroundings,
) -> Result<Config, clap::Error> {
    let mut command = Typed::command();
    command.build();
    let arguments = with_two_dashes(&command, arguments);
    let matches = command.try_get_matches_from_mut(arguments)?;
    let typed = Typed::from_arg_matches(&matches)?;
    let mut wrong = |message: String| command.error(ErrorKind::ValueValidation, message);
    let file = typed.file(around).map_err(&mut wrong)?;
    let is_given = |option: &str| matches.value_source(option) == Some(ValueSource::CommandLine);
    let wishes = Wishes::new(&typed, &is_given, around, file);
    if typed.print_config {
        return Err(clap::Error::raw(ErrorKind::DisplayHelp, wishes.to_string()));
    }
    typed.meant(wishes).map_err(wrong)
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
    fn file(&self, around: &Surroundings) -> Result<File, String> {
        match (&self.config, &around.config) {
            _ if self.no_config => Ok(File::default()),
            (Some(path), _) => File::read(path, true),
            (None, Some(usual)) => File::read(&usual.join("natter").join("chat.toml"), false),
            (None, None) => Ok(File::default()),
        }
    }

    /// What is meant by it, or what to type instead.
    fn meant(self, wishes: Wishes) -> Result<Config, String> {
        let rest: Vec<&str> = self.rest.iter().map(String::as_str).collect();
        let mode = match (self.direct, self.topic) {
            (true, false) if self.name.is_some() => return Err(only_by_topic("name")),
            (true, false) if self.last.is_some() => return Err(only_by_topic("last")),
            (true, false) if self.listen.is_some() => return Err(only_by_topic("listen")),
            (true, false) if self.since.is_some() => return Err(only_by_topic("since")),
            (true, false) => mode::direct(&rest, &wishes.file)?,
            (false, true) => mode::topic(&rest, &wishes.file)?,
            (true, true) => {
                return Err("-direct and -topic are two ways to chat: choose one".into());
            }
            (false, false) => {
                return Err("choose a way to chat: -direct or -topic".into());
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
                color: wishes.color.value,
                bell: wishes.bell.value,
                usual_name: wishes.file.name,
                history_file: !self.no_history_file,
                extended: (self.topic && !self.classic).then_some(extended),
            },
        })
    }
}

fn only_by_topic(option: &str) -> String {
    format!("--{option} is for a topic: in direct mode nobody is there who could know of it")
}

mod mode;
mod values;
mod wishes;

#[cfg(test)]
mod tests;
