//! The topic server: relays JSON messages by topic.
//!
//! Bytes go one way through it:
//!
//! ```text
//! bytes ─▶ frame ─▶ session ─▶ topic ─▶ outbox ─▶ bytes
//! ```
//!
//! `session` serves one connection: it parses frames and carries them out. `topic` gives messages
//! their order, and `outbox` writes them, or queues them while the peer's socket is full.
//! `listener` accepts connections, and `server` puts everything together. A file imports only
//! what is below it in the map of ARCHITECTURE.md.

mod access;
mod admin;
mod admin_client;
mod administer;
mod announce;
mod check;
mod clock;
#[cfg_attr(
    not(any(test, feature = "cluster", feature = "simulation")),
    allow(dead_code, reason = "only an engine makes them")
)]
mod cluster;
mod config;
mod connections;
mod excerpt;
mod exposition;
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
mod maintain;
mod manage;
mod metrics;
mod network;
mod outbox;
mod peer;
mod percent;
mod policy_watch;
mod process;
mod queues;
mod quorum_watch;
mod reach;
mod reload;
mod server;
mod session;
mod socket;
mod state;
mod store;
mod tls;
mod topic;
mod turn;
mod unix_socket;
mod version;
mod vitals;
mod websocket;

pub use access::{
    AuthFileError, EditError, JwtKeyError, Mistake, PasswordHashError, RateError, RuleError,
    TokenError,
};
pub use admin_client::ExchangeError;
pub use administer::{Administer, AdministerError};
pub use check::{CheckError, check};
pub use clock::{SystemClocks, TimeSource};
#[cfg(any(test, feature = "simulation"))]
#[doc(hidden)]
pub use cluster::simulation;
pub use cluster::{Engine, EngineError};
pub use config::{
    AdminAddress, AdminAddressError, BackupRate, BackupRateError, CertificateSource, Change,
    ClusterConfig, ClusterDurability, Config, ConfigMistake, Gathered, LogFormat, LogLevel,
    MonitorUrl, MonitorUrlError, NatsUrl, NatsUrlError, Options, OptionsError, Source, TlsConfig,
    TlsMode, TlsVersion, TrustedProxy, TrustedProxyError,
};
pub use excerpt::Excerpt;
pub use identity::NoRandomness;
pub use maintain::{Maintain, MaintainError};
pub use manage::{Manage, ManageError};
pub use network::{Network, NetworkError};
pub use reload::{Program, ReloadError, ReloadMistake, Reloaded, Reloader};
pub use server::{Ended, Inherited, Server, StartError};
pub use store::{
    Damaged, DatabaseError, ImportError, LineError, OpenError, SharedError, StoreError, ToolError,
};
pub use tls::TlsError;
pub use vitals::{Unwell, Vitals};
