//! The client libraries in `clients/` against this server: each runs its own tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of a library.
fn library(name: &str) -> PathBuf {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients");
    clients.join(name)
}

/// Runs the tests of a library with its language's program; left out where that is not
/// installed, and that is said.
fn passes(name: &str, program: &str, arguments: &[&str]) {
    if Command::new(program).arg("--version").output().is_err() {
        println!("skipped: {program} isn't installed");
        return;
    }
    let output = Command::new(program)
        .args(arguments)
        .current_dir(library(name))
        .env("TOPICSERVER", env!("CARGO_BIN_EXE_topicserver"))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn the_javascript_library_passes_its_tests() {
    passes("js", "node", &["--test", "test/"]);
}

#[test]
fn the_python_library_passes_its_tests() {
    passes(
        "python",
        "python3",
        &["-m", "unittest", "discover", "-s", "tests"],
    );
}

/// A library that knows other codes than the protocol has would treat an error as one of
/// another kind.
#[test]
fn the_libraries_know_every_error_code() {
    let page = include_str!("../../../docs/protocol.md");
    let table = page.split("\n## Errors\n").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut documented: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
    documented.sort_unstable();
    assert!(documented.len() > 20, "{documented:?}");
    for (file, begins, ends) in [
        ("js/natter.js", "\nconst TREATMENTS = ", "\n};"),
        ("python/natter/_types.py", "\n_TREATMENTS = ", "\n}"),
    ] {
        let source = std::fs::read_to_string(library(file)).unwrap();
        let codes = source.split(begins).nth(1).unwrap();
        let codes = codes.split(ends).next().unwrap();
        let quoted: Vec<_> = codes.split('"').collect();
        // What is before a colon is a treatment.
        let lists = quoted[1..]
            .chunks(2)
            .filter(|part| !part[1].starts_with(':'));
        let mut known: Vec<_> = lists.flat_map(|part| part[0].split_whitespace()).collect();
        known.sort_unstable();
        assert_eq!(known, documented, "{file}");
    }
}

/// The numbers of the tests in a file: what stands between these.
fn numbers(file: &str, before: &str, after: char) -> Vec<u32> {
    let source = std::fs::read_to_string(library(file)).unwrap();
    let parts = source.split(before).skip(1);
    let numbers = parts.filter_map(|part| part.split(after).next()?.parse().ok());
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// Each scenario of the list has one test in each language, and each test stands in the list.
#[test]
fn each_library_has_a_test_of_every_scenario() {
    let listed = numbers("scenarios.md", "\n| S", ' ');
    assert_eq!(listed, (1..=listed.len() as u32).collect::<Vec<_>>());
    assert!(listed.len() >= 17, "{listed:?}");
    let rust = "../crates/client/tests/behaviour/scenarios";
    let rust = ["", "/secure", "/draining", "/moving"].map(|part| format!("{rust}{part}.rs"));
    for (files, before, after) in [
        (vec!["js/test/scenarios.test.js"], "test(\"S", ':'),
        (
            vec!["python/tests/test_scenarios.py"],
            "async def test_s",
            '_',
        ),
        (rust.iter().map(String::as_str).collect(), "async fn s", '_'),
    ] {
        let mut found: Vec<u32> = files
            .iter()
            .flat_map(|file| numbers(file, before, after))
            .collect();
        found.sort_unstable();
        assert_eq!(found, listed, "{files:?}");
    }
}
