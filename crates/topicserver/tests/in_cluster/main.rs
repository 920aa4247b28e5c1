//! The same as in `it`, by clients of a cluster of three servers, each at the next one. Left out is
//! what concerns the disk.

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

#[path = "../it/bad_frames.rs"]
mod bad_frames;
#[path = "../it/bad_streams.rs"]
mod bad_streams;
#[path = "../it/catching_up.rs"]
mod catching_up;
#[path = "../it/history.rs"]
mod history;
#[path = "../it/ids.rs"]
mod ids;
#[path = "../it/leaving.rs"]
mod leaving;
#[path = "../it/model/mod.rs"]
mod model;
#[path = "../it/presence.rs"]
mod presence;
#[path = "../it/promises.rs"]
mod promises;
#[path = "../it/ranges.rs"]
mod ranges;
#[path = "../it/registering.rs"]
mod registering;
#[path = "../it/relaying.rs"]
mod relaying;
#[path = "../it/same_client.rs"]
mod same_client;
#[path = "../it/slow_readers.rs"]
mod slow_readers;
