//! What servers of a cluster say to each other at once. Nothing of it is kept.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::log::Answer;

/// Brings messages to all servers of a cluster that listen. Some may be lost.
pub(crate) trait Bus: Send + Sync + 'static {
    /// Sends a message to everybody who has subscribed to the subject: words of lower-case
    /// letters, digits and hyphens, separated by full stops.
    fn publish(&self, subject: &str, payload: Bytes);

    /// Every message with this subject from now on. Resolves when the subscription is in force.
    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
    ) -> Answer<'a, Result<mpsc::Receiver<Said>, BusError>>;

    /// Sends a request, and waits for the answer of whoever has subscribed to the subject.
    fn request<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        timeout: Duration,
    ) -> Answer<'a, Result<Bytes, BusError>>;

    /// Whether this server reaches the others, so far as can be told.
    fn link(&self) -> watch::Receiver<Link>;
}

/// A message of another server, or of this one.
pub(crate) struct Said {
    pub(crate) payload: Bytes,
    /// Answers it, if it is a request. Called at most once.
    pub(crate) reply: Option<Reply>,
}

/// Answers a request.
pub(crate) type Reply = Box<dyn FnOnce(Bytes) + Send>;

/// Whether this server is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Up,
    Down,
}

/// A request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BusError {
    /// Nobody has subscribed to its subject.
    #[error("nobody answers there")]
    Nobody,
    /// No answer came in time. It may have been carried out.
    #[error("no answer came in time")]
    Late,
    /// This server is not connected.
    #[error("there is no connection to the other servers")]
    Down,
}
