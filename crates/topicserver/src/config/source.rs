//! Where an option's value comes from, and what can be wrong with it there.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::excerpt::Excerpt;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The default: no source has set it.
    Default,
    /// In the configuration file.
    File {
        /// Which file.
        path: Arc<PathBuf>,
        /// Where in it.
        excerpt: Excerpt,
    },
    /// In an environment variable of this name.
    Environment(String),
    /// On the command line.
    CommandLine,
}

/// Why the options could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// The command line is wrong; or it asked for help, or for the version.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// The configuration file can't be read.
    #[error("can't read the configuration file {}: {cause}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Every mistake in the file and in the environment.
    #[error("{}", listed(.0))]
    Mistakes(Vec<ConfigMistake>),
}

/// A mistake in the file or in the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMistake {
    pub(super) source: Source,
    pub(super) problem: Problem,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}")]
    Syntax(String),
    #[error("there is no option {name:?}{}", .similar.as_ref().map_or(String::new(), |name| format!("; did you mean {name:?}?")))]
    Unknown {
        name: String,
        similar: Option<String>,
    },
    #[error("{name:?} can't be {value:?}: {reason}")]
    Value {
        name: String,
        value: String,
        reason: String,
    },
    #[error("{name:?} is {wanted}")]
    Type { name: String, wanted: &'static str },
    #[error("the variable holds something that is not UTF-8")]
    NotUtf8,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, excerpt } => {
                write!(f, "{}, line {}", path.display(), excerpt.line())
            }
            Self::Environment(name) => f.write_str(name),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

impl fmt::Display for ConfigMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.problem)?;
        match &self.source {
            Source::File { excerpt, .. } => write!(f, "\n{excerpt}"),
            _ => Ok(()),
        }
    }
}

/// The mistakes, one below the other. If there are several, their number comes first.
fn listed(mistakes: &[ConfigMistake]) -> String {
    let lines: Vec<_> = mistakes.iter().map(ConfigMistake::to_string).collect();
    let count = match lines.len() {
        0 | 1 => String::new(),
        count => format!("{count} mistakes in the configuration\n"),
    };
    format!("{count}{}", lines.join("\n"))
}
