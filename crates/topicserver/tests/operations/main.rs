//! What administrators see of a running server, and do to it, with the real program.

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
mod exposition;
#[path = "../http/requests.rs"]
mod requests;

mod admin;
mod backup;
mod crowds;
mod documented;
mod draining;
mod history;
mod local;
mod metrics;
#[cfg(unix)]
mod owners;
#[cfg(target_os = "linux")]
mod packages;
mod proxied;
mod reloading;
mod systemd;
