//! `topicbench cluster` in miniature, and what it leaves behind: nothing.

// The lint's exception for tests doesn't reach the helpers of such a file.
#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

mod common;

const TOPICBENCH: &str = env!("CARGO_BIN_EXE_topicbench");

/// A folder for temporary files, with what is left in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("topicbench-cluster-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn topicbench(scratch: &Scratch, arguments: &[&str]) -> Output {
    Command::new(TOPICBENCH)
        .arg("cluster")
        .args(arguments)
        .env("TMPDIR", &scratch.0)
        .output()
        .unwrap()
}

fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_measurement_of_a_cluster_gives_figures_and_nothing_is_left_of_its_servers() {
    let Some(programs) = common::programs() else {
        return;
    };
    let (scratch, output) = (Scratch::new("quick"), Scratch::new("json"));
    let json = output.0.join("figures.json");
    let json = json.to_str().unwrap();
    let mut arguments = vec!["--quick", "--json", json];
    arguments.extend(programs.iter().map(String::as_str));
    let run = topicbench(&scratch, &arguments);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let figures: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let measured = figures["measurements"].as_array().unwrap();
    let names: Vec<_> = measured.iter().map(|one| &one["name"]).collect();
    let expected = [
        "acks-64-of-one",
        "acks-1024-of-one",
        "acks-64-in-one-topic",
        "acks-64-topics",
        "acks-64x16-topics",
        "fanout-3x100-single",
        "fanout-3x100-burst",
        "failover",
        "topics",
    ];
    assert_eq!(names, expected);
    for one in measured {
        for row in one["rows"].as_array().unwrap() {
            let figures = row["runs"][0].as_object().unwrap();
            let are_some = figures.values().all(|value| value.as_f64().is_some());
            assert!(!figures.is_empty() && are_some, "{one}");
        }
    }
    assert!(scratch.is_empty(), "{:?}", fs::read_dir(&scratch.0));
}

#[test]
fn a_server_that_ends_at_once_fails_the_run_and_ends_all_others() {
    let Some(mut programs) = common::programs() else {
        return;
    };
    let scratch = Scratch::new("failing");
    // It says that it knows clusters, and does nothing.
    let folder = Scratch::new("program");
    let program = folder.0.join("topicserver");
    fs::write(&program, "#!/bin/sh\necho --cluster\n").unwrap();
    let is_executable = Command::new("chmod").arg("+x").arg(&program).status();
    assert!(is_executable.unwrap().success());
    program.to_str().unwrap().clone_into(&mut programs[1]);
    let mut arguments = vec!["--quick"];
    arguments.extend(programs.iter().map(String::as_str));
    let text = complaint(&topicbench(&scratch, &arguments));
    assert!(text.contains("it ended at once"), "{text}");
    assert!(scratch.is_empty(), "{:?}", fs::read_dir(&scratch.0));
}

#[test]
fn programs_that_will_not_do_are_refused_before_anything_starts() {
    let scratch = Scratch::new("refused");
    let text = complaint(&topicbench(&scratch, &["--server", TOPICBENCH]));
    assert!(text.contains("--features topicserver/cluster"), "{text}");
    let text = complaint(&topicbench(&scratch, &["--server", "/nowhere/topicserver"]));
    assert!(text.contains("there is no program"), "{text}");
    let text = complaint(&topicbench(&scratch, &["--topics", "5"]));
    assert!(text.contains("--topics 5 is not between"), "{text}");
    assert!(scratch.is_empty(), "{:?}", fs::read_dir(&scratch.0));
}
