//! Reading what is in the log, and deleting the oldest of it.

use super::*;

#[tokio::test]
async fn records_are_read_from_any_position_on() {
    let Some(nats) = Nats::start(1) else { return };
    let log = open(&nats).await;
    let (t, other) = (topic("t"), topic("o"));
    assert_eq!(log.head(&t).await.unwrap(), None);
    assert_eq!(log.next(&t, 0).await.unwrap(), None);
    assert_eq!(log.read(&t, 0, 1000).await.unwrap(), []);
    append_all(&log, &other, &["x"]).await;
    let at = append_all(&log, &t, &["a", "b", "c"]).await;
    append_all(&log, &topic("p"), &["y"]).await;
    let all: Vec<_> = at
        .iter()
        .copied()
        .zip(["a", "b", "c"].map(String::from))
        .collect();
    assert_eq!(texts(&log.read(&t, 0, 100_000).await.unwrap()), all);
    assert_eq!(
        texts(&log.read(&t, at[0] + 1, 100_000).await.unwrap()),
        all[1..]
    );
    assert_eq!(log.read(&t, at[2] + 1, 100_000).await.unwrap(), []);
    // At least one, however little is wanted.
    assert_eq!(texts(&log.read(&t, 0, 1).await.unwrap()), all[..1]);
    for (from, expected) in [(0, 0), (at[0], 0), (at[0] + 1, 1), (at[2], 2)] {
        let next = log.next(&t, from).await.unwrap().unwrap();
        assert_eq!(texts(&[next]), all[expected..=expected]);
    }
    assert_eq!(log.next(&t, at[2] + 1).await.unwrap(), None);
    let head = log.head(&t).await.unwrap().unwrap();
    assert_eq!(texts(&[head]), all[2..]);
}

#[tokio::test]
async fn a_long_history_is_read_in_batches() {
    let Some(nats) = Nats::start(1) else { return };
    let log = open(&nats).await;
    let t = topic("t");
    let records: Vec<_> = (0..2500).map(|number| format!("{number:0100}")).collect();
    let records: Vec<_> = records.iter().map(String::as_str).collect();
    let at = append_all(&log, &t, &records).await;
    let (mut from, mut all, mut batches) = (0, Vec::new(), 0);
    loop {
        let batch = log.read(&t, from, 64 * 1024).await.unwrap();
        let Some(last) = batch.last() else { break };
        from = last.at + 1;
        batches += 1;
        let bytes: usize = batch.iter().map(|record| record.record.len()).sum();
        assert!(bytes <= 64 * 1024, "{bytes}");
        all.extend(batch);
    }
    assert!((4..100).contains(&batches), "{batches}");
    let expected = at.into_iter().zip(records.into_iter().map(str::to_owned));
    assert_eq!(texts(&all), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn records_are_found_by_their_time() {
    let Some(nats) = Nats::start(1) else { return };
    let log = open(&nats).await;
    let t = topic("t");
    let now = || {
        let now = crate::clock::TimeSource::wall(&crate::clock::SystemClocks);
        u64::try_from(now.as_millis()).unwrap()
    };
    let before = now();
    let at = append_all(&log, &t, &["a"]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let between = now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let second = add(&log, &t, at[0], "2", "b").await;
    let position = |found: Option<Located>| found.map(|record| record.at);
    assert_eq!(position(log.since(&t, 0).await.unwrap()), Some(at[0]));
    assert_eq!(position(log.since(&t, before).await.unwrap()), Some(at[0]));
    assert_eq!(
        position(log.since(&t, between).await.unwrap()),
        Some(second)
    );
    assert_eq!(log.since(&t, now() + 60_000).await.unwrap(), None);
    assert_eq!(log.since(&topic("none"), 0).await.unwrap(), None);
}

#[tokio::test]
async fn the_oldest_records_of_one_topic_are_deleted() {
    let Some(nats) = Nats::start(1) else { return };
    let log = open(&nats).await;
    let (t, other) = (topic("t"), topic("o"));
    let at = append_all(&log, &t, &["a", "b", "c"]).await;
    append_all(&log, &other, &["x", "y"]).await;
    for (before, left) in [(0, 3), (1, 3), (at[1], 2), (at[1], 2), (at[2] + 1, 0)] {
        log.trim(&t, before).await.unwrap();
        assert_eq!(log.read(&t, 0, 1000).await.unwrap().len(), left);
    }
    assert_eq!(log.read(&other, 0, 1000).await.unwrap().len(), 2);
}

#[tokio::test]
async fn topics_are_listed_in_the_order_of_their_names() {
    let Some(nats) = Nats::start(1) else { return };
    let log = open(&nats).await;
    assert_eq!(log.topics(None, 10).await.unwrap(), []);
    let mut names: Vec<_> = (0..50).map(|number| format!("t{number}")).collect();
    names.extend(["Ä", "a b", "z.*>"].map(String::from));
    for name in &names {
        append_all(&log, &topic(name), &["x"]).await;
    }
    // The names are good for a moment.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    names.sort();
    let expected: Vec<_> = names.iter().map(|name| topic(name)).collect();
    assert_eq!(log.topics(None, 100).await.unwrap(), expected);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = log.topics(after.as_deref(), 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.as_str().to_owned());
        assert!(page.len() <= 7);
        all.extend(page);
    }
    assert_eq!(all, expected);
    assert_eq!(log.topics(Some("t0"), 1).await.unwrap(), [topic("t1")]);
    assert_eq!(log.topics(Some("t00"), 1).await.unwrap(), [topic("t1")]);
}
