//! How fast it is. To be run by hand, in a release build:
//! `cargo test --release -p topicserver --lib store::tests::speed -- --ignored --nocapture
//! --test-threads=1`, with `TMPDIR` on the disk that is meant.

use std::time::Instant;

use super::*;

const MESSAGE: usize = 300;

/// One entry of messages of 300 bytes.
fn messages(first: u64, count: u32) -> RecordBatch {
    let mut line = vec![b'x'; MESSAGE - 1];
    line.push(b'\n');
    RecordBatch {
        entries: vec![Entry {
            first,
            count,
            time: now(),
            publisher: 1,
            lines: Bytes::from(line.repeat(count as usize)),
        }],
        ids: Vec::new(),
    }
}

fn report(what: &str, number: u64, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss)]
    let rate = number as f64 / seconds;
    println!("{what}: {number} in {seconds:.2} s, {rate:.0}/s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and takes seconds"]
async fn appends_of_one_message_to_64_topics() {
    const EACH: u64 = 4_000;
    let directory = Directory::new();
    let store = open(&directory);
    let began = Instant::now();
    let mut writers = Vec::new();
    for n in 0..64 {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            let topic = store.load(&name(&format!("topic {n}"))).await.unwrap().id;
            for seq in 1..=EACH {
                store.append(topic, messages(seq, 1)).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    report("64 appenders of one message", 64 * EACH, began);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and takes seconds"]
async fn appends_of_256_messages_with_16_outstanding() {
    const BATCHES: u64 = 4_000;
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap().id;
    let began = Instant::now();
    let mut outstanding = std::collections::VecDeque::new();
    for n in 0..BATCHES {
        if outstanding.len() == 16 {
            let append: tokio::task::JoinHandle<_> = outstanding.pop_front().unwrap();
            let result: Result<(), _> = append.await.unwrap();
            result.unwrap();
        }
        // Put in here, so that the order is kept; waited for there.
        let (done, stored) = tokio::sync::oneshot::channel();
        let batch = messages(1 + n * 256, 256);
        store.queue.append(topic, batch, done).await.unwrap();
        outstanding.push_back(tokio::spawn(async move { stored.await.unwrap() }));
    }
    for append in outstanding {
        append.await.unwrap().unwrap();
    }
    report("16 outstanding batches of 256", BATCHES * 256, began);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and takes seconds"]
async fn reads_of_a_million_messages() {
    for per_record in [1, 100] {
        let directory = Directory::new();
        let store = open(&directory);
        let topic = store.load(&name("T")).await.unwrap().id;
        let mut outstanding = tokio::task::JoinSet::new();
        for n in 0..1_000_000 / u64::from(per_record) {
            let (done, stored) = tokio::sync::oneshot::channel();
            let batch = messages(1 + n * u64::from(per_record), per_record);
            store.queue.append(topic, batch, done).await.unwrap();
            outstanding.spawn(stored);
            while outstanding.len() > 1000 {
                outstanding
                    .join_next()
                    .await
                    .unwrap()
                    .unwrap()
                    .unwrap()
                    .unwrap();
            }
        }
        while let Some(stored) = outstanding.join_next().await {
            stored.unwrap().unwrap().unwrap();
        }
        store.close().await;
        let began = Instant::now();
        let store = open(&directory);
        report("open", 1, began);
        let began = Instant::now();
        let loaded = store.load(&name("T")).await.unwrap();
        report("load", 1, began);
        assert_eq!(loaded.next, 1_000_001);
        let began = Instant::now();
        let mut next = 1;
        while next < loaded.next {
            let read = store.read(topic, next, 256 * 1024).await.unwrap();
            let last = read.last().unwrap();
            next = last.first + u64::from(last.count);
        }
        report(&format!("read in records of {per_record}"), next - 1, began);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and takes seconds"]
async fn a_hundred_thousand_topics() {
    const TOPICS: usize = 100_000;
    let directory = Directory::new();
    let store = open(&directory);
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..TOPICS {
        let store = store.clone();
        tasks.spawn(async move {
            let topic = store.load(&name(&format!("topic {n}"))).await.unwrap().id;
            store.append(topic, batch(1, 1)).await.unwrap();
        });
        while tasks.len() > 1000 {
            tasks.join_next().await.unwrap().unwrap();
        }
    }
    tasks.join_all().await;
    report("topics made and written to", TOPICS as u64, began);
    store.close().await;
    let began = Instant::now();
    let store = open(&directory);
    report("open", 1, began);
    let began = Instant::now();
    for n in 0..TOPICS {
        let loaded = store.load(&name(&format!("topic {n}"))).await.unwrap();
        assert_eq!(loaded.next, 2);
    }
    report("topics loaded one after another", TOPICS as u64, began);
    let began = Instant::now();
    assert_eq!(store.topics(None, usize::MAX).await.unwrap().len(), TOPICS);
    report("topics listed", TOPICS as u64, began);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and takes seconds"]
async fn appends_of_one_message_to_64_topics_that_are_kept_short() {
    const EACH: u64 = 8_000;
    let directory = Directory::new();
    let short = Retention {
        messages: 1_000,
        ..KEEP
    };
    let store = Store::open(
        directory.path(),
        short,
        WINDOW,
        TIMEOUT,
        &Clock::for_tests(),
    )
    .unwrap();
    let began = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..64 {
        let store = store.clone();
        writers.spawn(async move {
            let topic = store.load(&name(&format!("topic {n}"))).await.unwrap();
            for seq in 1..=EACH {
                store.append(topic.id, messages(seq, 1)).await.unwrap();
            }
            EACH + 1 - topic.first.load(std::sync::atomic::Ordering::Acquire)
        });
    }
    let kept = writers.join_all().await;
    report("64 appenders of one message, kept short", 64 * EACH, began);
    println!("kept: {} of each", kept.iter().max().unwrap());
    assert!(kept.iter().all(|&kept| kept < 2_500));
    store.close().await;
}
