//! Options from a file, the environment and the command line, in the real program.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::common::{Directory, Process, finish, program};

/// A configuration file in a directory of its own.
struct File(Directory);

impl File {
    fn with(text: &str) -> Self {
        let directory = Directory::new();
        std::fs::create_dir_all(directory.path()).unwrap();
        std::fs::write(directory.path().join("natter.toml"), text).unwrap();
        Self(directory)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("natter.toml")
    }
}

fn check(file: &File, options: &[&str]) -> Output {
    let mut command = program();
    command.arg("check-config").arg(file.path()).args(options);
    finish(&mut command)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_server_obeys_its_file() {
    let file = File::with("max-frame = \"100b\"\n");
    let server = Process::start(&["--config", file.path().to_str().unwrap()]);
    let mut client = server.connect();
    client.send(format!("{{\"message\":\"{}\"}}", "x".repeat(200)).as_bytes());
    let answer = client.expect_error("too-long");
    assert!(answer.contains("100"), "{answer}");
}

#[test]
fn a_server_obeys_its_environment_and_the_command_line_goes_before_it() {
    let file = File::with("max-topics = 1\n");
    let mut command = program();
    command.env("NATTER_CONFIG", file.path());
    command.env("NATTER_MAX_DEPTH", "7").arg("check-config");
    let output = finish(command.args(["20000", "--max-frame", "1KiB"]));
    let report = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for line in [
        "port = 20000  # command line",
        "max-frame = \"1KiB\"  # command line",
        "max-depth = 7  # NATTER_MAX_DEPTH",
        "keep-age = \"30d\"  # default",
    ] {
        assert!(
            report.lines().any(|other| other == line),
            "{line}:\n{report}"
        );
    }
    assert!(report.contains("max-topics = 1  # ") && report.contains("natter.toml, line 1"));
}

#[test]
fn wrong_options_keep_a_server_from_starting_and_all_are_told() {
    let file = File::with("max-frames = 1\nkeep-age = \"soon\"\n");
    let mut command = program();
    command.env("NATTER_AUHT", "x").args(["0", "--config"]);
    let output = finish(command.arg(file.path()));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = text(&output.stderr);
    for part in [
        "3 mistakes",
        "NATTER_AUHT",
        "max-frames",
        "line 2",
        "\"soon\"",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn what_is_checked_can_be_used_and_what_cannot_be_is_named() {
    let file = File::with("port = 20000\n");
    let output = check(&file, &[]);
    assert!(output.status.success(), "{output:?}");
    // The report is a file that says the same.
    let again = File::with(&text(&output.stdout));
    let output = check(&again, &[]);
    assert!(output.status.success(), "{output:?}");

    let path = file.path();
    let output = check(&file, &["--data", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = text(&output.stderr);
    assert!(
        error.contains("--data") && error.contains("is no directory"),
        "{error}"
    );
    let output = check(&file, &["--auth", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = text(&output.stderr);
    assert!(
        error.contains("--auth") && error.contains("line 1"),
        "{error}"
    );
    // Nothing is made.
    let data = file.0.path().join("data");
    assert!(
        check(&file, &["--data", data.to_str().unwrap()])
            .status
            .success()
    );
    assert!(!data.exists());
}

/// The first line of the log of a server that is started so.
fn first_line(command: &mut Command) -> String {
    let mut server = command.arg("0").stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    line
}

#[test]
fn a_log_for_programs_has_an_object_in_each_line() {
    let line = first_line(program().args(["--log-format", "json", "--bind", "127.0.0.1"]));
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["level"], "info", "{line}");
    assert_eq!(event["target"], "topicserver", "{line}");
    assert!(event["time"].as_str().unwrap().ends_with('Z'), "{line}");
    let text = event["message"].as_str().unwrap();
    assert!(text.starts_with("listening on 127.0.0.1:"), "{line}");
}

#[test]
fn a_log_for_the_journal_has_the_level_and_no_stamp() {
    let mut command = program();
    command.args(["--bind", "127.0.0.1"]);
    let line = first_line(command.env("JOURNAL_STREAM", "8:1"));
    assert!(line.starts_with("<6>listening on 127.0.0.1:"), "{line}");
}
