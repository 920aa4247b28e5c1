//! Several servers as one, on real NATS servers: what clients see when any of them is killed,
//! stopped, or asked to end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    // A test polls a process, and counts in a lock.
    clippy::disallowed_methods,
    clippy::disallowed_types,
    // What json!() makes is handed over as it is.
    clippy::needless_pass_by_value,
    missing_docs,
    unreachable_pub
)]

#[allow(
    dead_code,
    unused_imports,
    reason = "the suites that are left out use it"
)]
#[path = "../it/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the library's tests use it too")]
#[path = "../cluster/nats.rs"]
mod nats;

mod chats;
mod failures;
mod guests;
mod harness;
mod islands;
mod links;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod partition;
mod planned;
mod publishers;
mod reloading;
#[cfg(target_os = "linux")]
mod script;
mod secrets;
mod servers;
mod subscribers;
mod witness;
