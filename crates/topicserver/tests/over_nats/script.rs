//! `scripts/cluster`, with which a newcomer starts a cluster on one machine.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::common::{Directory, eventually};
use crate::nats::program;

/// The script, with the ports from this one on.
fn script(nats: &Path, port: u32, directory: &Path) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = std::env::var("PATH").unwrap();
    let beside = nats.parent().map(PathBuf::from).unwrap_or_default();
    let mut command = Command::new(root.join("scripts/cluster"));
    command
        .args(["-p", &port.to_string(), "-b"])
        .arg(env!("CARGO_BIN_EXE_topicserver"))
        .arg("-d")
        .arg(directory)
        .env("PATH", format!("{}:{path}", beside.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A cluster that the script has started.
struct Started {
    script: Child,
    output: BufReader<ChildStdout>,
    processes: Processes,
}

/// The ids of the servers and NATS servers. None of them outlives the test.
struct Processes(Vec<u32>);

impl Processes {
    fn living(&self) -> impl Iterator<Item = &u32> {
        let is_there = |id: &&u32| PathBuf::from(format!("/proc/{id}")).exists();
        self.0.iter().filter(is_there)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for id in self.living() {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        }
    }
}

impl Started {
    /// `None` if the script has ended before.
    fn new(mut script: Child) -> Option<Self> {
        let mut output = BufReader::new(script.stdout.take().unwrap());
        let mut processes = Processes(Vec::new());
        loop {
            let mut line = String::new();
            if output.read_line(&mut line).unwrap() == 0 {
                script.wait().unwrap();
                return None;
            }
            let words: Vec<_> = line.split_whitespace().collect();
            let ids = words.windows(2).filter(|pair| pair[0] == "process");
            processes
                .0
                .extend(ids.map(|pair| pair[1].parse::<u32>().unwrap()));
            if line.contains("Ctrl-C stops all") {
                return Some(Self {
                    script,
                    output,
                    processes,
                });
            }
        }
    }
}

/// The first ports that are free, and a cluster on them.
fn start(nats: &Path, directory: &Path) -> (u32, Started) {
    let first = 21_000 + std::process::id() % 200 * 50;
    let mut ports = (first..31_000).step_by(50);
    let started = ports.find_map(|port| {
        let script = script(nats, port, directory).spawn().unwrap();
        Some((port, Started::new(script)?))
    });
    started.unwrap()
}

#[test]
fn a_cluster_keeps_its_ports_and_ends_with_its_terminal() {
    let Some(nats) = program() else {
        return;
    };
    let (directory, other) = (Directory::new(), Directory::new());
    let (port, mut cluster) = start(&nats, directory.path());
    assert_eq!(cluster.processes.living().count(), 6);

    // The last port of the new one is the first port of this one.
    let second = script(&nats, port - 2, other.path()).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    let expected = format!("port {port} is in use: choose others with -p");
    assert!(said.contains(&expected), "{said}");

    // Nobody reads what it says any more.
    drop(cluster.output);
    let id = cluster.script.id().to_string();
    let sent = Command::new("kill").args(["-HUP", &id]).status().unwrap();
    assert!(sent.success());
    cluster.script.wait().unwrap();
    eventually("all servers to be gone", || {
        cluster.processes.living().next().is_none().then_some(())
    });
}
