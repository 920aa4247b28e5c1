//! The whole program in miniature: it measures nothing here, but it must run
//! every workload, verify it, and refuse what is wrong.

// The lint's exception for tests doesn't reach the helpers of such a file.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn topicbench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_topicbench"))
        .args(arguments)
        .output()
        .unwrap()
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file name of this test process's own.
fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("topicbench-test-{}-{name}", std::process::id()))
}

/// Workloads that any server can do.
const CLASSIC: [&str; 12] = [
    "fanout-100-burst",
    "fanout-100-single",
    "fanout-1000",
    "topics-500x4",
    "one-to-one-burst",
    "one-to-one-single",
    "large-8k",
    "open-loop",
    "publishers-16",
    "join-storm",
    "idle-10000",
    "stalled-reader",
];
/// Workloads of what a server keeps.
const KEEPING: [&str; 8] = [
    "publish-ack-1",
    "publish-ack-64",
    "publish-ack-64x16",
    "publish-ack-64-sustained",
    "publish-ack-64x16-sustained",
    "history-topics",
    "replay-memory",
    "replay-disk",
];

/// Workloads of the transports of browsers.
const TRANSPORTS: [&str; 8] = [
    "sse-1000",
    "lines-1000",
    "websocket-1000",
    "websocket-100-burst",
    "idle-sse",
    "idle-websocket",
    "stalled-sse",
    "stalled-websocket",
];

/// Workloads over TLS, which only ours speaks here.
const ENCRYPTED: [&str; 4] = ["tls-100-burst", "tls-100-single", "tls-1000", "idle-tls"];

/// One of keeping that only ours can do.
const STORE: &str = "store-20gb";

/// Runs these workloads in miniature and checks that each gave figures, for each
/// way of using the server.
fn runs(server: &str, workloads: &[&str]) {
    let json = temporary(&format!("{server}-{}.json", workloads[0]));
    let file = json.to_str().unwrap();
    let mut arguments = vec![
        "compare", "--quick", "--rounds", "1", "--only", server, "--json", file,
    ];
    for workload in workloads {
        arguments.extend(["--workload", workload]);
    }
    let output = topicbench(&arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(&json).unwrap();
    std::fs::remove_file(&json).unwrap();
    let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
    let outcomes = figures["workloads"].as_array().unwrap();
    let names: Vec<&str> = outcomes
        .iter()
        .map(|outcome| outcome["workload"].as_str().unwrap())
        .collect();
    assert_eq!(names, workloads);
    for outcome in outcomes {
        for server in outcome["servers"].as_array().unwrap() {
            let any = !server["figures"].as_object().unwrap().is_empty();
            let (workload, name) = (&outcome["workload"], &server["server"]);
            let linux = cfg!(target_os = "linux");
            assert!(any || !linux, "{workload} gave no figures of {name}");
        }
    }
}

/// Whether our server is there to be measured.
fn has_topicserver() -> bool {
    let own = Path::new(env!("CARGO_BIN_EXE_topicbench"));
    let found = own.with_file_name("topicserver").is_file();
    if !found {
        println!("skipped: topicserver is not built beside topicbench");
    }
    found
}

#[test]
fn every_classic_workload_runs_against_the_bare_relay() {
    runs("relay", &CLASSIC);
}

#[test]
fn every_classic_workload_runs_against_topicserver() {
    if has_topicserver() {
        runs("natter", &CLASSIC);
    }
}

#[test]
fn extended_receivers_run_against_topicserver() {
    if has_topicserver() {
        runs("natter", &["fanout-100-burst-extended"]);
    }
}

#[test]
fn every_door_runs_against_topicserver() {
    if has_topicserver() {
        runs("natter", &TRANSPORTS);
    }
}

#[test]
fn every_workload_over_tls_runs_against_topicserver() {
    if has_topicserver() {
        runs("natter", &ENCRYPTED);
    }
}

#[test]
fn every_workload_of_keeping_runs_against_topicserver() {
    if has_topicserver() {
        runs("natter", &KEEPING);
        runs("natter", &[STORE]);
    }
}

/// Whether a peer's program is there to be measured.
fn has_peer(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|folder| folder.join(program).is_file());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

#[test]
fn every_workload_of_keeping_runs_against_redis() {
    if has_peer("redis-server") {
        runs("redis", &KEEPING);
    }
}

#[test]
fn every_workload_over_websocket_runs_against_the_listeners_of_nats_and_mosquitto() {
    let over_websocket: Vec<_> = TRANSPORTS
        .into_iter()
        .filter(|name| name.contains("websocket"))
        .collect();
    for (system, program) in [("nats", "nats-server"), ("mosquitto", "mosquitto")] {
        if has_peer(program) {
            runs(system, &over_websocket);
        }
    }
}

#[test]
fn every_workload_there_is_is_run_here() {
    let output = topicbench(&["compare", "--list"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in text.lines() {
        let name = line.split_whitespace().next().unwrap();
        let known = [&CLASSIC[..], &KEEPING, &TRANSPORTS, &ENCRYPTED].concat();
        let known = known.contains(&name);
        let ours = ["fanout-100-burst-extended", STORE].contains(&name);
        assert!(known || ours, "{name}");
    }
}

#[test]
fn a_workload_that_nobody_can_do_is_skipped_and_said_so() {
    let arguments = [
        "compare",
        "--quick",
        "--only",
        "relay",
        "--workload",
        "publish-ack-1",
    ];
    let text = complaint(&topicbench(&arguments));
    assert!(text.contains("skipping publish-ack-1"), "{text}");
}

#[test]
fn the_sweep_draws_what_it_has_measured() {
    let svg = temporary("sweep.svg");
    let file = svg.to_str().unwrap();
    let output = topicbench(&["sweep", "--quick", "--only", "relay", "--svg", file]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let picture = std::fs::read_to_string(&svg).unwrap();
    std::fs::remove_file(&svg).unwrap();
    assert!(picture.contains("receivers") && picture.contains("relay"));
}

#[test]
fn the_workloads_are_listed() {
    let output = topicbench(&["compare", "--list"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("fanout-100-burst") && text.contains("stalled-reader"));
}

#[test]
fn a_server_that_is_not_installed_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_topicbench"))
        .args(["compare", "--quick", "--only", "redis"])
        .env("PATH", "")
        .output()
        .unwrap();
    let text = complaint(&output);
    assert!(
        text.contains("skipping redis") && text.contains("install it"),
        "{text}"
    );
}

#[test]
fn a_server_that_ends_at_once_is_a_failure_with_its_log() {
    let own = env!("CARGO_BIN_EXE_topicbench");
    let workload = [
        "--quick",
        "--rounds",
        "1",
        "--workload",
        "one-to-one-single",
    ];
    let mut arguments = vec!["compare", "--only", "natter", "--server", own];
    arguments.extend(workload);
    let text = complaint(&topicbench(&arguments));
    assert!(text.contains("it ended at once"), "{text}");
}

/// A relay from its first connection to its second that sends each line as
/// often as `copies` says; runs until either side closes.
fn faulty_relay(copies: impl Fn(&str) -> usize + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || -> std::io::Result<()> {
        let publisher = listener.accept()?.0;
        let mut receiver: TcpStream = listener.accept()?.0;
        for line in BufReader::new(publisher).lines() {
            let line = line?;
            let sent = format!("{line}\n").repeat(copies(&line));
            receiver.write_all(sent.as_bytes())?;
        }
        Ok(())
    });
    address
}

fn run_against(address: &str) -> String {
    complaint(&topicbench(&[
        "run",
        "relay",
        address,
        "--workload",
        "one-to-one-burst",
        "--seconds",
        "1",
    ]))
}

#[test]
fn a_server_that_loses_a_message_fails_the_run() {
    let address = faulty_relay(|line| usize::from(!line.contains("D000000000000040")));
    let text = run_against(&address);
    assert!(
        text.contains("messages 40 to 40 of publisher 0 are missing"),
        "{text}"
    );
}

#[test]
fn a_server_that_doubles_a_message_fails_the_run() {
    let address = faulty_relay(|line| 1 + usize::from(line.contains("D000000000000040")));
    let text = run_against(&address);
    assert!(
        text.contains("message 40 of publisher 0 arrived twice"),
        "{text}"
    );
}
