//! Tests of the tests: what they do when the machine pauses them.

use std::process::{Child, Command};

use crate::common::{Client, TestServer, eventually};

/// What the helper process is told: the server's address.
const ADDRESS: &str = "STOPPED_ADDRESS";

/// How often the helper is stopped. Once in a while it isn't in the system call yet.
const STOPS: usize = 20;

/// This test, as a program that is stopped while it reads.
#[test]
fn a_helper_reads() {
    let Ok(address) = std::env::var(ADDRESS) else {
        return;
    };
    let mut client = Client::connect(address.parse().unwrap());
    client.join(&["t"]);
    client.say("t", "reading");
    client.expect("t", "at last");
}

#[test]
fn a_read_goes_on_when_its_process_is_continued() {
    let server = TestServer::start();
    let mut watcher = server.join(&["t"]);
    let module = module_path!().split_once("::").unwrap().1;
    let mut helper = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::a_helper_reads")])
        .env(ADDRESS, server.addr().to_string())
        .spawn()
        .unwrap();
    watcher.expect("t", "reading");
    for _ in 0..STOPS {
        for (is_wanted, name) in [(true, "STOP"), (false, "CONT")] {
            signal(&helper, name);
            eventually("the helper to obey", || {
                assert!(helper.try_wait().unwrap().is_none(), "the helper has ended");
                (is_stopped(&helper) == is_wanted).then_some(())
            });
        }
    }
    watcher.say("t", "at last");
    assert!(helper.wait().unwrap().success());
}

fn signal(process: &Child, signal: &str) {
    let id = process.id().to_string();
    let sent = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", signal, &id])
        .status();
    assert!(sent.unwrap().success(), "the helper has ended");
}

/// Whether all threads of the process are stopped; those of one that has ended aren't.
fn is_stopped(process: &Child) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    tasks.into_iter().all(|task| {
        let status = std::fs::read_to_string(task.unwrap().path().join("stat"));
        let state = status.unwrap_or_default();
        state
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}
