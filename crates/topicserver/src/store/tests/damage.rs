//! A damaged end of the history is dropped with a word, and a topic that lost
//! something acknowledged has a new epoch. The server always starts.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::*;
use crate::store::database::{CommitError, Tables};
use crate::store::writer::Writer;
use crate::store::{Loaded, OpenError, StoreError, journal, record};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        match file.file_type().unwrap().is_dir() {
            true => copy(&file.path(), &to),
            false => {
                std::fs::copy(file.path(), to).unwrap();
            }
        }
    }
}

/// The newest journal, and where its groups end.
fn journal_of(directory: &Path) -> (PathBuf, Vec<usize>) {
    let files = std::fs::read_dir(directory.join("database")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let journals = files.filter(|file| file.extension().is_some_and(|end| end == "jnl"));
    let newest = journals.max().unwrap();
    let bytes = std::fs::read(&newest).unwrap();
    let mut ends = vec![0];
    while let Some(len) = journal::group_len(&bytes[*ends.last().unwrap()..]) {
        ends.push(ends.last().unwrap() + len);
    }
    (newest, ends)
}

/// A directory with one topic that was written to twice, and what that was.
async fn written() -> (Directory, Loaded) {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap();
    store.append(topic.id, batch(1, 3)).await.unwrap();
    let last = RecordBatch {
        entries: vec![entry(4, 2, 5), entry(6, 1, 5)],
        ids: vec![id(4, clock::now())],
    };
    store.append(topic.id, last).await.unwrap();
    store.close().await;
    (directory, topic)
}

/// Opens a copy of a directory that `damage` was done to, and checks that it
/// holds all, or says that it doesn't. Says whether it held all.
async fn open_damaged(original: &Directory, before: &Loaded, damage: impl FnOnce(&Path)) -> bool {
    let directory = Directory::new();
    copy(original.path(), directory.path());
    damage(directory.path());
    let store = open(&directory);
    let after = store.load(&name("T")).await.unwrap();
    let read = seqs(&store.read(after.id, 1, usize::MAX).await.unwrap());
    let is_whole = read == [1, 2, 3, 4, 5, 6];
    if is_whole {
        assert_eq!(after.epoch, before.epoch);
    } else {
        assert_eq!(read, [1, 2, 3]);
        assert_ne!(after.epoch, before.epoch);
        assert!(store.ids(&name("T")).await.is_empty());
    }
    assert_eq!(after.next, 7);
    store.append(after.id, batch(7, 1)).await.unwrap();
    store.close().await;
    // The new epoch is there to stay.
    let store = open(&directory);
    let again = store.load(&name("T")).await.unwrap();
    assert_eq!((again.epoch, again.next), (after.epoch, 8));
    store.close().await;
    is_whole
}

/// Between the places that are tried in a group of some hundred bytes: it
/// takes in turn each part of keys, headers and lines.
const EVERY: usize = 29;

#[tokio::test]
async fn a_journal_that_ends_in_its_last_group_costs_that_group_and_a_word() {
    end_in_last_group(EVERY).await;
}

#[tokio::test]
#[ignore = "starts a thousand times, which takes minutes"]
async fn a_journal_that_ends_at_any_byte_of_its_last_group_costs_that_group_and_a_word() {
    end_in_last_group(1).await;
}

async fn end_in_last_group(every: usize) {
    let (directory, topic) = written().await;
    let (journal, ends) = journal_of(directory.path());
    let file = journal.strip_prefix(directory.path()).unwrap();
    let [.., begin, end] = ends[..] else { panic!() };
    assert!(open_damaged(&directory, &topic, |_| {}).await);
    for len in (begin..end).step_by(every).chain([end - 1]) {
        let truncate = |directory: &Path| {
            let file = OpenOptions::new().write(true).open(directory.join(file));
            file.unwrap().set_len(len as u64).unwrap();
        };
        assert!(!open_damaged(&directory, &topic, truncate).await, "{len}");
    }
}

#[tokio::test]
async fn a_last_group_with_a_wrong_byte_costs_that_group_and_a_word() {
    damage_last_group(EVERY).await;
}

#[tokio::test]
#[ignore = "starts a thousand times, which takes minutes"]
async fn a_last_group_with_any_byte_wrong_costs_that_group_and_a_word() {
    damage_last_group(1).await;
}

async fn damage_last_group(every: usize) {
    let (directory, topic) = written().await;
    let (journal, ends) = journal_of(directory.path());
    let file = journal.strip_prefix(directory.path()).unwrap();
    let [.., begin, end] = ends[..] else { panic!() };
    // As after a loss of power: a part of it was never written, its end was.
    for at in (begin..end).step_by(every) {
        let damage = |directory: &Path| {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(directory.join(file));
            let file = file.unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, at as u64).unwrap();
            byte[0] ^= 0x40;
            file.write_all_at(&byte, at as u64).unwrap();
        };
        // Bytes that no checksum covers may say the same when they are wrong.
        open_damaged(&directory, &topic, damage).await;
    }
    let zeros = |directory: &Path| {
        let file = OpenOptions::new()
            .write(true)
            .open(directory.join(file))
            .unwrap();
        let middle = begin + (end - begin) / 3;
        file.write_all_at(&[0; 60], middle as u64).unwrap();
    };
    assert!(!open_damaged(&directory, &topic, zeros).await);
}

#[tokio::test]
async fn without_the_heads_nothing_is_lost_or_refused() {
    let (directory, topic) = written().await;
    let remove = |directory: &Path| std::fs::remove_file(directory.join("heads")).unwrap();
    assert!(open_damaged(&directory, &topic, remove).await);
    let garbage = |directory: &Path| {
        std::fs::write(directory.join("heads"), [0xab; 1000]).unwrap();
    };
    assert!(open_damaged(&directory, &topic, garbage).await);
}

#[tokio::test]
async fn a_topic_that_lost_everything_goes_on_in_a_new_epoch() {
    let (directory, before) = written().await;
    let (journal, ends) = journal_of(directory.path());
    // The group that made the topic is the last but three.
    let [.., begin, _, _, _] = ends[..] else {
        panic!()
    };
    let file = OpenOptions::new().write(true).open(journal).unwrap();
    file.set_len(begin as u64).unwrap();
    let store = open(&directory);
    let after = store.load(&name("T")).await.unwrap();
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.next, 1);
    store.append(after.id, batch(1, 1)).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_second_loss_is_told_though_it_takes_the_epoch_of_the_first() {
    let (directory, first) = written().await;
    let (journal, ends) = journal_of(directory.path());
    let [.., begin, _] = ends[..] else { panic!() };
    let cut = || {
        let file = OpenOptions::new().write(true).open(&journal).unwrap();
        file.set_len(begin as u64).unwrap();
    };
    cut();
    let store = open(&directory);
    let second = store.load(&name("T")).await.unwrap();
    store.append(second.id, batch(7, 1)).await.unwrap();
    store.close().await;
    cut();
    let store = open(&directory);
    let third = store.load(&name("T")).await.unwrap();
    assert!(third.epoch != second.epoch && third.epoch != first.epoch);
    assert_eq!((second.next, third.next), (7, 8));
    store.close().await;
}

#[tokio::test]
async fn what_a_group_left_that_failed_is_dropped_on_the_way() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap();
    store.append(topic.id, batch(1, 3)).await.unwrap();
    store.close().await;
    let (mut writer, _) =
        Writer::open(directory.path(), KEEP, DatabaseSettings::new(TIMEOUT)).unwrap();
    let tables = writer.tables().unwrap();
    // As if the flush of messages 4 and 5 had failed after they were written.
    let mut left = tables.batch();
    let mut bytes = Vec::new();
    record::write_history(&mut bytes, &[entry(4, 2, 5)], &[], 1000);
    left.insert(&tables.history, record::key(topic.id, 4), bytes);
    tables.commit(left).unwrap();
    drop(tables);
    writer.in_doubt.insert(topic.id, 4);
    let error = StoreError::from(std::io::Error::other("the flush failed"));
    let told = writer.recover(CommitError::Failed(error.clone()));
    assert_eq!(told, Ok(error));
    let tables = writer.tables().unwrap();
    assert_eq!(Tables::records(&tables.history, topic.id, 4).count(), 0);
    assert_eq!(Tables::records(&tables.history, topic.id, 1).count(), 1);
}

#[test]
fn a_journal_is_cut_after_its_last_whole_group_and_only_once() {
    let directory = Directory::new();
    let path = directory.path().join("0.jnl");
    std::fs::write(&path, [b"\x01garbage".as_slice(), &[0; 50]].concat()).unwrap();
    let cuts = journal::repair(directory.path()).unwrap();
    let cut = journal::Cut {
        file: path.clone(),
        kept: 0,
        dropped: 8,
    };
    assert_eq!(cuts, [cut]);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    assert_eq!(journal::repair(directory.path()).unwrap(), []);
}

#[tokio::test]
async fn a_first_start_that_was_interrupted_is_made_again() {
    let directory = Directory::new();
    let store = open(&directory);
    store.close().await;
    let database = directory.path().join("database");
    std::fs::remove_dir_all(&database).unwrap();
    std::fs::create_dir_all(database.join("keyspaces")).unwrap();
    std::fs::write(database.join("0.jnl"), []).unwrap();
    let store = open(&directory);
    assert_eq!(store.load(&name("T")).await.unwrap().next, 1);
    store.close().await;
}

#[tokio::test]
async fn a_database_that_is_beyond_repair_is_refused_in_words() {
    let (directory, _) = written().await;
    let version = directory.path().join("database").join("version");
    std::fs::write(version, b"something else").unwrap();
    let error = Store::open(directory.path(), KEEP, WINDOW, TIMEOUT)
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::Database { .. }), "{error}");
    assert!(error.to_string().contains("restore it from a backup"));
}
