//! The command line, in two steps: what was typed, then what is meant.
//!
//! Takes the original command lines, with one dash, and today's, with two. Reads
//! nothing but the arguments it is given, and never ends the process: what there
//! is to answer (help, a version, an error) is returned.

use std::ffi::OsString;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use wire::{Address, Limits, TopicName, UserName};

const USAGE: &str = "chat [OPTIONS] -direct PORT
       chat [OPTIONS] -direct 0 ADDRESS:PORT
       chat [OPTIONS] -topic ADDRESS:PORT TOPIC";

const DETAILS: &str = "\
Each line typed is one message; what arrives is printed as TOPIC:TEXT. Notices go
to standard error. The end of the input (Ctrl-D, or a pipe's end) ends the chat.
A long option may be written with one dash or with two.

Examples:
  chat -direct 10000                         wait for somebody to call
  chat -direct 0 127.0.0.1:10000             call them
  chat -topic 127.0.0.1:20000 lame-conversation
  tail -f log | chat -topic [::1]:20000 log  send lines as they come
  chat -topic 127.0.0.1:20000 lab -name alice -last 20
  chat -topic lab.example:20000 -- -dash     a topic that begins with a dash

Exit codes: 0 done, 1 failed (standard error says why), 2 wrong usage, 130
interrupted.";

/// Room for the longest topic and addresses and some text. Less would refuse
/// every line.
const SMALLEST_FRAME: usize = 1024;
/// A day: longer waits are typing errors.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// `-topic ADDRESS:PORT TOPIC`: talk with everybody on a topic.
    Join {
        /// Where the topic server is.
        server: Address,
        /// The topic.
        topic: TopicName,
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
    /// In topic mode: what is asked of the server beyond the specification;
    /// nothing with `--classic`.
    pub extended: Option<Extended>,
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
    /// 1 to 64 characters, and nobody else may have it at that moment. None by
    /// default, because nobody needs one to take part.
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
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "classic")]
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
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = positive_seconds)]
    ack_timeout: Duration,
    /// The longest that connecting may take
    ///
    /// Looking up the name and trying each of its addresses included. 10 seconds
    /// are plenty on any network, and short enough to wait for.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive_seconds)]
    connect_timeout: Duration,
    /// How long the other side has to close when everything is sent
    ///
    /// What arrives until then is printed. 3 seconds, because whoever has
    /// nothing more to say closes at once, and nobody should wait for the rest.
    /// In direct mode they count anew whenever something arrives.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    drain_timeout: Duration,
    /// The longest frame, sent or received
    ///
    /// 64 KiB is what servers allow by default, and more than anybody types.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::DEFAULT_MAX_FRAME, value_parser = frame_size)]
    max_frame: usize,
    /// PORT, or 0 and ADDRESS:PORT, or ADDRESS:PORT and TOPIC.
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Reads a command line, the program's name first.
///
/// The error is what to answer instead of chatting: help, the version, or what
/// was wrong with the usage, each with its exit code.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Config, clap::Error> {
    let mut command = Typed::command();
    command.build();
    let arguments = with_two_dashes(&command, arguments);
    let typed = Typed::from_arg_matches(&command.try_get_matches_from_mut(arguments)?)?;
    typed
        .meant()
        .map_err(|message| command.error(ErrorKind::ValueValidation, message))
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
    /// What is meant by it, or what to type instead.
    fn meant(self) -> Result<Config, String> {
        let rest: Vec<&str> = self.rest.iter().map(String::as_str).collect();
        let mode = match (self.direct, self.topic) {
            (true, false) if self.name.is_some() => return Err(only_by_topic("name")),
            (true, false) if self.last.is_some() => return Err(only_by_topic("last")),
            (true, false) if self.since.is_some() => return Err(only_by_topic("since")),
            (true, false) => direct(&rest)?,
            (false, true) => topic(&rest)?,
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
                extended: (self.topic && !self.classic).then_some(extended),
            },
        })
    }
}

fn only_by_topic(option: &str) -> String {
    format!("--{option} is for a topic: in direct mode nobody is there who could know of it")
}

fn direct(rest: &[&str]) -> Result<Mode, String> {
    let Some((port, rest)) = rest.split_first() else {
        return Err(
            "-direct needs a port: type `chat -direct 10000` to wait for a caller, \
                    or `chat -direct 0 ADDRESS:PORT` to call somebody"
                .into(),
        );
    };
    match (read_port(port)?, rest) {
        (0, []) => Err("-direct 0 calls somebody, and needs to know whom: \
                        type `chat -direct 0 ADDRESS:PORT`"
            .into()),
        (0, [peer]) => {
            let peer = peer.parse().map_err(|error| format!("{error}"))?;
            Ok(Mode::Call { peer })
        }
        (port, []) => Ok(Mode::Wait { port }),
        (port, [address]) => Err(format!(
            "-direct {port} waits for a caller, and takes no address: \
             to call {address}, type `chat -direct 0 {address}`"
        )),
        (_, [_, more, ..]) => Err(format!("-direct takes nothing more: {more:?} is too much")),
    }
}

fn read_port(text: &str) -> Result<u16, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits => Ok(port),
        _ if text.parse::<Address>().is_ok() => Err(format!(
            "-direct needs a port first: to call {text}, type `chat -direct 0 {text}`"
        )),
        _ => Err(format!(
            "{text:?} is no port: a port is a number from 1 to 65535, or 0 to call somebody"
        )),
    }
}

fn topic(rest: &[&str]) -> Result<Mode, String> {
    match rest {
        [] => Err("-topic needs the server's address and a topic: \
                   type `chat -topic ADDRESS:PORT TOPIC`"
            .into()),
        [server] => Err(format!(
            "-topic needs a topic after the server's address: type `chat -topic {server} TOPIC`"
        )),
        [server, topic] => Ok(Mode::Join {
            server: server.parse().map_err(|error| format!("{error}"))?,
            topic: TopicName::new(topic).map_err(|error| error.to_string())?,
        }),
        [_, _, more, ..] => Err(format!(
            "-topic takes one topic, and {more:?} is too much: \
             put quotation marks around a topic with spaces"
        )),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map(Duration::try_from_secs_f64);
    match seconds {
        Ok(Ok(duration)) if duration <= LONGEST_WAIT => Ok(duration),
        _ => Err(format!(
            "a number of seconds from 0 to {}",
            LONGEST_WAIT.as_secs()
        )),
    }
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("a number of seconds above 0".into()),
        duration => Ok(duration),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "a number and s, m, h or d, such as 90s, 10m, 2h or 1d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - unit.len_utf8()];
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let length = number.checked_mul(seconds).filter(|_| is_number);
    length.map(Duration::from_secs).ok_or_else(wrong)
}

fn frame_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size) if (SMALLEST_FRAME..=Limits::LARGEST_FRAME).contains(&size) => Ok(size),
        _ => Err(format!(
            "a number of bytes from {SMALLEST_FRAME} to {}",
            Limits::LARGEST_FRAME
        )),
    }
}

#[cfg(test)]
mod tests;
