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

mod acknowledgements;
mod catch_up;
mod complaints;
mod config;
mod connections;
mod directory;
mod door;
mod expiring;
mod gathering;
mod history;
mod http;
mod identity;
mod input;
mod listener;
mod live;
mod mailbox;
mod members;
mod outbox;
mod publication;
mod queue;
mod registry;
mod render;
mod run;
mod server;
mod session;
mod shared;
mod spare;
mod start;
mod store;
mod subscriptions;
mod topic;
mod topic_log;
mod transport;

pub use config::{Config, LogLevel, Options};
pub use server::{Ended, Server, StartError};
