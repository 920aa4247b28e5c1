//! A server that is killed loses nothing that it acknowledged.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

/// Where the process that is killed has its store.
const DIRECTORY: &str = "TEST_DIRECTORY";

/// Topics that it writes to.
const TOPICS: usize = 4;

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let directory = Directory::new();
    let mut next = [1; TOPICS];
    let mut epochs = Vec::new();
    for round in 0..4 {
        let acknowledged = kill_after(&directory, 100 + 37 * round);
        let store = open(&directory);
        for (n, next) in next.iter_mut().enumerate() {
            let topic = store.load(&name(&format!("topic {n}"))).await.unwrap();
            epochs.resize(TOPICS, 0);
            if round > 0 {
                assert_eq!(topic.epoch, epochs[n]);
            }
            epochs[n] = topic.epoch;
            assert!(topic.next > acknowledged[n].max(*next - 1));
            let read = store.read(topic.id, 1, usize::MAX).await.unwrap();
            assert_eq!(seqs(&read), (1..topic.next).collect::<Vec<_>>());
            *next = topic.next;
        }
        store.close().await;
    }
}

/// Kills a process that appends, after so many acknowledgements. Says the last
/// that was acknowledged in each topic.
fn kill_after(directory: &Directory, lines: usize) -> [u64; TOPICS] {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["store::tests::kill::appends_until_it_is_killed", "--exact"])
        .args(["--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = [0; TOPICS];
    let mut seen = 0;
    for line in output.lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        if words.next() == Some("acknowledged") {
            let mut number = || words.next().unwrap().parse::<u64>().unwrap();
            let topic = usize::try_from(number()).unwrap();
            acknowledged[topic] = number();
            seen += 1;
            if seen == lines {
                // What is still in the pipe is read too: it was acknowledged.
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(seen >= lines);
    acknowledged
}

#[tokio::test]
#[ignore = "is run by the test above, and killed"]
async fn appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let store = Store::open(Path::new(&path), KEEP, WINDOW, TIMEOUT, &Clock::for_tests()).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..TOPICS {
        let store = store.clone();
        tasks.spawn(async move {
            let topic = store.load(&name(&format!("topic {n}"))).await.unwrap();
            let mut next = topic.next;
            loop {
                let mut batch = batch(next, 3);
                batch.ids.push(id(next, now()));
                store.append(topic.id, batch).await.unwrap();
                next += 3;
                println!("acknowledged {n} {}", next - 1);
            }
        });
    }
    tasks.join_all().await;
}
