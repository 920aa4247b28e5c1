//! What `chat` does, on real sockets and with the real program.
//!
//! Nothing here sleeps to be in time: every step waits for what it needs to see,
//! and every wait has a limit that fails loudly. One program, so that it is
//! linked once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests fail by panicking, their helpers too"
)]

mod accounts;
#[cfg(unix)]
mod calls;
mod classic;
mod cuts;
mod delivering;
mod direct;
mod ending;
mod failures;
#[cfg(unix)]
mod finding;
mod front;
mod history;
mod hostile;
#[cfg(unix)]
mod interrupt;
#[cfg(unix)]
mod keys;
#[cfg(unix)]
mod leaving;
mod login;
mod moving;
#[cfg(unix)]
mod names;
mod old_servers;
mod peer;
#[cfg(unix)]
mod person;
#[cfg(unix)]
mod pictures;
mod process;
mod proxy;
mod registering;
mod resuming;
#[cfg(unix)]
mod screens;
mod scripts;
#[cfg(unix)]
mod scrolling;
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the server's tests have it too, and use more of it"
)]
#[path = "../../../topicserver/tests/it/common/secrets/mod.rs"]
mod secrets;
mod server;
mod specification;
#[cfg(unix)]
mod terminal;
mod tls;
mod topic;
#[cfg(target_os = "linux")]
mod torture;
#[allow(
    unreachable_pub,
    reason = "the server's tests have it too, in a module of their own"
)]
#[path = "../../../topicserver/tests/it/common/uninterrupted.rs"]
mod uninterrupted;
