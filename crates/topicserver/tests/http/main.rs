//! The same port for everyone: what programs, browsers and those who mean no good get
//! over HTTP, Server-Sent Events and WebSocket, on real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::needless_pass_by_value,
    missing_docs,
    unreachable_pub,
    dead_code,
    unused_imports
)]

#[path = "../it/common/mod.rs"]
mod common;
mod requests;

mod abuse;
mod browser;
mod clients;
mod complete;
#[cfg(unix)]
mod curl;
mod gone;
mod guard;
#[cfg(unix)]
mod nginx;
mod openapi;
#[cfg(unix)]
mod page;
#[cfg(unix)]
mod page_accessible;
#[cfg(unix)]
mod page_away;
#[cfg(unix)]
mod page_comfort;
#[cfg(unix)]
mod page_history;
#[cfg(unix)]
mod page_people;
#[cfg(unix)]
mod page_refused;
#[cfg(unix)]
mod page_speed;
mod protocol_detection;
#[cfg(unix)]
mod proxy;
mod publishing;
#[cfg(unix)]
mod recipes;
mod several;
#[cfg(target_os = "linux")]
mod soak;
#[cfg(target_os = "linux")]
mod speed;
mod streaming;
#[cfg(target_os = "linux")]
mod trusted_proxy;
mod websocket;
mod websocket_frames;
