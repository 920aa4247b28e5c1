//! What is generated from the options of both programs is current: completions for
//! shells in `completions/`, manual pages in `docs/man/`. And `docs/configuration.md`, which
//! is written by hand, has them all.
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

#[test]
fn the_configuration_page_has_every_option_and_its_default() {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    for (name, command) in programs() {
        let (_, section) = page.split_once(&format!("\n## `{name}`\n")).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let mut options = 0;
        for argument in command.get_arguments().filter(|one| !one.is_positional()) {
            let Some(long) = argument.get_long().filter(|long| is_listed(long)) else {
                continue;
            };
            let row = section.lines().find(|line| {
                line.starts_with('|')
                    && (line.contains(&format!("`--{long}`"))
                        || line.contains(&format!("`--{long} ")))
            });
            let row = row.unwrap_or_else(|| panic!("{name} --{long} is in no table"));
            if let Some(default) = argument.get_default_values().first() {
                assert_has_default(row, default.to_str().unwrap());
            }
            options += 1;
        }
        assert!(options >= 15, "{options} options of {name}");
    }
}

/// Whether the page lists an option: those that every program has aren't worth a row.
fn is_listed(long: &str) -> bool {
    !["help", "version", "direct", "topic"].contains(&long)
}

/// One of the row's cells is the default, with a comma between thousands; what stands in
/// parentheses behind it is for people.
fn assert_has_default(row: &str, default: &str) {
    let has = row.split('|').any(|cell| {
        let value = cell.split(" (").next().unwrap_or_default();
        value.trim().trim_matches('`').replace(',', "") == default
    });
    assert!(has, "{default} isn't in {row}");
}
