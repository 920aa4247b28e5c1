//! What can go wrong with the store, each with the error that caused it.

use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use wire::{ErrorCode, TopicNameError};

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is a file where the directory should be.
    #[error("{} is no directory: name one, or a path where one can be made", .0.display())]
    NoDirectory(PathBuf),
    /// The system refuses access.
    #[error("can't keep the history in {}: {source}; {}", path.display(), advice(source))]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another server uses the directory.
    #[error(
        "the history in {} is in use by another topicserver: stop that one, or give this one \
         a directory of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// The directory was made by another release, or isn't a history.
    #[error(
        "{} holds no history that this topicserver can read ({found}): use the release that \
         made it, or another directory",
        path.display()
    )]
    OtherFormat {
        /// The directory.
        path: PathBuf,
        /// The format that it names.
        found: String,
    },
    /// A later release has written here.
    #[error(
        "the history in {} was written by a newer topicserver (format {found}, and this one reads \
         up to {newest}): run that release, or restore a backup from before it",
        path.display()
    )]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that this release reads.
        newest: u32,
    },
    /// A release has written here that is too old.
    #[error(
        "the history in {} was written by an older topicserver (format {found}, and this one \
         reads from {oldest} on): start each release between the two once on it, because each \
         converts the format of the one before",
        path.display()
    )]
    OlderFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The oldest that this release reads.
        oldest: u32,
    },
    /// An import was interrupted.
    #[error(
        "the import into {} didn't finish, so messages are missing there: remove the directory, \
         and import again",
        .0.display()
    )]
    UnfinishedImport(PathBuf),
    /// Files would be made there that the directory's owner can't use.
    #[error(
        "{} belongs to user number {owner}, who could not use files that you make there as user \
         number {user}: run this as its owner (runuser -u USER -- COMMAND), or change the owner \
         of everything in it first (chown -R)",
        path.display()
    )]
    OtherOwner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this.
        user: u32,
    },
    /// A tool was given a directory without a history.
    #[error(
        "there is no history in {}: name the directory that a server was given with --data",
        .0.display()
    )]
    NoHistory(PathBuf),
    /// The database doesn't open.
    #[error(
        "the history in {} can't be opened: {source}; restore it from a backup, or move it away \
         to begin anew",
        path.display()
    )]
    Database {
        /// The database's directory.
        path: PathBuf,
        /// What is wrong with it.
        source: DatabaseError,
    },
}

/// What helps when a directory can't be used.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "the user who runs the server must own it and everything in it (chown -R)"
        }
        _ => "the server must be able to write there",
    }
}

/// Why a database can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The remains of an interrupted first start can't be removed.
    #[error(transparent)]
    Unfinished(#[from] io::Error),
    /// The database refuses.
    #[error(transparent)]
    Refused(#[from] StoreError),
    /// The database refuses, and its journal can't be repaired.
    #[error("{refused}, {cause}")]
    Damaged {
        /// What the database said.
        refused: StoreError,
        /// What the system said.
        cause: io::Error,
    },
}

impl DatabaseError {
    /// Whether the system refuses access, as to files of another user.
    pub(super) fn is_denied(&self) -> bool {
        let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        match self {
            Self::Unfinished(error) => denied(error),
            Self::Refused(StoreError::Io(error)) => denied(error),
            Self::Refused(_) => false,
            Self::Damaged { refused, cause } => {
                denied(cause) || matches!(refused, StoreError::Io(error) if denied(error))
            }
        }
    }
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is full. There may be room later.
    #[error("the disk that holds the history is full")]
    Full,
    /// The disk is too slow with what was written before. Nothing of this was written.
    #[error("the disk that holds the history is too slow")]
    Busy,
    /// There was no answer in time, so it is unknown whether this was written.
    #[error("the disk that holds the history doesn't answer")]
    InDoubt,
    /// The system refuses to read or write.
    #[error("the history can't be used: {0}")]
    Io(SharedError<io::Error>),
    /// The database refuses.
    #[error("the history can't be used: {0}")]
    Database(SharedError<fjall::Error>),
    /// The database could not be opened again after a failure.
    #[error("the history can't be used: {0}")]
    Reopen(SharedError<DatabaseError>),
    /// The database refuses everything after an earlier failure.
    #[error("the history can't be used: an earlier write failed")]
    Poisoned,
    /// The database panicked.
    #[error("the history can't be used: the database failed unexpectedly")]
    Panicked,
    /// A record is damaged.
    #[error("the history can't be used: {0}")]
    Damaged(Damaged),
    /// The catalogue holds a name that no topic can have.
    #[error("the history can't be used: {0}")]
    BadName(TopicNameError),
    /// The directory's secret does not have its length.
    #[error("the history can't be used: its secret is damaged")]
    DamagedSecret,
    /// The system has no random numbers for a secret or an epoch.
    #[error("the history can't be used: {0}")]
    NoRandomness(getrandom::Error),
    /// No topic has this number.
    #[error("the history can't be used: there is no topic {0}")]
    NoTopic(u32),
    /// The entries do not continue the topic.
    #[error("message {got} can't be stored where {expected} is the next")]
    OutOfOrder {
        /// The sequence number that was expected.
        expected: u64,
        /// The sequence number that was given.
        got: u64,
    },
    /// The log of the cluster doesn't answer, so it is unknown whether this was written.
    #[error("the log of the cluster doesn't answer")]
    NoQuorum,
    /// The store has been closed.
    #[error("the history is closed")]
    Closed,
}

impl StoreError {
    /// Whether the disk may only take longer, so that sending again may help.
    pub(crate) fn is_delay(&self) -> bool {
        matches!(self, Self::Busy | Self::InDoubt | Self::NoQuorum)
    }

    /// What publishers are told.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::NoQuorum => ErrorCode::NoQuorum,
            error if error.is_delay() => ErrorCode::StorageBusy,
            _ => ErrorCode::StorageFull,
        }
    }
}

/// An error of the system or of a library, shared by everyone who gets it: one failure
/// answers many requests. Two are equal if they are the same failure.
#[derive(Debug)]
pub struct SharedError<E>(Arc<E>);

impl<E> Clone for SharedError<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> PartialEq for SharedError<E> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<E> Eq for SharedError<E> {}

impl<E: fmt::Display> fmt::Display for SharedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E> std::ops::Deref for SharedError<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.0
    }
}

impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
                error.into()
            }
            fjall::Error::Poisoned => Self::Poisoned,
            error => Self::Database(SharedError(Arc::new(error))),
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match is_full(&error) {
            true => Self::Full,
            false => Self::Io(SharedError(Arc::new(error))),
        }
    }
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unfinished(error) => error.into(),
            DatabaseError::Refused(error) => error,
            error @ DatabaseError::Damaged { .. } => Self::Reopen(SharedError(Arc::new(error))),
        }
    }
}

impl From<Damaged> for StoreError {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

impl From<TopicNameError> for StoreError {
    fn from(error: TopicNameError) -> Self {
        Self::BadName(error)
    }
}

impl From<getrandom::Error> for StoreError {
    fn from(error: getrandom::Error) -> Self {
        Self::NoRandomness(error)
    }
}

/// A record can't be read: its bytes are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a damaged record: {0}")]
pub struct Damaged(pub(super) &'static str);

/// Whether there is no room, for whatever reason.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_can_be_looked_at_and_is_not_only_text() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let error = StoreError::from(fjall::Error::Io(denied()));
        let StoreError::Io(source) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(source.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(error, error.clone(), "the same failure");
        assert_ne!(error, StoreError::from(denied()), "another failure");
    }

    #[test]
    fn no_room_is_told_from_everything_else_wherever_it_comes_from() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(StoreError::from(full()), StoreError::Full);
        assert_eq!(StoreError::from(fjall::Error::Io(full())), StoreError::Full);
        let unfinished = DatabaseError::Unfinished(full());
        assert_eq!(StoreError::from(unfinished), StoreError::Full);
    }
}
