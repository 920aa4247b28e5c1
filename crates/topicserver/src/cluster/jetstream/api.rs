//! Requests of JetStream's API, which are JSON both ways.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::log::LogError;
use super::connection::{Connection, Unanswered};

/// The silence after which a leader is asked the same once more. A disk that isn't overloaded is
/// faster; and a leader that hands its streams over before it ends, which takes some tenths of a
/// second, leaves what it has in process without an answer.
pub(super) const ASK_AGAIN_AFTER: Duration = Duration::from_millis(300);

/// JetStream's error codes: those that mean something here.
pub(super) mod code {
    /// JetStream is off on this server.
    pub(crate) const NOT_ENABLED: u32 = 10076;
    /// … or for this account.
    pub(crate) const NOT_ENABLED_FOR_ACCOUNT: u32 = 10039;
    pub(crate) const NO_MESSAGE: u32 = 10037;
    pub(crate) const NO_STREAM: u32 = 10059;
    /// Another record is the newest of the subject; its number follows.
    pub(crate) const WRONG_LAST_SEQUENCE: u32 = 10071;
    /// Another record for this subject is in process.
    pub(crate) const OTHER_IN_PROCESS: u32 = 10164;
    /// A record with this id is in process.
    pub(crate) const SAME_IN_PROCESS: u32 = 10158;
    /// There is a stream of this name that isn't the same.
    pub(crate) const NAME_IN_USE: u32 = 10058;
    /// Fewer servers with JetStream than replicas, or none with room.
    pub(crate) const NO_PEERS: u32 = 10005;
}

/// JetStream said no, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ApiError {
    Unanswered(Unanswered),
    /// It refuses, with a code of its own.
    Refused(Refusal),
    /// It isn't what JetStream answers.
    Nonsense(String),
}

/// Why JetStream refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Refusal {
    /// As in HTTP.
    #[serde(default)]
    code: u32,
    #[serde(default)]
    pub(super) err_code: u32,
    #[serde(default)]
    pub(super) description: String,
}

impl Refusal {
    /// It isn't a matter of the request: there is no leader, or a store fails for the moment.
    pub(super) fn is_passing(&self) -> bool {
        self.code == 503 || self.code == 429
    }
}

impl ApiError {
    pub(super) fn code(&self) -> Option<u32> {
        match self {
            Self::Refused(refusal) => Some(refusal.err_code),
            _ => None,
        }
    }

    /// Whether nothing was said at all.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Unanswered(_))
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unanswered(unanswered) => *unanswered != Unanswered::TooLong,
            Self::Refused(refusal) => refusal.is_passing(),
            Self::Nonsense(_) => false,
        }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        LogError::from(self.clone()).fmt(f)
    }
}

impl From<Unanswered> for ApiError {
    fn from(unanswered: Unanswered) -> Self {
        Self::Unanswered(unanswered)
    }
}

impl From<Refusal> for LogError {
    fn from(refusal: Refusal) -> Self {
        let text = format!("{} ({})", refusal.description, refusal.err_code);
        match refusal.is_passing() {
            true => Self::Away(text),
            false => Self::Refused(text),
        }
    }
}

impl From<ApiError> for LogError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Unanswered(unanswered) => unanswered.into(),
            ApiError::Refused(refusal) => refusal.into(),
            ApiError::Nonsense(text) => Self::Refused(format!("NATS answers strangely: {text}")),
        }
    }
}

/// Makes a request of JetStream's API.
pub(super) async fn request<T: DeserializeOwned>(
    connection: &Connection,
    name: &str,
    body: &impl Serialize,
    time: Duration,
) -> Result<T, ApiError> {
    let subject = format!("$JS.API.{name}");
    let answer = connection.ask(subject, None, json(body), time).await?;
    read(&answer.payload)
}

/// A body of a request.
pub(super) fn json(body: &impl Serialize) -> Bytes {
    // Maps with keys that aren't texts can't be written; there are none.
    serde_json::to_vec(body).unwrap_or_default().into()
}

/// The answer that JSON holds.
pub(super) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ApiError> {
    #[derive(Deserialize)]
    struct Error {
        error: Option<Refusal>,
    }
    let nonsense = |error: serde_json::Error| ApiError::Nonsense(error.to_string());
    let Error { error } = serde_json::from_slice(payload).map_err(nonsense)?;
    match error {
        Some(refusal) => Err(ApiError::Refused(refusal)),
        None => serde_json::from_slice(payload).map_err(nonsense),
    }
}
