//! A server to test, clients to test it with, and a conversation that nothing
//! may disturb.

mod bystanders;
mod client;
#[cfg(unix)]
mod data;
mod extended;
#[cfg(unix)]
mod frail;
#[cfg(unix)]
mod local;
#[cfg(target_os = "linux")]
mod loop_disk;
#[cfg(unix)]
mod process;
#[allow(dead_code, reason = "most suites use no secrets")]
pub mod secrets;
mod server;
mod stream;
pub mod tls;
pub mod uninterrupted;

use std::time::{Duration, Instant};

pub use bystanders::Bystanders;
pub use client::{Client, message, registration};
#[cfg(unix)]
pub use data::{Directory, SmallDisk};
#[cfg(unix)]
pub use frail::Frail;
#[cfg(unix)]
pub use local::{connect_local, is_over_unix, note_socket, socket_of, socket_path};
#[cfg(target_os = "linux")]
pub use loop_disk::LoopDisk;
#[cfg(unix)]
pub use process::{Process, finish, program};
pub use server::{TestServer, is_in_cluster, is_left_out, state_directory};
pub use stream::{Stream, is_over_tls};
pub use uninterrupted::read_some;

/// How long anything may take that should happen at once. Far more than it needs,
/// because the machine may be busy.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
