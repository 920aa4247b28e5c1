//! Why a run failed, as text for a person: what happened, to what, and what to do.
//!
//! Each error is reported once, at the end of the run.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use client::dial::DialError;
use client::link::LinkError;
use client::{ClientError, Pin, Undelivered};
use wire::{Address, AddressError, ScanError};

use crate::access::{AccessError, KnownServers, line, unknown_key};
use crate::discovery::DiscoveryError;
use crate::output::plural::counted;
use crate::words;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection could be made to any address of a topic server.
    #[error("{}", words::unreachable(.0))]
    Unreachable(Vec<DialError>),
    /// No connection to a peer could be made.
    #[error("{}", words::dial_error(.error, .expected))]
    Dial {
        /// Why.
        error: DialError,
        /// The program that should be running there.
        expected: &'static str,
    },
    /// The port can't be listened on.
    #[error("can't wait for callers on port {port}: {}", bind_advice(.source))]
    Bind {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// No server on this network announces itself.
    #[error(
        "no server on this network announces itself, as those do that were started with \
         --announce; one that doesn't is reached by its address: chat -topic ADDRESS:PORT TOPIC"
    )]
    NoServers,
    /// The network can't be asked.
    #[error("can't look for servers: {source}")]
    CantFind {
        /// Why.
        source: DiscoveryError,
    },
    /// Received messages can't be displayed.
    #[error("can't write to standard output: {source}")]
    Output {
        /// What the system said.
        source: io::Error,
    },
    /// In direct mode: the peer is in another call.
    #[error(
        "{peer} is busy talking to somebody else, and has read nothing of this; try again later"
    )]
    Busy {
        /// The called peer.
        peer: Address,
    },
    /// In direct mode: the connection is lost.
    #[error("{}", words::lost(.peer, &words::link_error(.cause), .undelivered))]
    Lost {
        /// The peer.
        peer: String,
        /// How it was lost.
        cause: LinkError,
        /// The lines that the peer didn't get.
        undelivered: Undelivered,
    },
    /// In direct mode: the server doesn't say where a user is.
    #[error("can't call {user}: {server} says: {reason}")]
    NotFound {
        /// The user to be called.
        user: String,
        /// The server.
        server: Address,
        /// The server's answer.
        reason: LookupError,
    },
    /// In topic mode: the client has ended.
    #[error("{}", words::client_error(.error, .server))]
    Client {
        /// Why.
        error: ClientError,
        /// The server.
        server: String,
    },
    /// A server isn't dialed.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// In topic mode: the server has removed us from the last topic.
    #[error("{server} doesn't allow you to be in any of these topics any more")]
    Removed {
        /// The server.
        server: String,
    },
    /// In topic mode: the server's key isn't known, and there is no terminal to ask on.
    #[error(
        "{server} is new, and the fingerprint of its key is {found}. If that is what topicserver \
         printed there, use --accept-new, or add this line to {}: {}", .path.display(),
        line(.server, *.found)
    )]
    NewServer {
        /// The server.
        server: Address,
        /// Its key.
        found: Pin,
        /// The file of known servers.
        path: PathBuf,
    },
    /// No message came within `--timeout`.
    #[error("no message came within {} s", .timeout.as_secs_f64())]
    Silent {
        /// The timeout.
        timeout: Duration,
    },
    /// The person has left without sending what was typed.
    #[error("left without sending {}: {}", counted(*.count as u64, "line", "lines"), words::shortened(.first))]
    Abandoned {
        /// The number of lines.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// In topic mode: the server refused lines, each of which has been named.
    #[error("{} not delivered or not stored, as said above", counted(*.count, "line was", "lines were"))]
    Undelivered {
        /// The number of lines.
        count: u64,
    },
}

impl Failure {
    /// No connection to a topic server can be made: one error for each of its addresses.
    pub(crate) fn of_dialing(errors: Vec<DialError>, known: &KnownServers) -> Self {
        match (&errors[..], known.path()) {
            ([DialError::Tls { address, .. }], Ok(path))
                if let Some(found) = unknown_key(&errors[0]) =>
            {
                Self::NewServer {
                    server: address.clone(),
                    found,
                    path: path.to_owned(),
                }
            }
            _ => Self::Unreachable(errors),
        }
    }

    /// In topic mode: the client has ended.
    pub(crate) fn of_client(error: ClientError, server: String, known: &KnownServers) -> Self {
        match error {
            ClientError::Dial(error) => Self::of_dialing(vec![error], known),
            ClientError::Unreachable(errors) => Self::of_dialing(errors, known),
            error => Self::Client { error, server },
        }
    }
}

/// Why a server doesn't say where a user is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    /// It has closed the connection.
    #[error("it closed the connection")]
    Closed,
    /// It sent something that is no frame.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// It sent an invalid address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It reports an error.
    #[error("{0}")]
    Server(String),
    /// It speaks TLS only.
    #[error("{0}")]
    TlsRequired(String),
}

fn bind_advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program is using it; end that program, or choose another port".into()
        }
        io::ErrorKind::PermissionDenied => "permission denied; use port 1024 or above".into(),
        _ => error.to_string(),
    }
}
