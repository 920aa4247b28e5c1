//! The command line, in two steps: what was typed, then what is meant.
//!
//! Takes the original command lines, with one dash, and today's, with two. Reads the
//! arguments and the configuration file, and never ends the process: it returns what to
//! answer (help, a version, the configuration, an error).

mod arguments;
mod config;
mod file;
mod mode;
mod pasted;
mod servers;
mod settings;
mod values;

use std::ffi::OsString;
use std::io::{self, Write as _};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _};

pub use config::{Access, Config, Extended, History, Login, Mode, Notifying, Options, When};

use crate::environment::Environment;
use arguments::Typed;
use file::{File, FileError, Server};
use mode::UsageError;
use settings::Settings;

/// The options, to generate completions and manual pages from.
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
    /// Prints the answer to standard output or standard error.
    pub fn print(&self) -> io::Result<()> {
        match self {
            Self::Usage(error) => error.print(),
            Self::Configuration(text) => io::stdout().write_all(text.as_bytes()),
        }
    }

    /// The exit code of the answer.
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

    /// Whom to talk to, and the server's entry in the configuration file.
    fn mode(&self, file: &File) -> Result<(Mode, Option<Server>), UsageError> {
        let rest: Vec<&str> = self.rest.iter().map(String::as_str).collect();
        if self.find {
            let time = self.find_time;
            return Ok((Mode::Find { time }, None));
        }
        if let Some(server) = &self.forget {
            let found = servers::read(server, file)?;
            let servers = found.servers.iter();
            let servers = servers.map(|server| server.address.clone()).collect();
            return Ok((Mode::Forget { servers }, None));
        }
        match (self.direct, self.topic) {
            (true, false) if self.name.is_some() => Err(UsageError::OnlyByTopic("name")),
            (true, false) if self.last.is_some() => Err(UsageError::OnlyByTopic("last")),
            (true, false) if self.listen.is_some() => Err(UsageError::OnlyByTopic("listen")),
            (true, false) if self.since.is_some() => Err(UsageError::OnlyByTopic("since")),
            (true, false) => mode::direct(&rest, file),
            (false, true) => mode::topic(&rest, file),
            (true, true) => Err(UsageError::TwoModes),
            (false, false) => Err(UsageError::NoMode),
        }
    }

    /// How the server is reached. An option overrides the configuration file.
    fn access(&self, server: Option<Server>) -> Result<Access, UsageError> {
        let login = match (&self.token_file, &self.user) {
            (Some(file), _) => Login::Token(file.clone()),
            (None, Some(user)) => Login::User(user.clone()),
            (None, None) => Login::None,
        };
        let Some(server) = server else {
            return match login {
                Login::None => Ok(Access::default()),
                Login::Token(_) => Err(UsageError::OnlyForServers("--token-file")),
                Login::User(_) => Err(UsageError::OnlyForServers("--user")),
            };
        };
        let its_login = server.token_file.filter(|_| !self.classic);
        Ok(Access {
            authorities: self.tls_ca.clone().or(server.tls_ca),
            accept_new: self.accept_new,
            login: match (login, its_login) {
                (Login::None, Some(file)) => Login::Token(file),
                (login, _) => login,
            },
            insecure_auth: self.insecure_auth,
        })
    }

    /// What is meant by it, or what to type instead.
    fn resolve(self, settings: Settings) -> Result<Config, UsageError> {
        let (mode, server) = self.mode(&settings.file)?;
        let access = self.access(server)?;
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
                stay: self.stay || self.count.is_some() || self.timeout.is_some(),
                reconnect: !self.no_reconnect,
                wait: self.wait,
                connect_timeout: self.connect_timeout,
                drain_timeout: self.drain_timeout,
                max_frame: self.max_frame,
                json: self.json,
                count: self.count,
                timeout: self.timeout,
                quiet: self.quiet,
                whole: self.whole,
                plain: self.plain,
                color: settings.color.value,
                bell: settings.bell.value,
                notify: settings.notify.value,
                sides: settings.sides.value,
                hide_topic: settings.hide_topic.value,
                mouse: settings.mouse.value,
                usual_name: settings.file.name,
                access,
                history_file: !self.no_history_file,
                extended: (self.topic && !self.classic).then_some(extended),
            },
        })
    }
}

#[cfg(test)]
mod tests;
