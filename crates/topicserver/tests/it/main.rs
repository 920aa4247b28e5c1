//! What a topic server does, as its clients and its operator see it: on real
//! sockets and, where the process itself matters, on the real program.
//!
//! Every wait has a limit and says what it waited for. Nothing sleeps to let
//! something else happen first.

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

mod common;

mod ages;
#[cfg(target_os = "linux")]
mod amplification;
mod bad_frames;
mod bad_streams;
mod bytes;
mod catching_up;
#[cfg(unix)]
mod clocks;
#[cfg(unix)]
mod crashes;
mod crowds;
#[cfg(unix)]
mod damaged_end;
#[cfg(target_os = "linux")]
mod descriptors;
mod directory;
#[cfg(target_os = "linux")]
mod filling_disk;
#[cfg(target_os = "linux")]
mod frozen_disk;
#[cfg(target_os = "linux")]
mod full_disk;
mod history;
mod ids;
mod leaving;
#[cfg(target_os = "linux")]
mod max_queued;
#[cfg(target_os = "linux")]
mod memory;
mod model;
#[cfg(unix)]
mod options;
#[cfg(target_os = "linux")]
mod power_cut;
mod presence;
#[cfg(unix)]
mod program;
mod promises;
mod ranges;
mod registering;
mod relaying;
#[cfg(unix)]
mod restarts;
mod same_client;
#[cfg(unix)]
mod signals;
mod slow_readers;
#[cfg(target_os = "linux")]
mod stopped;
