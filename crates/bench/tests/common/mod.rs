//! What a test of a cluster needs.

use std::path::{Path, PathBuf};
use std::process::Command;

// It installs NATS where there is none.
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "only the program is wanted here"
)]
#[path = "../../../topicserver/tests/cluster/nats.rs"]
mod nats;

/// What names both programs to `topicbench cluster`, if they are there.
pub(crate) fn programs() -> Option<Vec<String>> {
    let server = Path::new(env!("CARGO_BIN_EXE_topicbench")).with_file_name("topicserver");
    let help = Command::new(&server).arg("--help").output();
    let knows = help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--cluster"));
    if !knows {
        println!("skipped: no topicserver with the feature cluster is built beside topicbench");
        return None;
    }
    let nats = nats::program()?;
    let named = |option: &str, program: PathBuf| [option.to_owned(), program.display().to_string()];
    let mut arguments = named("--server", server).to_vec();
    // A name without a folder is found on the PATH.
    if nats.components().count() > 1 {
        arguments.extend(named("--nats", nats));
    }
    Some(arguments)
}
