//! Where an option's value comes from, and what can be wrong with it there.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere.
    Default,
    /// In a line of the configuration file.
    File(Spot),
    /// In an environment variable of this name.
    Environment(String),
    /// On the command line.
    CommandLine,
}

/// A place in a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Spot {
    path: Arc<PathBuf>,
    text: Arc<str>,
    /// In bytes from the beginning.
    offset: usize,
    length: usize,
}

/// Why there are no options.
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
    /// What the file and the environment say is wrong, all of it.
    #[error("{}", listed(.0))]
    Mistakes(Vec<ConfigMistake>),
}

/// Something wrong in the file or in the environment.
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

impl Spot {
    /// This part of a file.
    pub(super) fn new(path: &Arc<PathBuf>, text: &Arc<str>, span: std::ops::Range<usize>) -> Self {
        let offset = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.floor_char_boundary(span.end.clamp(offset, text.len()));
        Self {
            path: Arc::clone(path),
            text: Arc::clone(text),
            offset,
            length: end - offset,
        }
    }

    /// The line's number, from 1, and its text.
    fn line(&self) -> (usize, &str) {
        let (before, behind) = self.text.split_at(self.offset);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = behind
            .find('\n')
            .map_or(self.text.len(), |at| self.offset + at);
        let number = before.matches('\n').count() + 1;
        (number, self.text[start..end].trim_end())
    }

    /// The line with carets below what is meant.
    fn shown(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, line) = self.line();
        let start = self.text[..self.offset].rfind('\n').map_or(0, |at| at + 1);
        let margin = " ".repeat(number.to_string().len());
        let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
        let indent: String = self.text[start..self.offset].chars().map(blank).collect();
        let marked = &self.text[self.offset..self.offset + self.length];
        let marked = marked.lines().next().unwrap_or_default().chars().count();
        let carets = "^".repeat(marked.max(1));
        write!(f, "\n{number} | {line}\n{margin} | {indent}{carets}")
    }
}

impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line().0)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(spot) => write!(f, "{}, line {}", spot.path.display(), spot.line().0),
            Self::Environment(name) => f.write_str(name),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

impl fmt::Display for ConfigMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.problem)?;
        match &self.source {
            Source::File(spot) => spot.shown(f),
            _ => Ok(()),
        }
    }
}

/// One below the other, after their number if there are several.
fn listed(mistakes: &[ConfigMistake]) -> String {
    let lines: Vec<_> = mistakes.iter().map(ConfigMistake::to_string).collect();
    let count = match lines.len() {
        0 | 1 => String::new(),
        count => format!("{count} mistakes in the configuration\n"),
    };
    format!("{count}{}", lines.join("\n"))
}
