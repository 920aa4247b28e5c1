//! The topic server: relays JSON messages by topic.
//!
//! Bytes go one way through it:
//!
//! ```text
//! bytes ─▶ frame ─▶ session ─▶ topic ─▶ outbox ─▶ bytes
//! ```
//!
//! `session` is one connection's life: it makes frames of bytes and does what they
//! say. `topic` gives messages their order, and `outbox` writes them, or keeps them
//! while the peer's socket is full. `listener` lets connections in, `server` is the
//! whole. A file imports only what stands below it in the map of ARCHITECTURE.md.

mod access;
mod admin;
mod administer;
mod check;
mod clock;
mod config;
mod connections;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod history;
mod http;
mod identity;
mod linger;
mod listener;
mod log_limit;
mod manage;
mod metrics;
mod network;
mod outbox;
mod process;
mod queues;
mod reach;
mod server;
mod session;
mod state;
mod store;
mod tls;
mod topic;
mod turn;
mod vigil;
mod vitals;
mod websocket;

pub use access::{
    AuthFileError, EditError, JwtKeyError, Mistake, PasswordHashError, Place, RateError, RuleError,
    TokenError,
};
pub use administer::{Administer, AdministerError};
pub use check::{CheckError, check};
pub use clock::{SystemClocks, TimeSource};
pub use config::{
    AdminAddress, AdminAddressError, CertificateSource, Config, ConfigMistake, Gathered, LogFormat,
    LogLevel, Options, OptionsError, Source, Spot, TlsConfig, TlsMode, TlsVersion,
};
pub use identity::NoRandomness;
pub use manage::{Manage, ManageError};
pub use network::{Network, NetworkError};
pub use server::{Ended, Reloader, Server, StartError};
pub use store::{Damaged, DatabaseError, OpenError, SharedError, StoreError};
pub use tls::TlsError;
pub use vitals::{Unwell, Vitals};
