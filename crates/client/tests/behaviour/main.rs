//! The client library on real sockets, against a real server that is killed meanwhile,
//! and the examples that show how to use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, their helpers too"
)]

mod client;
mod examples;
mod scenarios;
mod server;
