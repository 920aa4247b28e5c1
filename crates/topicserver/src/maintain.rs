//! The commands for the history that `--data` keeps: `topicserver history` and `topicserver
//! backup`. They work on a directory that no server uses, or ask a running server.

mod backup;
mod source;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use wire::TopicName;

use crate::admin_client::ExchangeError;
use crate::config::BackupRate;
use crate::store::{self, End, Ids, ImportError, Look, OpenError, ToolError};
use source::{Shown, Source};

/// Messages that are shown if nobody says how many: a few screens.
const MESSAGES: u64 = 100;

/// Look into, check, copy and restore the history that a topicserver keeps on disk.
#[derive(Debug, Parser)]
#[command(name = "topicserver", version)]
pub struct Maintain {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look into a history, check it, copy it, or delete from it. SOURCE is the directory of a
    /// server that isn't running, or where a running one listens for administrators
    #[command(subcommand)]
    History(History),

    /// Copy a history into a file, from which `topicserver history import` makes it again. SOURCE
    /// is where a running server listens for administrators, or the directory of one that isn't
    /// running
    Backup {
        #[arg(value_name = "SOURCE")]
        source: Source,

        /// The file. It is replaced when the new copy is complete
        dest: PathBuf,

        /// Bytes of history to read per second from a running server
        #[arg(long, value_name = "SIZE", default_value_t = BackupRate::default())]
        rate: BackupRate,
    },
}

#[derive(Debug, Subcommand)]
enum History {
    /// List the topics: a JSON object for each
    Topics {
        #[arg(value_name = "SOURCE")]
        source: Source,
    },
    /// Print messages of a topic: a JSON object for each
    Messages {
        #[arg(value_name = "SOURCE")]
        source: Source,

        topic: TopicName,

        /// The number of the first one [default: the newest ones are printed]
        #[arg(long, value_name = "NUMBER")]
        from: Option<u64>,

        /// How many
        #[arg(long, value_name = "COUNT", default_value_t = MESSAGES)]
        count: u64,
    },
    /// Check every record, every number and the catalogue; says what is wrong, and fails then
    Verify {
        #[arg(value_name = "SOURCE")]
        source: Source,
    },
    /// Write all messages to standard output: a JSON object for each
    Export {
        #[arg(value_name = "SOURCE")]
        source: Source,

        /// Only this topic
        #[arg(long, value_name = "TOPIC")]
        topic: Option<TopicName>,

        /// Also what a server needs to recognise messages that are sent again: its secret, and
        /// hashes of ids and of publishers
        #[arg(long)]
        with_ids: bool,

        /// Bytes of history to read per second from a running server
        #[arg(long, value_name = "SIZE", default_value_t = BackupRate::default())]
        rate: BackupRate,
    },
    /// Make a history of an export or a backup, in an empty directory
    Import {
        #[arg(value_name = "DIRECTORY")]
        source: Source,

        /// The export [default: standard input]
        file: Option<PathBuf>,
    },
    /// Give back the disk space of what was deleted. Takes room for what is kept. No server may
    /// run; one that runs gives space back by itself, a little later and less completely
    Compact {
        #[arg(value_name = "DIRECTORY")]
        source: Source,
    },
    /// Delete all messages of a topic, and the ids by which a message is recognised that is sent
    /// again. The topic's numbers go on, so members that come back are told of the gap
    Forget {
        #[arg(value_name = "SOURCE")]
        source: Source,

        topic: TopicName,

        /// Don't ask whether that is meant
        #[arg(long)]
        yes: bool,
    },
}

/// Why a command had no success.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// The directory belongs to a server that runs.
    #[error(
        "the history in {} is in use by a running topicserver: give the address of its --admin in \
         place of the directory, or stop it",
        .0.display()
    )]
    InUse(PathBuf),
    /// The history can't be worked on.
    #[error(transparent)]
    Tool(ToolError),
    /// The server doesn't answer as it should.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// A server was named where it takes a directory.
    #[error("a running server can't do that: stop it, and name the directory of its --data")]
    TakesDirectory,
    /// The import failed.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// An import failed, and left something.
    #[error("{error}; what is in {} now is of no use: remove it", directory.display())]
    Left {
        /// Why.
        error: ImportError,
        /// Where.
        directory: PathBuf,
    },
    /// The file of an export can't be read.
    #[error("can't read {}: {cause}", path.display())]
    Input {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The answer was cut off.
    #[error("what the server sent was cut off: its log may say why")]
    CutOff,
    /// Something is damaged.
    #[error("damaged or missing places: {0}; see the lines that begin with {{\"problem\":")]
    Problems(u64),
    /// A backup would lack what is damaged.
    #[error(
        "damaged or missing places in the history: {0}. So no backup was made, and an earlier one \
         was left as it is: see `topicserver history verify`; `topicserver history export` copies \
         what can be read"
    )]
    Damaged(u64),
    /// The backup can't be written.
    #[error("can't write {}: {cause}", path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Nobody has said that it is meant.
    #[error("nothing was deleted: say --yes")]
    NotMeant,
    /// The result can't be printed.
    #[error("can't print the result: {0}")]
    Output(io::Error),
}

impl From<ToolError> for MaintainError {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Open(OpenError::InUse(path)) => Self::InUse(path),
            error => Self::Tool(error),
        }
    }
}

impl Maintain {
    /// Whether a command line is one of these commands: its first argument says so.
    pub fn is_meant(arguments: &[std::ffi::OsString]) -> bool {
        let first = arguments.get(1).and_then(|first| first.to_str());
        first.is_some_and(|first| ["history", "backup"].contains(&first))
    }

    /// Does what is asked, and prints what comes of it.
    pub fn run(self, mut output: impl Write) -> Result<(), MaintainError> {
        let done = match self.command {
            Command::History(history) => history.run(&mut output),
            Command::Backup { source, dest, rate } => backup::run(&source, &dest, rate)
                .and_then(|text| write!(output, "{text}").map_err(MaintainError::Output)),
        };
        match done.and_then(|()| output.flush().map_err(MaintainError::Output)) {
            // Whoever read the result has seen enough.
            Err(MaintainError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(())
            }
            done => done,
        }
    }
}

impl History {
    fn run(self, output: &mut impl Write) -> Result<(), MaintainError> {
        let rate = BackupRate::default();
        match self {
            Self::Topics { source } => source.show(Look::Topics, rate, Shown::Lines, output),
            Self::Messages {
                source,
                topic,
                from,
                count,
            } => {
                let look = Look::Messages { topic, from, count };
                source.show(look, rate, Shown::Lines, output)
            }
            Self::Verify { source } => source.show(Look::Verify, rate, Shown::Verdict, output),
            Self::Export {
                source,
                topic,
                with_ids,
                rate,
            } => {
                let ids = match with_ids {
                    true => Ids::With,
                    false => Ids::Without,
                };
                let look = Look::Export { topic, ids };
                source.show(look, rate, Shown::All, output)
            }
            Self::Import { source, file } => import(source, file, output),
            Self::Compact { source } => compact(source, output),
            Self::Forget { source, topic, yes } => forget(&source, &topic, yes, output),
        }
    }
}

fn import(
    source: Source,
    file: Option<PathBuf>,
    output: &mut impl Write,
) -> Result<(), MaintainError> {
    let Source::Directory(directory) = source else {
        return Err(MaintainError::TakesDirectory);
    };
    let input: Box<dyn BufRead> = match file {
        None => Box::new(io::stdin().lock()),
        Some(path) => match File::open(&path) {
            Ok(file) => Box::new(BufReader::with_capacity(1 << 18, file)),
            Err(cause) => return Err(MaintainError::Input { path, cause }),
        },
    };
    let end = store::import(&directory, input).map_err(|error| match error {
        error @ (ImportError::NotEmpty(_) | ImportError::Open(_)) => error.into(),
        error => MaintainError::Left { error, directory },
    })?;
    writeln!(output, "imported {}", contents(&end)).map_err(MaintainError::Output)?;
    if end.problems > 0 {
        let what = "places that were damaged when the history was exported, and are missing";
        writeln!(output, "{what}: {}", end.problems).map_err(MaintainError::Output)?;
    }
    Ok(())
}

/// What a history or a copy of it holds.
fn contents(end: &End) -> String {
    let messages = counted(end.messages, "message");
    format!("{messages} of {}", counted(end.topics, "topic"))
}

/// A number of things, of which one is called `what`.
fn counted(count: u64, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}

fn compact(source: Source, output: &mut impl Write) -> Result<(), MaintainError> {
    let Source::Directory(directory) = source else {
        return Err(MaintainError::TakesDirectory);
    };
    let space = store::compact(&directory)?;
    let (before, after) = (space.before, space.after);
    writeln!(output, "{before} bytes on disk before, {after} after").map_err(MaintainError::Output)
}

fn forget(
    source: &Source,
    topic: &TopicName,
    is_meant: bool,
    output: &mut impl Write,
) -> Result<(), MaintainError> {
    if !is_meant && !confirm(topic).map_err(MaintainError::Output)? {
        return Err(MaintainError::NotMeant);
    }
    let count = source.forget(topic)?;
    let (messages, name) = (counted(count, "message"), topic.as_str());
    writeln!(output, "deleted {messages} of {name:?}").map_err(MaintainError::Output)?;
    let text = "parts of them may stay in files until the history is compacted without a server: \
                topicserver history compact";
    writeln!(output, "{text}").map_err(MaintainError::Output)
}

/// Asks a person. Without one, nothing is confirmed.
fn confirm(topic: &TopicName) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    let name = topic.as_str();
    eprint!(
        "This deletes all messages of {name:?}, and the ids by which a message is recognised that \
         is sent again. Only a backup brings them back. Delete them? [y/N] "
    );
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(["y", "yes"].contains(&line.trim().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_called_so() {
        let of = |topics, messages| {
            contents(&End {
                topics,
                messages,
                problems: 0,
            })
        };
        assert_eq!(of(1, 1), "1 message of 1 topic");
        assert_eq!(of(2, 0), "0 messages of 2 topics");
        assert_eq!(of(1, 12), "12 messages of 1 topic");
    }
}
