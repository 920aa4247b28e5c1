//! A history belongs to the user who runs the server. Root could write there, too, and nobody
//! could use what root made.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{Directory, finish, program};

/// A user who isn't root.
const USER: u32 = 65_534;

/// A history of that user, with a copy of the program that this user may run: the folder of this
/// checkout may be closed to others. `None` without the right to be somebody else.
fn history() -> Option<Directory> {
    if !nix::unistd::getuid().is_root() {
        println!("skipped: it takes root to be somebody else");
        return None;
    }
    let folder = Directory::new();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(data(&folder)).unwrap();
    chown(data(&folder), Some(USER), Some(USER)).unwrap();
    // Not written by this process: another thread's child would have it open for writing when it
    // is run.
    let mut copy = Command::new("install");
    copy.args(["-m", "0755", env!("CARGO_BIN_EXE_topicserver")]);
    assert!(copy.arg(folder.path()).status().unwrap().success());
    let export = folder.path().join("export");
    let lines = "{\"natter-history\":1,\"server\":\"topicserver\",\"time\":0}\n\
                 {\"topic\":\"lab\",\"epoch\":\"5f1c0a7e9d3b2c48\",\"seq\":1,\"time\":1795749000123,\
                 \"frame\":\"{\\\"message\\\":{\\\"topic\\\":\\\"lab\\\",\\\"text\\\":\\\"hi\\\"}}\"}\n\
                 {\"head\":{\"topic\":\"lab\",\"epoch\":\"5f1c0a7e9d3b2c48\",\"first\":1,\"seq\":1}}\n\
                 {\"end\":{\"topics\":1,\"messages\":1,\"problems\":0}}\n";
    std::fs::write(&export, lines).unwrap();
    let mut import = as_user(&folder, &["history", "import"]);
    let imported = finish(import.arg(data(&folder)).arg(&export));
    assert!(imported.status.success(), "{imported:?}");
    Some(folder)
}

fn data(folder: &Directory) -> PathBuf {
    folder.path().join("data")
}

/// The program, run by the user.
fn as_user(folder: &Directory, arguments: &[&str]) -> Command {
    let mut command = Command::new(folder.path().join("topicserver"));
    command.args(arguments).uid(USER).gid(USER);
    command
}

/// Why a server didn't start.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Everything in a directory, as deep as it goes.
fn everything(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    let deeper = found.iter().filter(|path| path.is_dir());
    let deeper: Vec<_> = deeper.flat_map(|path| everything(path)).collect();
    found.extend(deeper);
    found.sort();
    found
}

#[test]
fn root_starts_no_server_on_the_history_of_another_user() {
    let Some(folder) = history() else { return };
    let before = everything(&data(&folder));
    let started = finish(program().args(["0", "--data"]).arg(data(&folder)));
    let said = refusal(&started);
    for part in [
        "belongs to user number 65534",
        "runuser -u USER -- COMMAND",
        "chown -R",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(everything(&data(&folder)), before);
    // A check by root is a check of what the service will do.
    let check = finish(
        program()
            .args(["check-config", "0", "--data"])
            .arg(data(&folder)),
    );
    assert!(check.status.success(), "{check:?}");
    assert_eq!(everything(&data(&folder)), before);
    let mut topics = as_user(&folder, &["history", "topics"]);
    let topics = finish(topics.arg(data(&folder)));
    assert!(topics.status.success(), "{topics:?}");
}

#[test]
fn what_root_has_left_in_a_history_is_told_in_words() {
    let Some(folder) = history() else { return };
    let start = || {
        let mut server = as_user(&folder, &["0", "--bind", "127.0.0.1", "--data"]);
        refusal(&finish(server.arg(data(&folder))))
    };
    let give = |path: &Path, owner: u32| {
        chown(path, Some(owner), Some(owner)).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    };
    let database = data(&folder).join("database");
    let files = everything(&database);
    let tables = files.iter().filter(|path| path.is_file());
    for file in [data(&folder).join("lock"), data(&folder).join("heads")]
        .iter()
        .chain(tables)
    {
        give(file, 0);
        let said = start();
        assert!(said.contains("ermission denied"), "{said}");
        assert!(said.contains("must own it and everything in it"), "{said}");
        give(file, USER);
    }
}
