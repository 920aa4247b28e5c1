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

/// Runs every workload in miniature and checks that each gave figures.
fn runs_everything(server: &str, json: &Path) {
    let file = json.to_str().unwrap();
    let output = topicbench(&[
        "compare", "--quick", "--rounds", "1", "--only", server, "--json", file,
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(json).unwrap();
    std::fs::remove_file(json).unwrap();
    let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
    let workloads = figures["workloads"].as_array().unwrap();
    assert_eq!(workloads.len(), 12);
    for workload in workloads {
        let figures = workload["servers"][0]["figures"].as_object().unwrap();
        let any = !figures.is_empty() || !cfg!(target_os = "linux");
        assert!(any, "{} gave no figures", workload["workload"]);
    }
}

#[test]
fn every_workload_runs_against_the_bare_relay() {
    runs_everything("relay", &temporary("relay.json"));
}

#[test]
fn every_workload_runs_against_topicserver() {
    let server = Path::new(env!("CARGO_BIN_EXE_topicbench")).with_file_name("topicserver");
    if !server.is_file() {
        println!("skipped: topicserver is not built beside topicbench");
        return;
    }
    runs_everything("natter", &temporary("natter.json"));
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
