//! Whatever ends topicbench ends the servers that it has started, and removes
//! what they have written.

// The lint's exception for tests doesn't reach the helpers of such a file.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod common;

/// Nothing that is waited for here takes a tenth as long.
const LIMIT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(10);

const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// A measurement that runs for minutes unless it is ended.
struct Bench {
    process: Child,
    /// Its folder for temporary files.
    scratch: PathBuf,
}

impl Bench {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let scratch = format!("topicbench-ending-{}-{name}", std::process::id());
        let scratch = std::env::temp_dir().join(scratch);
        fs::create_dir(&scratch).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_topicbench"))
            .args(arguments)
            .env("TMPDIR", &scratch)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, scratch }
    }

    /// Sends the signal and returns what ended the process.
    fn end_by(&mut self, signal: i32) -> Option<i32> {
        let ended = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.process.id().to_string())
            .status()
            .unwrap();
        assert!(ended.success());
        self.process.wait().unwrap().signal()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// The children of a process, and their children.
fn descendants(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if state_and_parent(pid).is_some_and(|(_, its)| its == parent) {
            found.push(pid);
            found.extend(descendants(pid));
        }
    }
    found
}

/// A living process's state and parent.
fn state_and_parent(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name and may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let (state, fields) = fields.split_once(' ')?;
    let (parent, _) = fields.split_once(' ')?;
    Some((state.to_owned(), parent.parse().ok()?))
}

/// Whether it has ended, even if nobody has asked how yet.
fn has_ended(pid: u32) -> bool {
    state_and_parent(pid).is_none_or(|(state, _)| state == "Z")
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "{what}: not after {LIMIT:?}");
        std::thread::sleep(LOOK);
    }
}

/// A comparison, in which a guard and a server run.
const COMPARISON: &[&str] = &[
    "compare",
    "--only",
    "relay",
    "--seconds",
    "600",
    "--workload",
    "one-to-one-single",
];

/// Starts a measurement, ends it by this signal while that many processes are running, and
/// checks that nothing of it is left.
fn nothing_is_left_after(signal: i32, name: &str, arguments: &[&str], processes: usize) {
    let mut bench = Bench::start(name, arguments);
    let pid = bench.process.id();
    wait_until("all processes are running", || {
        descendants(pid).len() == processes
    });
    let servers = descendants(pid);
    assert_eq!(bench.end_by(signal), Some(signal));
    for server in servers {
        wait_until("all processes have ended", || has_ended(server));
    }
    let left: Vec<_> = fs::read_dir(&bench.scratch).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn sigterm_ends_the_servers_too() {
    nothing_is_left_after(SIGTERM, "term", COMPARISON, 2);
}

#[test]
fn sigint_ends_the_servers_too() {
    nothing_is_left_after(SIGINT, "int", COMPARISON, 2);
}

#[test]
fn even_sigkill_ends_the_servers_too() {
    nothing_is_left_after(SIGKILL, "kill", COMPARISON, 2);
}

#[test]
fn sigint_ends_all_servers_of_a_cluster() {
    let Some(programs) = common::programs() else {
        return;
    };
    let mut arguments = vec!["cluster", "--only", "failover", "--rounds", "100"];
    arguments.extend(programs.iter().map(String::as_str));
    // Three NATS servers and three of ours, each with a guard.
    nothing_is_left_after(SIGINT, "cluster", &arguments, 12);
}
