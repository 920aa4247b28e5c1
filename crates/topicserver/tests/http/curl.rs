//! `docs/http.md` says what is so: each of its commands is run as a person types it, and
//! prints what the page shows.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use clap::CommandFactory;
use topicserver::Options;

use crate::common::{LIMIT, TestServer};

const PAGE: &str = include_str!("../../../../docs/http.md");

/// A command of the page and what it prints there.
#[derive(Debug)]
struct Example {
    command: String,
    output: Vec<String>,
}

fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for block in PAGE.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            match line.strip_prefix("$ ") {
                Some(command) => examples.push(Example {
                    command: command.to_owned(),
                    output: Vec::new(),
                }),
                None => examples.last_mut().unwrap().output.push(line.to_owned()),
            }
        }
    }
    examples
}

/// A line without what is another one each time: times, ports, epochs.
fn steady(line: &str) -> String {
    let mut steady = line.to_owned();
    for (before, after) in [("\"time\":", ','), ("\"port\":\"", '"')] {
        let mut parts = steady.split(before).map(str::to_owned).collect::<Vec<_>>();
        for part in parts.iter_mut().skip(1) {
            let end = part.find([after, '}']).unwrap_or(part.len());
            part.replace_range(..end, "\u{2026}");
        }
        steady = parts.join(before);
    }
    without_epochs(&steady)
}

/// A line without its runs of hexadecimal digits that are as long as an epoch.
fn without_epochs(line: &str) -> String {
    let mut rest = line;
    let mut kept = String::new();
    while let Some(character) = rest.chars().next() {
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        let digits = rest.bytes().take_while(|byte| is_digit(byte)).count();
        let length = digits.max(character.len_utf8());
        kept.push_str(if digits == 16 {
            "\u{2026}"
        } else {
            &rest[..length]
        });
        rest = &rest[length..];
    }
    kept
}

/// Runs a command until it has printed as many lines as it should, or ends.
fn run(command: &str, lines: usize, directory: &Path) -> Vec<String> {
    let mut child = Command::new("bash")
        .args(["-c", command])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (tell, told) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines() {
            // The test may have seen enough.
            let _ = tell.send(line.unwrap());
        }
    });
    let mut printed = Vec::new();
    while printed.len() < lines {
        match told.recv_timeout(LIMIT) {
            Ok(line) => printed.push(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(error) => panic!("{command}: {error} after {printed:?}"),
        }
    }
    if lines == 0 || !command.contains("-N") {
        child.wait().unwrap();
        // Nothing more may come than the page shows.
        while let Ok(line) = told.recv_timeout(Duration::from_secs(1)) {
            printed.push(line);
        }
    }
    // One that listens goes on for ever.
    let _ = child.kill();
    child.wait().unwrap();
    printed
}

#[test]
fn every_command_of_the_page_prints_what_the_page_shows() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: curl isn't installed");
        return;
    }
    let server = TestServer::start();
    let directory = std::env::temp_dir().join(format!("natter-curl-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let examples = examples();
    assert!(examples.len() >= 15, "{}", examples.len());
    for Example { command, output } in examples {
        let here = command.replace("127.0.0.1:20000", &server.addr().to_string());
        let printed = run(&here, output.len(), &directory);
        let printed: Vec<_> = printed.iter().map(|line| steady(line)).collect();
        let expected: Vec<_> = output.iter().map(|line| steady(line)).collect();
        assert_eq!(printed, expected, "{command}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

/// A default as the page has it: bytes, seconds, or a number of something else.
fn without_unit(value: &str) -> String {
    let units = [
        ("KiB", 1024),
        ("MiB", 1024 * 1024),
        ("s", 1),
        ("m", 60),
        ("h", 3600),
    ];
    let factor = units.iter().find_map(|(unit, factor)| {
        let number: u64 = value.strip_suffix(unit)?.parse().ok()?;
        Some((number * factor).to_string())
    });
    factor.unwrap_or_else(|| value.to_owned())
}

#[test]
fn the_limits_of_the_page_are_the_defaults_of_the_options() {
    let table = PAGE.split("## Limits").nth(1).unwrap();
    let options = Options::command();
    let mut limits = 0;
    for row in table.lines().filter(|line| line.contains("| `--")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let name = cells[2].trim_matches('`').trim_start_matches("--");
        let option = options
            .get_arguments()
            .find(|option| option.get_long() == Some(name));
        let default = option.unwrap().get_default_values()[0].to_str().unwrap();
        assert_eq!(cells[3].replace(',', ""), without_unit(default), "{name}");
        limits += 1;
    }
    assert!(limits >= 6, "{limits}");
}
