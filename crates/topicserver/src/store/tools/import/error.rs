//! Why a history can't be imported.

use std::io;
use std::path::PathBuf;

use wire::TopicNameError;

use crate::store::error::{OpenError, StoreError};
use crate::store::tools::lines::VERSION;

/// The longest line: a message of the longest frame that a server may allow is far shorter.
pub(super) const LONGEST_LINE: u64 = 256 * 1024 * 1024;

/// Why an import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is something in the directory.
    #[error("{} isn't empty: a history is imported into a directory of its own", .0.display())]
    NotEmpty(PathBuf),
    /// The directory can't be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Nothing can be written there.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The export can't be read.
    #[error("the export can't be read: {0}")]
    Read(io::Error),
    /// The directory's mark can't be written.
    #[error("can't write to {}: {cause}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A line is wrong.
    #[error("line {number} of the export: {what}")]
    Line {
        /// Which line, from 1.
        number: u64,
        /// What is wrong with it.
        what: LineError,
    },
}

/// What is wrong with a line of an export.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The first line isn't that of an export.
    #[error("this is no export of a history: its first line begins with {{\"natter-history\":…")]
    NoExport,
    /// Another release wrote it in another way.
    #[error(
        "the export has format {0}, and this topicserver reads {VERSION}: import it with a \
             release that reads it"
    )]
    OtherFormat(u64),
    /// It isn't JSON, or not of the right kind.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It is too long.
    #[error("it is longer than {LONGEST_LINE} bytes")]
    TooLong,
    /// It isn't one of the lines that an export has.
    #[error("{0}")]
    Wrong(&'static str),
    /// The topic's name can't be one.
    #[error(transparent)]
    Topic(#[from] TopicNameError),
    /// The lines end before the last one.
    #[error("the export was cut off: its last line, which counts all others, is missing")]
    CutOff,
    /// There are more or fewer lines than the last one says.
    #[error("it counts {said} {what}, but there are {found}: lines are missing")]
    Count {
        /// What is counted.
        what: &'static str,
        /// What the line says.
        said: u64,
        /// What there is.
        found: u64,
    },
}
