//! Who may do what, through every door: on real sockets, with a real file.

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

#[cfg(unix)]
#[path = "../http/browser.rs"]
mod browser;
#[path = "../it/common/mod.rs"]
mod common;
#[path = "../http/requests.rs"]
mod requests;

mod accounts;
mod browsers;
mod changes;
mod classic;
mod doors;
mod frames;
#[cfg(unix)]
mod kept_logins;
#[cfg(target_os = "linux")]
mod limits;
mod logins;
#[cfg(unix)]
mod page;
#[cfg(target_os = "linux")]
mod passwords;
#[cfg(unix)]
mod program;
#[cfg(unix)]
mod secrets;
mod signed;
#[cfg(target_os = "linux")]
mod strangers;
mod tickets;
