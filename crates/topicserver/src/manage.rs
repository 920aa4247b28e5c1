//! The commands that change the file `--auth`: `topicserver user`, `token`, `allow`, `link`. A
//! running server notices the change.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};
use wire::{TopicName, TopicNameError, UserName};

use crate::access::{Change, Edit, EditError, NewToken, Subject, seconds};
use crate::clock;
use crate::percent::escaped;

/// Say who may do what on a topicserver that is started with --auth.
#[derive(Debug, Parser)]
#[command(name = "topicserver", version)]
pub struct Manage {
    #[command(subcommand)]
    command: Command,
}

/// The file that is changed.
#[derive(Debug, Args)]
struct AuthFile {
    /// The file that the server is started with. It is made if it isn't there
    #[arg(long, value_name = "FILE")]
    auth: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add, remove and list accounts
    #[command(subcommand)]
    User(UserCommand),

    /// Make, remove and list tokens
    #[command(subcommand)]
    Token(TokenCommand),

    /// Allow everyone, members or a user something: topicserver allow alice "read write lab-*"
    Allow(RuleCommand),

    /// Deny everyone, members or a user something, whatever else allows it
    Deny(RuleCommand),

    /// Make a link that lets whoever has it into a topic
    Link(LinkCommand),
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add an account
    Add {
        name: UserName,

        /// Allow it this: verbs and a topic, as in "read write lab-*". Can be given several times
        #[arg(long, value_name = "RULE")]
        allow: Vec<String>,

        #[command(flatten)]
        file: AuthFile,
    },
    /// Set an account's password: the first line of standard input, not shown on a terminal
    Password {
        name: UserName,

        #[command(flatten)]
        file: AuthFile,
    },
    /// Remove an account, with its tokens and its entries in [[addresses]] and [[unix]]
    Remove {
        name: UserName,

        #[command(flatten)]
        file: AuthFile,
    },
    /// List the accounts
    List {
        #[command(flatten)]
        file: AuthFile,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it. It can't be printed again
    Add {
        /// Whose it is: it may never do more than this user
        #[arg(long, value_name = "NAME")]
        user: Option<UserName>,

        /// Allow it no more than this: verbs and a topic, as in "write ci". Can be given several
        /// times
        #[arg(long, value_name = "RULE", required_unless_present = "user")]
        allow: Vec<String>,

        /// When it expires: in 90s, 10m, 2h or 7d, or at a date such as 2027-01-01
        #[arg(long, value_name = "TIME", value_parser = expiry)]
        expires: Option<Expiry>,

        /// What it is called in logs [default: random]
        #[arg(long, value_name = "ID")]
        id: Option<String>,

        /// What it is for
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,

        #[command(flatten)]
        file: AuthFile,
    },
    /// Remove a token: what uses it is disconnected within a second
    Remove {
        id: String,

        #[command(flatten)]
        file: AuthFile,
    },
    /// List the tokens, without their secrets
    List {
        #[command(flatten)]
        file: AuthFile,
    },
}

#[derive(Debug, Args)]
struct RuleCommand {
    /// everyone, members, or the name of a user
    who: Subject,

    /// Verbs (read, live, write, who, list, admin, metrics) and a topic, in one argument
    rule: String,

    /// Take the rule away instead
    #[arg(long)]
    remove: bool,

    #[command(flatten)]
    file: AuthFile,
}

#[derive(Debug, Args)]
struct LinkCommand {
    topic: String,

    /// Let them write, too
    #[arg(long)]
    write: bool,

    /// When it expires: in 90s, 10m, 2h or 7d, or at a date such as 2027-01-01
    #[arg(long, value_name = "TIME", value_parser = expiry, default_value = "7d")]
    expires: Expiry,

    /// Where people reach the server
    #[arg(long, value_name = "URL", default_value = "http://localhost:20000")]
    url: String,

    #[command(flatten)]
    file: AuthFile,
}

/// Shorter passwords are found by trying common ones.
const SHORTEST_PASSWORD: usize = 8;

/// When something expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    /// This many seconds from now.
    In(u64),
    /// This many seconds after the Unix epoch.
    At(u64),
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// The change can't be made.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The password can't be read.
    #[error("the password can't be read: {0}")]
    Password(#[from] io::Error),
    /// The password is too short.
    #[error("a password has at least {SHORTEST_PASSWORD} characters")]
    ShortPassword,
    /// A link's topic has an invalid name.
    #[error(transparent)]
    Topic(#[from] TopicNameError),
}

impl Manage {
    /// Whether a command line is one of these commands, by its first argument. A port is a
    /// number, so they can't be confused.
    pub fn is_meant(arguments: &[OsString]) -> bool {
        const COMMANDS: [&str; 5] = ["user", "token", "allow", "deny", "link"];
        let first = arguments.get(1).and_then(|first| first.to_str());
        first.is_some_and(|first| COMMANDS.contains(&first))
    }

    /// Runs the command, and returns what to print.
    pub fn run(self) -> Result<String, ManageError> {
        match self.command {
            Command::User(command) => command.run(),
            Command::Token(command) => command.run(),
            Command::Allow(command) => command.run(Change::Allow),
            Command::Deny(command) => command.run(Change::Deny),
            Command::Link(command) => command.run(),
        }
    }
}

impl AuthFile {
    fn open(&self) -> Result<Edit, EditError> {
        Ok(Edit::open(&self.auth)?)
    }

    /// Changes the file.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Edit) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        let mut edit = self.open()?;
        let result = change(&mut edit)?;
        edit.save()?;
        Ok(result)
    }

    fn list(&self, key: &str) -> Result<String, ManageError> {
        let lines = self.open()?.list(key);
        Ok(lines.into_iter().map(|line| line + "\n").collect())
    }
}

impl UserCommand {
    fn run(self) -> Result<String, ManageError> {
        match self {
            Self::Add { name, allow, file } => file.change(|edit| {
                edit.add_user(&name)?;
                let subject = Subject::User(name);
                let mut rules = allow.iter();
                rules.try_for_each(|rule| edit.change_rule(&subject, rule, Change::Allow))
            })?,
            Self::Password { name, file } => {
                let password = read_password()?;
                file.change(|edit| edit.set_password(&name, &password))?;
            }
            Self::Remove { name, file } => file.change(|edit| edit.remove_user(&name))?,
            Self::List { file } => return file.list("users"),
        }
        Ok(String::new())
    }
}

impl TokenCommand {
    fn run(self) -> Result<String, ManageError> {
        let (new, file) = match self {
            Self::Remove { id, file } => {
                file.change(|edit| edit.remove_token(&id))?;
                return Ok(String::new());
            }
            Self::List { file } => return file.list("tokens"),
            Self::Add {
                user,
                allow,
                expires,
                id,
                note,
                file,
            } => {
                let expires = expires.map(Expiry::seconds);
                let new = NewToken {
                    id,
                    user,
                    allow,
                    expires,
                    note,
                };
                (new, file)
            }
        };
        Ok(file.change(|edit| edit.add_token(&new))? + "\n")
    }
}

impl RuleCommand {
    fn run(self, change: Change) -> Result<String, ManageError> {
        let change = match self.remove {
            true => Change::Forget,
            false => change,
        };
        self.file
            .change(|edit| edit.change_rule(&self.who, &self.rule, change))?;
        Ok(String::new())
    }
}

impl LinkCommand {
    fn run(self) -> Result<String, ManageError> {
        let topic = TopicName::new(&self.topic)?;
        let verbs = match self.write {
            true => "read write who list",
            false => "read who list",
        };
        let new = NewToken {
            allow: vec![format!("{verbs} '{topic}'")],
            expires: Some(self.expires.seconds()),
            note: Some(format!("link to {topic}")),
            ..NewToken::default()
        };
        let token = self.file.change(|edit| edit.add_token(&new))?;
        let url = self.url.trim_end_matches('/');
        // The token follows the hash sign, because browsers don't send that part.
        Ok(format!("{url}/{}#t={token}\n", escaped(topic.as_str())))
    }
}

impl Expiry {
    fn seconds(self) -> u64 {
        let now = clock::date().duration_since(UNIX_EPOCH);
        match self {
            Self::In(seconds) => now.unwrap_or(Duration::ZERO).as_secs() + seconds,
            Self::At(seconds) => seconds,
        }
    }
}

/// The first line of standard input.
fn read_password() -> Result<String, ManageError> {
    let mut line = String::new();
    if io::stdin().is_terminal() {
        eprint!("the new password (it isn't shown): ");
        let read = without_echo(|| io::stdin().read_line(&mut line));
        eprintln!();
        read?;
    } else {
        io::stdin().read_line(&mut line)?;
    }
    let password = line.trim_end_matches(['\r', '\n']);
    match password.chars().count() >= SHORTEST_PASSWORD {
        true => Ok(password.to_owned()),
        false => Err(ManageError::ShortPassword),
    }
}

/// Reads from the terminal with echo off.
#[cfg(unix)]
fn without_echo<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let terminal = io::stdin();
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes -= LocalModes::ECHO;
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let result = read();
    tcsetattr(&terminal, OptionalActions::Now, &before)?;
    result
}

#[cfg(not(unix))]
fn without_echo<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    read()
}

/// A time from now, or a date.
fn expiry(text: &str) -> Result<Expiry, String> {
    const WANTED: &str = "this is a time from now on, such as 90s, 10m, 2h or 7d, or a date, \
                          such as 2027-01-01 or 2027-01-01T12:00:00Z";
    if let Ok(date) = text.parse() {
        let at = seconds(&date).map(Expiry::At);
        return at.ok_or_else(|| WANTED.to_owned());
    }
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(WANTED.to_owned()),
    };
    let count: u32 = text[..text.len() - 1]
        .parse()
        .map_err(|_| WANTED.to_owned())?;
    Ok(Expiry::In(u64::from(count) * unit))
}

#[cfg(test)]
mod tests;
