//! What the cluster asks of a log: to append behind a record, to read, and to follow.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use wire::TopicName;

use crate::store::StoreError;

/// An answer that takes a moment.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A log of records for each topic, which all servers of a cluster share and which outlives each
/// of them.
///
/// Records have positions. In each topic they grow; they may leave any numbers out.
///
/// Whoever answers may lack the newest records, except where the leader is named. But that there is
/// nothing, only the leader says.
pub(crate) trait Log: Send + Sync + 'static {
    /// Appends a record to a topic, if the newest one there is at `prev`; 0 if there is none. The
    /// `id` names the record: appended again with the same one, for half a minute, it is in the
    /// log once.
    fn append<'a>(
        &'a self,
        topic: &'a TopicName,
        prev: u64,
        id: &'a str,
        record: Bytes,
    ) -> Answer<'a, Appended>;

    /// The newest record of a topic, as the log's leader knows it; `None` if there is none. A leader
    /// that was cut off from the others goes on answering for some seconds.
    fn head<'a>(&'a self, topic: &'a TopicName) -> Answer<'a, Result<Option<Located>, LogError>>;

    /// Sees that the leader is in touch with most of the log's servers: so it has every record that
    /// was ever appended.
    fn confirm<'a>(&'a self, topic: &'a TopicName) -> Answer<'a, Result<(), LogError>>;

    /// The oldest record of a topic at this position or a later one; `None` if there is none.
    fn next<'a>(
        &'a self,
        topic: &'a TopicName,
        from: u64,
    ) -> Answer<'a, Result<Option<Located>, LogError>>;

    /// The records of a topic from this position on, in their order: about `bytes` of them, and
    /// at least one if there is one.
    fn read<'a>(
        &'a self,
        topic: &'a TopicName,
        from: u64,
        bytes: usize,
    ) -> Answer<'a, Result<Vec<Located>, LogError>>;

    /// The oldest record of a topic that was appended at this time or later, in milliseconds since
    /// the Unix epoch by the log's clock.
    fn since<'a>(
        &'a self,
        topic: &'a TopicName,
        time: u64,
    ) -> Answer<'a, Result<Option<Located>, LogError>>;

    /// What is appended to a topic from now on. Some of it may be missing, or come twice.
    fn follow<'a>(&'a self, topic: &'a TopicName) -> Answer<'a, Result<Feed, LogError>>;

    /// Deletes a topic's records before this position.
    fn trim<'a>(&'a self, topic: &'a TopicName, before: u64) -> Answer<'a, Result<(), LogError>>;

    /// Keeps records for this long from now on.
    fn keep(&self, age: Duration) -> Answer<'_, Result<(), LogError>>;

    /// The names of topics that have records, after this one or from the first on, in the order of
    /// their bytes: at most `limit`.
    fn topics<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> Answer<'a, Result<Vec<TopicName>, LogError>>;
}

/// A record and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// Its position; never 0.
    pub(crate) at: u64,
    pub(crate) record: Bytes,
}

/// What became of a record that was to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It is in the log at this position, maybe since an earlier try.
    At(u64),
    /// It isn't in the log: another record than `prev` is the newest.
    Behind,
    /// It isn't in the log, because another one is just being appended. It may be tried again in
    /// some milliseconds.
    Busy,
    /// Whether it is in the log isn't known.
    Unknown(LogError),
}

/// The log didn't do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogError {
    /// It gave no answer in time, or can't be reached.
    #[error("the log of the cluster doesn't answer: {0}")]
    Away(String),
    /// It has no room, or refuses for another reason of its own.
    #[error("the log of the cluster refuses: {0}")]
    Refused(String),
}

impl From<LogError> for StoreError {
    fn from(error: LogError) -> Self {
        tracing::debug!("{error}");
        Self::NoQuorum
    }
}

/// What is appended to one topic, as far as it arrives. Dropping it ends it.
pub(crate) type Feed = mpsc::Receiver<Followed>;

/// What a feed brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    Record(Located),
    /// Records may be missing before the next one.
    Interrupted,
}
