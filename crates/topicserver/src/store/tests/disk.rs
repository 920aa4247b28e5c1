//! Disks that are full, directories that can't be used.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::*;
use crate::store::{Look, OpenError, StoreError};

/// A small file system of a test's own.
struct Tmpfs(Directory);

impl Tmpfs {
    /// None: nobody may mount one here, which is printed.
    fn new(options: &str) -> Option<Self> {
        let directory = Directory::new();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "natter-test"]);
        mount.arg(directory.path()).stderr(Stdio::null());
        match mount.status() {
            Ok(status) if status.success() => Some(Self(directory)),
            _ => {
                println!("skipped: it takes the right to mount a file system");
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{options}")]);
        assert!(mount.arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        let _ = umount.arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_writing_goes_on_when_there_is_room() {
    fill("size=12m").await;
}

#[tokio::test]
async fn a_disk_that_is_full_while_tables_are_written_is_told_too() {
    // The journal of one table in memory, and not all of the table on disk.
    fill("size=60m").await;
}

#[expect(clippy::too_many_lines, reason = "it is one story, told in its order")]
async fn fill(size: &str) {
    let Some(disk) = Tmpfs::new(size) else {
        return;
    };
    let store = open(&disk.0);
    let topic = store.load(&name("T")).await.unwrap();
    let other = store.load(&name("U")).await.unwrap();
    let mut next = 1;
    let full = loop {
        match store.append(topic.id, batch(next, 1000)).await {
            Ok(()) => next += 1000,
            Err(error) => break error,
        }
    };
    assert_eq!(full, StoreError::Full);
    assert!(next > 100_000);
    for _ in 0..3 {
        let error = store.append(topic.id, batch(next, 1000)).await.unwrap_err();
        assert_eq!(error, StoreError::Full);
    }
    // What is there can be read, and what is known can be loaded.
    assert_eq!(
        seqs(&store.read(topic.id, next - 1, 1).await.unwrap()).last(),
        Some(&(next - 1))
    );
    assert!(store.read(topic.id, next, 1).await.unwrap().is_empty());
    assert_eq!(store.load(&name("T")).await.unwrap().next, next);
    assert_eq!(
        store.load(&name("new")).await.unwrap_err(),
        StoreError::Full
    );

    disk.remount("size=200m");
    let began = Instant::now();
    // Other text under the same numbers: nothing of the failed ones is there.
    let mut again = batch(next, 3);
    again.entries[0].publisher = 99;
    // Until the database's thread has written what waits, it may also be said to be busy.
    while let Err(error) = store.append(topic.id, again.clone()).await {
        assert!(
            matches!(error, StoreError::Full | StoreError::Busy),
            "{error}"
        );
        assert!(began.elapsed() < Duration::from_secs(60), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.append(other.id, batch(1, 1)).await.unwrap();
    store.load(&name("new")).await.unwrap();
    let check = async |store: &Store| {
        let after = store.load(&name("T")).await.unwrap();
        assert_eq!((after.epoch, after.next), (topic.epoch, next + 3));
        let tail = store.read(after.id, next, usize::MAX).await.unwrap();
        assert_eq!(tail, again.entries);
        let all = seqs(&store.read(after.id, 1, usize::MAX).await.unwrap());
        assert_eq!(all, (1..next + 3).collect::<Vec<_>>());
    };
    check(&store).await;
    store.close().await;
    let store = open(&disk.0);
    check(&store).await;
    store.close().await;
}

#[tokio::test]
async fn a_server_starts_with_a_full_disk_and_writes_when_there_is_room() {
    let Some(disk) = Tmpfs::new("size=12m") else {
        return;
    };
    let store = open(&disk.0);
    let topic = store.load(&name("T")).await.unwrap();
    store.append(topic.id, batch(1, 10)).await.unwrap();
    store.close().await;
    std::fs::write(disk.0.path().join("ballast"), vec![0; 12 << 20]).unwrap_err();

    let store = open(&disk.0);
    let topic = store.load(&name("T")).await.unwrap();
    assert_eq!((topic.epoch, topic.next), (topic.epoch, 11));
    let read = store.read(topic.id, 1, usize::MAX).await.unwrap();
    assert_eq!(seqs(&read), (1..=10).collect::<Vec<_>>());
    // Opening it may have made a little room.
    let mut next = 11;
    while let Ok(()) = store.append(topic.id, batch(next, 1000)).await {
        next += 1000;
    }
    let full = store.append(topic.id, batch(next, 1)).await;
    assert_eq!(full, Err(StoreError::Full));
    std::fs::remove_file(disk.0.path().join("ballast")).unwrap();
    while let Err(error) = store.append(topic.id, batch(next, 1)).await {
        assert_eq!(error, StoreError::Full);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.close().await;
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_first_start_is_told_in_words() {
    let Some(disk) = Tmpfs::new("size=1m") else {
        return;
    };
    std::fs::write(disk.0.path().join("ballast"), vec![0; 2 * 1024 * 1024]).unwrap_err();
    let error = Store::open(disk.0.path(), KEEP, WINDOW, TIMEOUT, &Clock::for_tests())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("No space left"), "{error}");
}

#[test]
fn a_directory_that_cant_be_written_to_is_told_in_words() {
    let Some(disk) = Tmpfs::new("size=1m,ro") else {
        return;
    };
    let error = Store::open(disk.0.path(), KEEP, WINDOW, TIMEOUT, &Clock::for_tests())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("must be able to write there"));
}

#[test]
fn a_path_that_is_a_file_is_told_in_words() {
    let directory = Directory::new();
    let path = directory.path().join("file");
    std::fs::write(&path, "text").unwrap();
    let error = Store::open(&path, KEEP, WINDOW, TIMEOUT, &Clock::for_tests())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::NoDirectory(_)), "{error}");
    assert!(error.to_string().contains("is no directory"));
    let below = path.join("below");
    let error = Store::open(&below, KEEP, WINDOW, TIMEOUT, &Clock::for_tests())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
}

#[tokio::test]
async fn a_directory_of_another_format_is_left_alone() {
    let directory = Directory::new();
    let store = open(&directory);
    store.close().await;
    let format = directory.path().join("format");
    for (content, said) in [
        ("natter history 1\n", "start each release between"),
        ("natter history 5\n", "run that release"),
        ("something else\n", "something else"),
        ("natter history, unfinished import\n", "import again"),
    ] {
        std::fs::write(&format, content).unwrap();
        let opened = Store::open(directory.path(), KEEP, WINDOW, TIMEOUT, &Clock::for_tests());
        let looked = super::super::Directory::look(directory.path());
        let tools = super::super::look(directory.path(), Look::Verify).map(drop);
        let errors = [
            opened.err().unwrap().to_string(),
            looked.unwrap_err().to_string(),
            tools.unwrap_err().to_string(),
        ];
        for error in errors {
            assert!(error.contains(said), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&format).unwrap(), content);
    }
    std::fs::remove_file(format).unwrap();
    let error = Store::open(directory.path(), KEEP, WINDOW, TIMEOUT, &Clock::for_tests())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::OtherFormat { .. }), "{error}");
}

#[tokio::test]
async fn what_is_kept_is_for_the_servers_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let path = directory.path().join("made").join("by us");
    let store = Store::open(&path, KEEP, WINDOW, TIMEOUT, &Clock::for_tests()).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    store.close().await;
}
