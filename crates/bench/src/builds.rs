//! `--server [NAME=]PATH [OPTIONS]`: builds of ours, or one build with several
//! sets of options, under names of their own.

use crate::contender::{Contender, System};
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// The contenders that are meant by these.
pub(crate) fn parse(typed: &[String]) -> Result<Vec<Contender>> {
    let mut builds: Vec<Contender> = Vec::new();
    for typed in typed {
        let build = one(typed)?;
        ensure!(
            builds.iter().all(|known| known.name != build.name),
            "--server {typed}: {} is named twice: use NAME=PATH with two names",
            build.name
        );
        builds.push(build);
    }
    Ok(builds)
}

/// The contender that is meant by this.
pub(crate) fn one(typed: &str) -> Result<Contender> {
    let (name, command) = typed
        .split_once('=')
        .filter(|(name, _)| !name.contains(char::is_whitespace))
        .unwrap_or((System::Natter.name(), typed));
    let (file, options) = words(command);
    let program = std::fs::canonicalize(file)
        .with_context(|| format!("--server {typed}: there is no program {file}"))?;
    Ok(Contender {
        name: name.to_owned(),
        options,
        ..Contender::new(System::Natter, program)
    })
}

/// A program and its options, with white space between them; what is a file as a
/// whole may have some in its name.
fn words(command: &str) -> (&str, Vec<String>) {
    if Path::new(command).is_file() {
        return (command, Vec::new());
    }
    let mut words = command.split_whitespace();
    let file = words.next().unwrap_or(command);
    (file, words.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is there.
    fn own() -> String {
        std::env::current_exe()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }

    fn complaint(typed: &[String]) -> String {
        parse(typed).unwrap_err().to_string()
    }

    #[test]
    fn two_builds_need_two_names() {
        let own = own();
        let builds = parse(&[format!("old={own}"), format!("new={own}")]).unwrap();
        let names: Vec<_> = builds.iter().map(|build| build.name.as_str()).collect();
        assert_eq!(names, ["old", "new"]);
        assert!(complaint(&[own.clone(), own]).contains("named twice"));
        assert!(complaint(&["x=/nowhere/x --y".to_owned()]).contains("no program /nowhere/x"));
    }

    #[test]
    fn options_follow_the_program() {
        let own = own();
        let typed = [
            own.clone(),
            format!("bare={own} --history-messages 0 --a=b"),
        ];
        let builds = parse(&typed).unwrap();
        assert_eq!(
            (builds[0].name.as_str(), builds[0].options.len()),
            ("natter", 0)
        );
        assert_eq!(builds[1].name, "bare");
        assert_eq!(builds[1].options, ["--history-messages", "0", "--a=b"]);
        assert!(builds[1].is_without_history() && !builds[0].is_without_history());
        let unnamed = parse(&[format!("{own} --a=b")]).unwrap();
        assert_eq!(
            (unnamed[0].name.as_str(), &unnamed[0].options[..]),
            ("natter", &["--a=b".to_owned()][..])
        );
    }
}
