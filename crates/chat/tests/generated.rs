//! What is generated from the options of both programs is current: completions for
//! shells in `completions/`, manual pages in `docs/man/`.
//!
//! `UPDATE=1 cargo test -p chat --test generated` writes them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

/// The repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a file with what it should hold, or writes it.
fn check(file: &str, should_hold: &[u8]) {
    let path = root().join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, should_hold).unwrap();
    }
    let holds = std::fs::read(&path).unwrap_or_default();
    assert!(
        holds == should_hold,
        "{file} isn't current: UPDATE=1 cargo test -p chat --test generated"
    );
}

/// Lines without white space at their ends.
fn trimmed(text: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(text).unwrap();
    let lines: String = text
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect();
    lines.into_bytes()
}

fn programs() -> [(&'static str, Command); 2] {
    [
        ("chat", chat::cli::command()),
        ("topicserver", topicserver::Options::command()),
    ]
}

#[test]
fn completions_are_current() {
    for (name, mut command) in programs() {
        for (shell, file) in [
            (Shell::Bash, format!("completions/{name}.bash")),
            (Shell::Zsh, format!("completions/_{name}")),
            (Shell::Fish, format!("completions/{name}.fish")),
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, name, &mut script);
            check(&file, &trimmed(script));
        }
    }
}

#[test]
fn manual_pages_are_current() {
    for (name, command) in programs() {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).unwrap();
        check(&format!("docs/man/{name}.1"), &trimmed(page));
    }
}
