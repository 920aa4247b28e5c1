//! The topic server: relays JSON messages by topic.
//!
//! Bytes go one way through it:
//!
//! ```text
//! bytes ─▶ frame ─▶ session ─▶ topic ─▶ outbox ─▶ bytes
//! ```
//!
//! `input` makes frames of bytes, `session` is one connection's life, `topic`
//! gives messages their order and `outbox` writes them, or keeps them while the
//! peer's socket is full. `listener` lets connections in, `server` is the whole.

mod complaints;
mod config;
mod connections;
#[allow(dead_code)]
mod history;
mod input;
mod listener;
mod mailbox;
mod outbox;
mod queue;
mod registry;
mod run;
mod server;
mod session;
mod shared;
#[allow(dead_code)]
mod store;
mod subscriptions;
mod topic;
mod transport;

pub use config::{Config, LogLevel, Options};
pub use server::{BindError, Ended, Server};
