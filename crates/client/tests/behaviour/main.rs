//! The client library on real sockets, against a real server that is killed meanwhile,
//! and the examples that show how to use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests fail by panicking, their helpers too"
)]

mod client;
mod examples;
mod network;
mod participant;
mod scenarios;
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the server's tests have it too, and use more of it"
)]
#[path = "../../../topicserver/tests/it/common/secrets/mod.rs"]
mod secrets;
mod server;
