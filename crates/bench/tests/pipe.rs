//! Whoever reads what topicbench prints may have seen enough, as `head` has: the
//! program then ends quietly, and that is success.

// The lint's exception for tests doesn't reach the helpers of such a file.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A relay that runs until the test is over.
struct Relay(Child);

impl Relay {
    fn start() -> (Self, String) {
        let mut child = topicbench()
            .args(["relay", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut address).unwrap();
        (Self(child), address.trim().to_owned())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn topicbench() -> Command {
    Command::new(env!("CARGO_BIN_EXE_topicbench"))
}

/// Runs it with a standard output that nobody reads any more, and returns what it
/// says on standard error.
fn quietly_ends(arguments: &[&str]) -> String {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = topicbench()
        .args(arguments)
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{:?}: {said}", output.status);
    assert!(!said.contains("panicked"), "{said}");
    assert!(!said.contains("topicbench:"), "{said}");
    said
}

#[test]
fn a_list_that_nobody_reads_is_no_failure() {
    assert_eq!(quietly_ends(&["compare", "--list"]), "");
}

#[test]
fn a_comparison_that_nobody_reads_is_no_failure() {
    let mut arguments = vec!["compare", "--quick", "--rounds", "1", "--only", "relay"];
    arguments.extend(["--workload", "one-to-one-single"]);
    quietly_ends(&arguments);
}

#[test]
fn a_run_that_nobody_reads_is_no_failure() {
    let (_relay, address) = Relay::start();
    let mut arguments = vec!["run", "relay", &address, "--seconds", "0.05"];
    arguments.extend(["--workload", "one-to-one-single"]);
    assert_eq!(quietly_ends(&arguments), "");
}

#[test]
fn a_comparison_whose_progress_nobody_reads_goes_on() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = topicbench()
        .args(["compare", "--quick", "--rounds", "1", "--only", "relay"])
        .args(["--workload", "one-to-one-single"])
        .stdout(Stdio::piped())
        .stderr(writer)
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("### one-to-one-single"), "{text}");
}
