//! What can end a conversation badly, in the words that the user reads: what
//! happened, to what, and what to do.
//!
//! Each is said once, at the end of the run.

use std::io;
use std::time::Duration;

use crate::dial::DialError;
use crate::left::Left;
use crate::link::LinkError;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection could be made.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The port can't be listened on.
    #[error("can't wait for callers on port {port}: {}", bind_advice(.source))]
    Bind {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// What was received can't be displayed.
    #[error("can't write to standard output: {source}")]
    Output {
        /// What the system said.
        source: io::Error,
    },
    /// In direct mode: the peer is talking to somebody else.
    #[error(
        "{peer} is busy talking to somebody else, and has read nothing of this; try again later"
    )]
    Busy {
        /// Who was called.
        peer: String,
    },
    /// A connection was made, and is lost.
    #[error("the connection to {peer} is lost: {cause}; {left}")]
    Lost {
        /// Whose connection.
        peer: String,
        /// How it was lost.
        cause: LinkError,
        /// What of the input it didn't get.
        left: Left,
    },
    /// In topic mode: the input has ended while there is no connection.
    #[error(
        "the input has ended, and {server} can't be reached: the last lines may not have arrived"
    )]
    EndedUnconnected {
        /// The server.
        server: String,
    },
    /// In topic mode: acknowledgements didn't come in time.
    #[error(
        "{server} acknowledged nothing for {} s: {left}; is it running, and is the network up? \
         (--ack-timeout waits longer)", .timeout.as_secs_f64()
    )]
    Unacknowledged {
        /// The server.
        server: String,
        /// How long was waited.
        timeout: Duration,
        /// What was waited for.
        left: Left,
    },
    /// In topic mode: what was asked for of the topic's past didn't come.
    #[error(
        "what {server} has of the topic's past did not come within {} s: is it running, and is \
         the network up? (--ack-timeout waits longer)", .timeout.as_secs_f64()
    )]
    NoHistory {
        /// The server.
        server: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// In topic mode: the server refused lines, each of which has been named.
    #[error("{} not delivered or not stored, as said above", refused(*.count))]
    Undelivered {
        /// The number of lines.
        count: u64,
    },
    /// In topic mode: somebody else has the name.
    #[error("the name {name} is taken at {server}: choose another one (--name)")]
    NameTaken {
        /// The name.
        name: String,
        /// The server.
        server: String,
    },
    /// In direct mode: the server doesn't say where somebody is.
    #[error("can't call {user}: {server} says: {said}")]
    NotFound {
        /// Who was to be called.
        user: String,
        /// The server.
        server: String,
        /// Its words.
        said: String,
    },
    /// In topic mode: the server won't have us.
    #[error("{server} refused to let us join: {said}")]
    Refused {
        /// The server.
        server: String,
        /// Its words.
        said: String,
    },
}

fn refused(count: u64) -> String {
    match count {
        1 => "1 line was".into(),
        many => format!("{many} lines were"),
    }
}

fn bind_advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program is using it; end that one, or choose another port".into()
        }
        io::ErrorKind::PermissionDenied => {
            "that takes more rights; choose a port from 1024 on".into()
        }
        _ => error.to_string(),
    }
}
