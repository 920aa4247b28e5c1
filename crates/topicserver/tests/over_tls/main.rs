//! The same as in `it`, by clients that speak TLS.

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
    reason = "`descriptors` isn't here: nobody accepts its clients"
)]
#[path = "../it/common/mod.rs"]
mod common;

#[path = "../it/ages.rs"]
mod ages;
#[cfg(target_os = "linux")]
#[path = "../it/amplification.rs"]
mod amplification;
#[path = "../it/bad_frames.rs"]
mod bad_frames;
#[path = "../it/bad_streams.rs"]
mod bad_streams;
#[path = "../it/bytes.rs"]
mod bytes;
#[path = "../it/catching_up.rs"]
mod catching_up;
#[cfg(unix)]
#[path = "../it/clocks.rs"]
mod clocks;
#[cfg(unix)]
#[path = "../it/crashes.rs"]
mod crashes;
#[path = "../it/crowds.rs"]
mod crowds;
#[cfg(unix)]
#[path = "../it/damaged_end.rs"]
mod damaged_end;
#[path = "../it/directory.rs"]
mod directory;
#[cfg(target_os = "linux")]
#[path = "../it/filling_disk.rs"]
mod filling_disk;
#[cfg(target_os = "linux")]
#[path = "../it/full_disk.rs"]
mod full_disk;
#[path = "../it/history.rs"]
mod history;
#[path = "../it/ids.rs"]
mod ids;
#[path = "../it/leaving.rs"]
mod leaving;
#[cfg(target_os = "linux")]
#[path = "../it/max_queued.rs"]
mod max_queued;
#[cfg(target_os = "linux")]
#[path = "../it/memory.rs"]
mod memory;
#[path = "../it/model/mod.rs"]
mod model;
#[cfg(target_os = "linux")]
#[path = "../it/power_cut.rs"]
mod power_cut;
#[path = "../it/presence.rs"]
mod presence;
#[cfg(unix)]
#[path = "../it/program.rs"]
mod program;
#[path = "../it/promises.rs"]
mod promises;
#[path = "../it/ranges.rs"]
mod ranges;
#[path = "../it/registering.rs"]
mod registering;
#[path = "../it/relaying.rs"]
mod relaying;
#[cfg(unix)]
#[path = "../it/restarts.rs"]
mod restarts;
#[path = "../it/same_client.rs"]
mod same_client;
#[cfg(unix)]
#[path = "../it/signals.rs"]
mod signals;
#[path = "../it/slow_readers.rs"]
mod slow_readers;
#[cfg(target_os = "linux")]
#[path = "../it/stopped.rs"]
mod stopped;
