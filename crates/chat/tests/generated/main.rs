//! What is generated from the options of both programs is current: completions for
//! shells in `completions/`, manual pages in `docs/man/`. And `docs/configuration.md`, which
//! is written by hand, has them all.
//!
//! `UPDATE=1 cargo test -p natter-chat --test generated` writes them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

mod completions;

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
        "{file} isn't current: UPDATE=1 cargo test -p natter-chat --test generated"
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
        (
            "topicserver",
            // The other one has the commit in it.
            topicserver::Options::command().long_version(None),
        ),
    ]
}

#[test]
fn completions_are_current() {
    for (shell, file) in [
        (Shell::Bash, "completions/topicserver.bash"),
        (Shell::Zsh, "completions/_topicserver"),
        (Shell::Fish, "completions/topicserver.fish"),
    ] {
        let mut script = Vec::new();
        let mut command = topicserver::Options::command();
        clap_complete::generate(shell, &mut command, "topicserver", &mut script);
        check(file, &trimmed(script));
    }
    let mut command = chat::cli::command();
    command.build();
    for (script, file) in [
        (completions::bash(&command), "completions/chat.bash"),
        (completions::zsh(&command), "completions/_chat"),
        (completions::fish(&command), "completions/chat.fish"),
    ] {
        check(file, script.as_bytes());
    }
}

/// What bash completes these words to.
#[cfg(unix)]
fn completed_by_bash(words: &[&str]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("completing");
    std::fs::create_dir_all(folder.join("natter")).unwrap();
    let file = "[servers]\nlab = \"a:1\"\n\"lunch room\" = \"b:2\"\n";
    std::fs::write(folder.join("natter/chat.toml"), file).unwrap();
    let script = r#"source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _chat
        printf '%s\n' "${COMPREPLY[@]}""#;
    let output = std::process::Command::new("bash")
        .args(["-c", script])
        .arg(root().join("completions/chat.bash"))
        .arg(env!("CARGO_BIN_EXE_chat"))
        .args(words)
        .env("XDG_CONFIG_HOME", &folder)
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(Into::into).collect()
}

#[cfg(unix)]
#[test]
fn both_spellings_of_options_and_names_of_servers_are_completed() {
    for (words, expected) in [
        (&["-top"][..], &["-topic"][..]),
        (&["--top"], &["--topic"]),
        (&["-no-h"], &["-no-history-file"]),
        (&["-color", "a"], &["auto", "always"]),
        (&["-topic", "la"], &["lab"]),
        (&["-direct", "0", "bob@la"], &["bob@lab"]),
        (&["-name", "x"], &[]),
    ] {
        let completed = completed_by_bash(words);
        let completed: Vec<&str> = completed.iter().map(String::as_str).collect();
        let completed: Vec<&str> = completed
            .into_iter()
            .filter(|one| !one.is_empty())
            .collect();
        assert_eq!(completed, expected, "{words:?}");
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
