//! Finds out from which commit the server is built, for `--version` and the metrics.
//!
//! It takes the first of these that there is: the variable `RELEASE_COMMIT`, what cargo notes in a
//! published crate, and git. A debug build asks neither: it would be built anew with each commit.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

/// As many digits as tell commits apart in the largest repositories.
const DIGITS: usize = 12;

/// Whoever builds from an archive says here which commit it is.
const VARIABLE: &str = "RELEASE_COMMIT";

/// Made by `cargo package`.
const PUBLISHED: &str = ".cargo_vcs_info.json";

/// Where this crate is in its repository: another one may hold a copy of it.
const PREFIX: &str = "crates/topicserver/";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let named = std::env::var_os(VARIABLE).filter(|commit| !commit.is_empty());
    let commit = match named.map(OsString::into_string) {
        Some(Ok(commit)) if is_commit(&commit) => Some(commit),
        Some(_) => {
            println!("cargo::error={VARIABLE} is the number of a commit, with at least 7 digits");
            return ExitCode::FAILURE;
        }
        None if is_optimised() => published().or_else(checked_out),
        None => None,
    };
    let commit = commit
        .as_deref()
        .and_then(|commit| commit.get(..DIGITS.min(commit.len())));
    let version = env!("CARGO_PKG_VERSION");
    match commit {
        Some(commit) => println!("cargo::rustc-env=BUILD_VERSION={version} ({commit})"),
        None => println!("cargo::rustc-env=BUILD_VERSION={version}"),
    }
    println!(
        "cargo::rustc-env=BUILD_COMMIT={}",
        commit.unwrap_or("unknown")
    );
    ExitCode::SUCCESS
}

fn is_commit(text: &str) -> bool {
    text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Every profile that inherits from `release` says so.
fn is_optimised() -> bool {
    std::env::var_os("PROFILE").is_some_and(|profile| profile == "release")
}

/// The commit of which this crate was published.
fn published() -> Option<String> {
    let text = std::fs::read_to_string(PUBLISHED).ok()?;
    println!("cargo::rerun-if-changed={PUBLISHED}");
    let (_, commit) = text.split_once("\"sha1\": \"")?;
    let (commit, _) = commit.split_once('"')?;
    is_commit(commit).then(|| commit.to_owned())
}

/// The commit that is checked out here.
fn checked_out() -> Option<String> {
    if git(&["rev-parse", "--show-prefix"])? != PREFIX {
        return None;
    }
    // It changes with each commit and each checkout; the log of it, too, when a branch moves.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--verify", "HEAD"])?;
    is_commit(&commit).then_some(commit)
}

/// What git prints; `None` if there is none, or no repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
