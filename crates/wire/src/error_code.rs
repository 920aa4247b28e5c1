//! The codes under which a peer is told what went wrong.

use std::fmt;

/// Why a frame, or a whole connection, was refused.
///
/// A code's name is part of the protocol: it never changes its meaning.
/// `docs/protocol.md` lists them for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The stream isn't JSON. The connection is closed.
    NotJson,
    /// A string in the stream isn't UTF-8. The connection is closed.
    NotUtf8,
    /// Objects and arrays are nested more deeply than allowed. Closed.
    TooDeep,
    /// A frame longer than allowed. Closed.
    TooLong,
    /// A JSON value that isn't an object. Ignored.
    NotAnObject,
    /// An object that is no frame of this protocol. Ignored.
    UnknownFrame,
    /// A frame in which something has the wrong type or is missing. Ignored.
    BadFrame,
    /// A topic whose name isn't allowed. The frame is ignored.
    BadTopic,
    /// A registration for more topics than a connection may have. Ignored.
    TooManyTopics,
    /// A message for a topic that its sender isn't registered for. Discarded.
    NotRegistered,
    /// The server, or the peer's address, has as many connections as it may.
    TooManyConnections,
    /// No registration came in time. The connection is closed.
    RegistrationTimeout,
    /// A frame was begun and not finished in time. The connection is closed.
    UnfinishedFrame,
    /// The peer fell further behind than its outbox holds. Closed.
    SlowReader,
    /// All connections together had as much queued as they may, and this one more than its
    /// share. Closed.
    QueuesFull,
    /// Another connection has the user's name. The registration is ignored.
    NameTaken,
    /// No connection has that name.
    UnknownUser,
    /// The message couldn't be stored. It was delivered to the present subscribers.
    StorageFull,
    /// The message was not stored in time. It may be stored or not, and is not delivered
    /// yet. It can be sent again with the same id.
    StorageBusy,
    /// The servers that keep the messages of a cluster can't be reached. A message may be stored
    /// or not, and can be sent again with the same id. Nothing else is answered.
    NoQuorum,
    /// A message with an id that its publisher has used for another one. Discarded.
    DuplicateId,
    /// The same client has come back on another connection. Closed.
    Replaced,
    /// The peer has begun a TLS handshake, and this server has no TLS. Closed.
    TlsNotSupported,
    /// The peer speaks plain text, and this server only TLS. Closed.
    TlsRequired,
    /// This requires a login, or the login is not valid. Nothing was done.
    Unauthenticated,
    /// The peer may not do this, with the account that it has logged in to. Nothing was done.
    Forbidden,
    /// The name in a registration is kept for an account. The registration is ignored.
    NameReserved,
    /// The server has no accounts, so it serves only its own network. Closed.
    Protected,
    /// The peer's login has expired. Closed.
    Expired,
    /// The peer's token or password is no longer accepted. Closed.
    Revoked,
    /// Too many logins have failed. Further ones are not checked for a while. Closed.
    TooManyAttempts,
    /// The peer sends more than it may: it is read more slowly, or refused over HTTP.
    RateLimited,
    /// Too many logins with passwords wait to be checked. Nothing was done.
    TryLater,
    /// Over HTTP: the request can't be understood.
    BadRequest,
    /// Over HTTP: the request comes from a page of another site.
    ForbiddenOrigin,
    /// Over HTTP: the request asks for a host that isn't this server.
    ForbiddenHost,
    /// Over HTTP: there is nothing at this path.
    NotFound,
    /// Over HTTP: the resource at this path doesn't have this method.
    MethodNotAllowed,
    /// The program on the other side is ending.
    ShuttingDown,
    /// In direct mode: the called person is in another call.
    Busy,
}

impl ErrorCode {
    /// All codes, in the order of their declaration.
    pub const ALL: &'static [Self] = &[
        Self::NotJson,
        Self::NotUtf8,
        Self::TooDeep,
        Self::TooLong,
        Self::NotAnObject,
        Self::UnknownFrame,
        Self::BadFrame,
        Self::BadTopic,
        Self::TooManyTopics,
        Self::NotRegistered,
        Self::TooManyConnections,
        Self::RegistrationTimeout,
        Self::UnfinishedFrame,
        Self::SlowReader,
        Self::QueuesFull,
        Self::NameTaken,
        Self::UnknownUser,
        Self::StorageFull,
        Self::StorageBusy,
        Self::NoQuorum,
        Self::DuplicateId,
        Self::Replaced,
        Self::TlsNotSupported,
        Self::TlsRequired,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NameReserved,
        Self::Protected,
        Self::Expired,
        Self::Revoked,
        Self::TooManyAttempts,
        Self::RateLimited,
        Self::TryLater,
        Self::BadRequest,
        Self::ForbiddenOrigin,
        Self::ForbiddenHost,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::ShuttingDown,
        Self::Busy,
    ];

    /// The code as it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not-json",
            Self::NotUtf8 => "not-utf8",
            Self::TooDeep => "too-deep",
            Self::TooLong => "too-long",
            Self::NotAnObject => "not-an-object",
            Self::UnknownFrame => "unknown-frame",
            Self::BadFrame => "bad-frame",
            Self::BadTopic => "bad-topic",
            Self::TooManyTopics => "too-many-topics",
            Self::NotRegistered => "not-registered",
            Self::TooManyConnections => "too-many-connections",
            Self::RegistrationTimeout => "registration-timeout",
            Self::UnfinishedFrame => "unfinished-frame",
            Self::SlowReader => "slow-reader",
            Self::QueuesFull => "queues-full",
            Self::NameTaken => "name-taken",
            Self::UnknownUser => "unknown-user",
            Self::StorageFull => "storage-full",
            Self::StorageBusy => "storage-busy",
            Self::NoQuorum => "no-quorum",
            Self::DuplicateId => "duplicate-id",
            Self::Replaced => "replaced",
            Self::TlsNotSupported => "tls-not-supported",
            Self::TlsRequired => "tls-required",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NameReserved => "name-reserved",
            Self::Protected => "protected",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::TooManyAttempts => "too-many-attempts",
            Self::RateLimited => "rate-limited",
            Self::TryLater => "try-later",
            Self::BadRequest => "bad-request",
            Self::ForbiddenOrigin => "forbidden-origin",
            Self::ForbiddenHost => "forbidden-host",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::ShuttingDown => "shutting-down",
            Self::Busy => "busy",
        }
    }

    /// The topic under which a classic client is told of an error.
    pub const TOPIC: &'static str = "error";

    /// The text under that topic: the code, and what happened.
    pub fn to_text(self, explanation: impl fmt::Display) -> String {
        format!("{self}{SEPARATOR}{explanation}")
    }

    /// Whether a message under `topic` reports this error.
    pub fn is_told(self, topic: &str, text: &str) -> bool {
        topic == Self::TOPIC && Self::split_text(text).0 == self.as_str()
    }

    /// The code, which may be one that this version doesn't know, and what happened, in a
    /// text under that topic.
    pub fn split_text(text: &str) -> (&str, &str) {
        text.split_once(SEPARATOR).unwrap_or((text, ""))
    }
}

/// Stands between an error's code and its explanation.
const SEPARATOR: &str = ": ";

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_codes_are_listed_in_their_order() {
        for (place, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(*code as usize, place, "{code}");
        }
        let names = include_str!("error_code.rs").lines();
        let names = names.filter(|line| line.starts_with("            Self::"));
        assert_eq!(names.count(), ErrorCode::ALL.len());
    }

    #[test]
    fn a_classic_client_reads_the_code_out_of_the_text() {
        let text = ErrorCode::Busy.to_text("in a call");
        assert_eq!(text, "busy: in a call");
        assert_eq!(ErrorCode::split_text(&text), ("busy", "in a call"));
        assert_eq!(ErrorCode::split_text("no code"), ("no code", ""));
        assert!(ErrorCode::Busy.is_told("error", &text));
        for (topic, text) in [
            ("t", &*text),
            ("error", "busybody: hi"),
            ("error", "so busy: x"),
        ] {
            assert!(!ErrorCode::Busy.is_told(topic, text), "{text}");
        }
    }
}
