//! What only happens where TLS is spoken: handshakes, certificates, refusals. What a server
//! does besides is tested over TLS too, by the suite `over_tls`.

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

#[path = "../http/browser.rs"]
mod browser;
#[path = "../it/common/mod.rs"]
mod common;
#[path = "../http/requests.rs"]
mod requests;

mod clients;
mod doors;
mod ends;
mod handshakes;
#[cfg(target_os = "linux")]
mod memory;
mod page;
mod records;
mod refusing;
mod reload;
mod server;
#[cfg(target_os = "linux")]
mod storm;
