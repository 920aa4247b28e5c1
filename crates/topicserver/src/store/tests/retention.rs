//! What is too much is deleted, and with it its ids; what isn't stays.

use std::sync::atomic::Ordering;

use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use super::*;
use crate::store::reader::Reader;
use crate::store::writer::Writer;
use crate::store::writer::group::Access;
use crate::store::writer::queue::Request;
use crate::store::{Loaded, TopicId, catalogue};

const NOTHING: Retention = KEEP;

async fn open_with(directory: &Directory, retention: Retention) -> (Store, Loaded) {
    let store = Store::open(
        directory.path(),
        retention,
        WINDOW,
        TIMEOUT,
        &Clock::for_tests(),
    )
    .unwrap();
    let loaded = store.load(&name("T")).await.unwrap();
    (store, loaded)
}

/// Waits until everything that is asked for and the trims after it are done:
/// the writer trims one step after each request, so some requests will do.
async fn settle(store: &Store) {
    for _ in 0..20 {
        store.load(&name("T")).await.unwrap();
    }
}

pub(super) async fn stored(store: &Store, topic: TopicId) -> Vec<u64> {
    seqs(&store.read(topic, 0, usize::MAX).await.unwrap())
}

pub(super) fn first(loaded: &Loaded) -> u64 {
    loaded.first.load(Ordering::Acquire)
}

fn with_ids(seq: u64, time: u64) -> RecordBatch {
    RecordBatch {
        entries: vec![entry(seq, 1, time)],
        ids: vec![id(seq, time)],
    }
}

#[tokio::test]
async fn too_many_messages() {
    let directory = Directory::new();
    let limit = Retention {
        messages: 80,
        ..NOTHING
    };
    let (store, topic) = open_with(&directory, limit).await;
    let now = now();
    for seq in 1..=90 {
        store.append(topic.id, with_ids(seq, now)).await.unwrap();
    }
    settle(&store).await;
    assert_eq!(first(&topic), 1, "a little more is allowed");
    store.append(topic.id, with_ids(91, now)).await.unwrap();
    settle(&store).await;
    assert_eq!(first(&topic), 12);
    assert_eq!(
        stored(&store, topic.id).await,
        (12..=91).collect::<Vec<_>>()
    );
    let ids = store.ids(&name("T")).await;
    assert_eq!(
        ids.iter().map(|id| id.seq).collect::<Vec<_>>(),
        (12..=91).collect::<Vec<_>>()
    );
    store.close().await;

    let (store, topic) = open_with(&directory, limit).await;
    assert_eq!((first(&topic), topic.next), (12, 92));
    assert_eq!(store.ids(&name("T")).await, ids);
    store.close().await;
}

#[tokio::test]
async fn other_limits_hold_for_every_topic_also_for_one_to_which_nothing_comes() {
    let directory = Directory::new();
    let (store, topic) = open_with(&directory, NOTHING).await;
    let now = now();
    for seq in 1..=90 {
        store.append(topic.id, with_ids(seq, now)).await.unwrap();
    }
    settle(&store).await;
    assert_eq!(first(&topic), 1);
    store.keep(Retention {
        messages: 10,
        ..NOTHING
    });
    settle(&store).await;
    assert_eq!(first(&topic), 81);
    // More is kept from now on, and what is deleted doesn't come back.
    store.keep(NOTHING);
    for seq in 91..=150 {
        store.append(topic.id, with_ids(seq, now)).await.unwrap();
    }
    settle(&store).await;
    assert_eq!(first(&topic), 81);
    let age = Duration::from_secs(3600);
    store.keep(Retention { age, ..NOTHING });
    store.append(topic.id, with_ids(151, now)).await.unwrap();
    settle(&store).await;
    assert_eq!(first(&topic), 81, "none is an hour old");
    store.close().await;
}

#[tokio::test]
async fn whole_records_are_deleted_and_never_too_many() {
    let directory = Directory::new();
    let limit = Retention {
        messages: 10,
        ..NOTHING
    };
    let (store, topic) = open_with(&directory, limit).await;
    for n in 0..7 {
        store.append(topic.id, batch(1 + n * 4, 4)).await.unwrap();
        settle(&store).await;
        let kept = 1 + (n + 1) * 4 - first(&topic);
        assert!(kept >= 10.min((n + 1) * 4), "{kept} after {n}");
        assert!(kept <= 13, "{kept} after {n}");
    }
    store.close().await;
}

#[tokio::test]
async fn too_many_bytes() {
    let directory = Directory::new();
    let limit = Retention {
        bytes: 10_000,
        ..NOTHING
    };
    let (store, topic) = open_with(&directory, limit).await;
    for n in 0..300 {
        store.append(topic.id, batch(1 + n, 1)).await.unwrap();
    }
    settle(&store).await;
    let kept = topic_len(&store, topic.id).await;
    assert!((100..=150).contains(&kept), "{kept} of 75 bytes");
    assert_eq!(first(&topic), 301 - kept);
    // The newest record stays, though it alone is too large.
    store.append(topic.id, batch(301, 1000)).await.unwrap();
    settle(&store).await;
    assert_eq!(first(&topic), 301);
    assert_eq!(topic_len(&store, topic.id).await, 1000);
    store.close().await;
}

async fn topic_len(store: &Store, topic: TopicId) -> u64 {
    stored(store, topic).await.len() as u64
}

#[tokio::test]
async fn too_old_messages() {
    let directory = Directory::new();
    let age = Duration::from_secs(1000);
    let limit = Retention { age, ..NOTHING };
    let (store, topic) = open_with(&directory, limit).await;
    let now = now();
    for seq in 1..=10 {
        let time = now - 2_000_000 + seq * 150_000;
        store
            .append(topic.id, batch_at(seq, 1, time))
            .await
            .unwrap();
    }
    settle(&store).await;
    assert_eq!(stored(&store, topic.id).await, [7, 8, 9, 10]);
    assert_eq!(first(&topic), 7);
    store.close().await;
}

#[tokio::test]
async fn an_empty_topic_goes_on_where_it_was() {
    let directory = Directory::new();
    let limit = Retention {
        age: Duration::from_secs(1),
        ..NOTHING
    };
    let (store, topic) = open_with(&directory, limit).await;
    for seq in 1..=5 {
        store
            .append(topic.id, with_ids(seq, now() - 100_000 + seq))
            .await
            .unwrap();
    }
    settle(&store).await;
    assert_eq!((first(&topic), topic_len(&store, topic.id).await), (6, 0));
    assert_eq!(store.first_since(topic.id, 0).await.unwrap(), 6);
    store.close().await;
    let (store, again) = open_with(&directory, limit).await;
    assert_eq!((first(&again), again.next), (6, 6));
    assert_eq!(again.epoch, topic.epoch);
    assert!(store.ids(&name("T")).await.is_empty());
    store.append(again.id, batch(6, 1)).await.unwrap();
    assert_eq!(stored(&store, again.id).await, [6]);
    assert_eq!(first(&again), 6);
    store.close().await;
}

#[tokio::test]
async fn what_is_more_than_new_limits_allow_is_deleted_after_a_start() {
    let directory = Directory::new();
    let (store, topic) = open_with(&directory, NOTHING).await;
    append_all(&store, topic.id, (1..=5000).map(|seq| with_ids(seq, now()))).await;
    store.close().await;
    let (store, topic) = open_with(
        &directory,
        Retention {
            messages: 10,
            ..NOTHING
        },
    )
    .await;
    store.append(topic.id, batch(5001, 1)).await.unwrap();
    settle(&store).await;
    assert_eq!(
        stored(&store, topic.id).await,
        (4991..=5001).collect::<Vec<_>>()
    );
    store.close().await;
}

/// 200 topics with a message that is old and one that is new.
async fn old_and_new(directory: &Directory) -> Vec<TopicId> {
    let store = open(directory);
    let mut ids = Vec::new();
    for n in 0..200 {
        let topic = store.load(&name(&format!("{n}"))).await.unwrap().id;
        store
            .append(topic, batch_at(1, 1, now() - 2_000_000))
            .await
            .unwrap();
        store.append(topic, batch(2, 1)).await.unwrap();
        ids.push(topic);
    }
    store.close().await;
    ids
}

/// A writer that has done what there was to do after its start.
fn surveyed(directory: &Directory, retention: Retention) -> Writer {
    let settings = DatabaseSettings::new(TIMEOUT);
    let (mut writer, _) =
        Writer::open(directory.path(), retention, Clock::for_tests(), settings).unwrap();
    while writer.time_to_chores().is_zero() {
        writer.do_chores();
    }
    writer
}

#[tokio::test]
async fn what_has_become_too_old_is_found_after_a_start_in_topics_that_nobody_uses() {
    let directory = Directory::new();
    let ids = old_and_new(&directory).await;
    let age = Duration::from_secs(1000);
    let writer = surveyed(&directory, Retention { age, ..NOTHING });
    assert!(writer.topics.is_empty(), "nobody has asked for one");
    let reader = Reader::new(writer.shared());
    let tables = writer.tables().unwrap();
    for &topic in &ids {
        assert_eq!(seqs(&reader.read(topic, 1, 1000).unwrap()), [2]);
        let known = catalogue::find_record(&tables, topic).unwrap();
        assert_eq!(known.first, 2, "it is deleted");
    }
    // And it is known when the other one becomes too old.
    let due = writer.ages.next().unwrap();
    let in_time = now() + 990_000..=now() + 1_001_000;
    assert!(in_time.contains(&due), "{due}");
}

#[tokio::test]
async fn topics_in_memory_that_nobody_uses_are_forgotten() {
    let directory = Directory::new();
    let mut writer = surveyed(&directory, NOTHING);
    let load = |writer: &mut Writer, name: &TopicName| {
        let (done, _) = oneshot::channel();
        let (name, epoch) = (name.clone(), 1);
        let request = Request::Load { name, epoch, done };
        writer
            .write(&[request], Access::Write)
            .unwrap()
            .remove(0)
            .unwrap()
    };
    let (used, unused) = (
        load(&mut writer, &name("used")),
        load(&mut writer, &name("unused")),
    );
    let first = writer.topics[&used].bounds.first.clone();
    writer.chores.forget_due = Instant::now();
    writer.do_chores();
    assert_eq!(writer.topics.keys().collect::<Vec<_>>(), [&used]);
    assert_eq!(first.load(Ordering::Acquire), 1);
    assert_eq!(load(&mut writer, &name("unused")), unused);
}

/// Bytes of all files in a directory.
fn space(path: &Path) -> u64 {
    let files = std::fs::read_dir(path).unwrap().map(|file| file.unwrap());
    files
        .map(|file| match file.metadata() {
            // A file may go meanwhile.
            Err(_) => 0,
            Ok(kind) if kind.is_dir() => space(&file.path()),
            Ok(kind) => kind.blocks() * 512,
        })
        .sum()
}

/// So many MiB in records of 64 KiB, all published at `time`.
async fn append_mib(store: &Store, topic: TopicId, next: u64, mib: u64, time: u64) -> u64 {
    let record = |seq| RecordBatch {
        entries: vec![Entry {
            lines: Bytes::from(vec![b'x'; 64 * 1024]),
            ..entry(seq, 1, time)
        }],
        ids: Vec::new(),
    };
    let end = next + mib * 16;
    append_all(store, topic, (next..end).map(record)).await;
    end
}

/// Waits until the directory has become so small, and says what it takes otherwise.
async fn shrinks_to(directory: &Directory, mib: u64) {
    let in_time = tokio::time::timeout(TIMEOUT, async {
        while space(directory.path()) > mib * 1024 * 1024 {
            // The files go on another thread.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let left = in_time.await;
    assert!(left.is_ok(), "{} bytes are left", space(directory.path()));
}

/// The database's journals, which are up to 128 MiB whatever is kept, and a table.
const OVERHEAD: u64 = 170;

#[tokio::test]
async fn the_directory_shrinks_when_messages_have_become_too_old() {
    let directory = Directory::new();
    let age = Duration::from_secs(40);
    let (store, topic) = open_with(&directory, Retention { age, ..NOTHING }).await;
    let old = now() - 39_000;
    let next = append_mib(&store, topic.id, 1, 400, old).await;
    append_mib(&store, topic.id, next, 20, now()).await;
    // They become too old meanwhile, and nothing is written any more.
    shrinks_to(&directory, OVERHEAD + 40).await;
    assert!(first(&topic) >= next);
    store.close().await;
}

#[tokio::test]
async fn what_was_deleted_before_a_restart_is_given_back_after_it() {
    let directory = Directory::new();
    let (store, topic) = open_with(&directory, NOTHING).await;
    append_mib(&store, topic.id, 1, 400, now()).await;
    store.close().await;
    let limit = Retention {
        messages: 16,
        ..NOTHING
    };
    let (store, topic) = open_with(&directory, limit).await;
    shrinks_to(&directory, OVERHEAD + 20).await;
    assert_eq!(topic_len(&store, topic.id).await, 16);
    store.close().await;
}

/// The files of records hold those of many topics: what is kept of a quiet one isn't
/// lost with what goes of a busy one.
#[tokio::test]
async fn what_is_kept_survives_among_what_goes() {
    let directory = Directory::new();
    let limit = Retention {
        messages: 160,
        ..NOTHING
    };
    let (store, busy) = open_with(&directory, limit).await;
    let quiet = store.load(&name("quiet")).await.unwrap();
    let (mut next, mut kept) = (1, Vec::new());
    for seq in (1..=2000).step_by(20) {
        store.append(quiet.id, batch(seq, 20)).await.unwrap();
        kept.extend(seq..seq + 20);
        next = append_mib(&store, busy.id, next, 5, now()).await;
    }
    shrinks_to(&directory, OVERHEAD + 60).await;
    let kept = &kept[kept.len() - 160..];
    let found = stored(&store, quiet.id).await;
    assert_eq!(found[found.len() - 160..], *kept);
    store.close().await;
    let (store, busy) = open_with(&directory, limit).await;
    assert!(stored(&store, quiet.id).await.ends_with(kept));
    assert!(topic_len(&store, busy.id).await >= 160);
    store.close().await;
}
