//! What can end a conversation badly, in the words that the user reads: what
//! happened, to what, and what to do.
//!
//! Each is said once, at the end of the run.

use std::io;

use crate::dial::DialError;
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
    #[error("the connection to {peer} is lost: {cause}; {}", left_over(*.unsent))]
    Lost {
        /// Whose connection.
        peer: String,
        /// How it was lost.
        cause: LinkError,
        /// Lines that have not been handed to it whole.
        unsent: usize,
    },
    /// In topic mode: the input has ended while there is no connection.
    #[error(
        "the input has ended, and {server} can't be reached: the last lines may not have arrived"
    )]
    EndedUnconnected {
        /// The server.
        server: String,
    },
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

fn left_over(count: usize) -> String {
    match count {
        0 => "the last lines may not have arrived".into(),
        1 => "1 line could not be sent".into(),
        many => format!("{many} lines could not be sent"),
    }
}
