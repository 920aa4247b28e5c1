//! Servers of NATS that die while records are appended.

use std::sync::Arc;

use super::*;

/// Appends record after record until it is told to stop, and resolves each unknown outcome by
/// appending the same record again. Returns the positions of all.
async fn append_on(log: Arc<JetStream>, t: TopicName, stop: watch::Receiver<bool>) -> Vec<u64> {
    let (mut positions, mut prev, mut number) = (Vec::new(), 0, 0);
    while !*stop.borrow() {
        let id = format!("1:{number}:a");
        let record = Bytes::from(format!("{prev} {number}"));
        let end = tokio::time::Instant::now() + 2 * LIMIT;
        prev = loop {
            assert!(
                tokio::time::Instant::now() < end,
                "{t:?}: {number} stays unknown"
            );
            match log.append(&t, prev, &id, record.clone()).await {
                Appended::At(at) => break at,
                Appended::Behind => panic!("{t:?}: {number} is behind, and nobody else is there"),
                Appended::Busy | Appended::Unknown(_) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        positions.push(prev);
        number += 1;
    }
    positions
}

/// All records of a topic, one behind the other as they say themselves, are those at the positions.
async fn check(log: &JetStream, t: &TopicName, positions: &[u64]) {
    let end = tokio::time::Instant::now() + LIMIT;
    let mut all = Vec::new();
    loop {
        let from = all.last().map_or(0, |record: &Located| record.at + 1);
        match log.read(t, from, 1 << 20).await {
            Ok(batch) if batch.is_empty() => break,
            Ok(batch) => all.extend(batch),
            // A server that was just started has much to do.
            Err(error) => assert!(tokio::time::Instant::now() < end, "{error}"),
        }
    }
    let prevs = [0].iter().chain(positions);
    let expected = positions.iter().zip(prevs).enumerate();
    for ((number, (at, prev)), record) in expected.zip(texts(&all)) {
        assert_eq!(record, (*at, format!("{prev} {number}")), "{t:?}");
    }
    assert_eq!(all.len(), positions.len(), "{t:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_accepted_is_there_once_whichever_leader_dies() {
    let Some(mut nats) = Nats::start(3) else {
        return;
    };
    let log = Arc::new(open(&nats).await);
    let topics: Vec<_> = (0..8).map(|number| topic(&format!("t{number}"))).collect();
    let (stop, stopped) = watch::channel(false);
    let tasks: Vec<_> = topics
        .iter()
        .map(|t| tokio::spawn(append_on(Arc::clone(&log), t.clone(), stopped.clone())))
        .collect();
    for stream in ["NATTER_00", "NATTER_01"] {
        let leader = nats.leader(stream);
        let head = || async {
            log.head(&topics[0])
                .await
                .ok()
                .flatten()
                .map(|head| head.at)
        };
        let before = head().await;
        nats.servers[leader].kill();
        // Until the others go on.
        let end = tokio::time::Instant::now() + 2 * LIMIT;
        while head().await.is_none_or(|now| Some(now) <= before) {
            assert!(
                tokio::time::Instant::now() < end,
                "nothing is appended any more"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        nats.servers[leader].start();
        nats.wait();
    }
    stop.send_replace(true);
    for (task, t) in tasks.into_iter().zip(&topics) {
        let positions = task.await.unwrap();
        assert!(!positions.is_empty());
        check(&log, t, &positions).await;
    }
    assert_eq!(log.connection.waiting(), 0);
}

#[tokio::test]
async fn without_most_servers_nothing_is_accepted_and_it_goes_on_with_them() {
    let Some(mut nats) = Nats::start(3) else {
        return;
    };
    let log = open(&nats).await;
    let t = topic("t");
    let at = append_all(&log, &t, &["a"]).await;
    let left = usize::from(nats.leader("NATTER_00") == 0);
    for server in (0..3).filter(|server| *server != left) {
        nats.servers[server].kill();
    }
    let record = || Bytes::from_static(b"b");
    for _ in 0..3 {
        let appended = log.append(&t, at[0], "2", record()).await;
        assert!(
            matches!(appended, Appended::Unknown(LogError::Away(_))),
            "{appended:?}"
        );
    }
    for server in 0..3 {
        if server != left {
            nats.servers[server].start();
        }
    }
    let end = tokio::time::Instant::now() + 2 * LIMIT;
    let second = loop {
        match log.append(&t, at[0], "2", record()).await {
            Appended::At(second) => break second,
            Appended::Behind => panic!("it is behind"),
            Appended::Busy | Appended::Unknown(_) => {
                assert!(tokio::time::Instant::now() < end, "it stays unknown");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    let head = log.head(&t).await.unwrap().unwrap();
    assert_eq!(texts(&[head]), [(second, "b".to_owned())]);
}

/// NATS chooses which copy answers, and for up to a minute it chooses a leader that was stopped.
#[tokio::test]
async fn a_stopped_leader_leaves_no_reader_without_an_answer() {
    let Some(nats) = Nats::start(3) else {
        return;
    };
    let log = open(&nats).await;
    let t = topic("t");
    let at = append_all(&log, &t, &["a", "b"]).await;
    let leader = nats.leader(&log.names.place(&t).shard.stream);
    let mut config = config(&nats);
    config.servers.remove(leader);
    let log = JetStream::open(&config, KEEP_AGE).await.unwrap().0;
    nats.servers[leader].pause(true);
    let end = tokio::time::Instant::now() + 2 * LIMIT;
    while let Err(error) = log.head(&t).await {
        assert!(tokio::time::Instant::now() < end, "nobody leads: {error}");
    }
    for _ in 0..15 {
        let next = log.next(&t, at[0] + 1).await.unwrap();
        assert_eq!(next.unwrap().at, at[1]);
        assert_eq!(log.since(&t, 0).await.unwrap().unwrap().at, at[0]);
        let mut read = log.read(&t, at[0], 1 << 20).await.unwrap();
        if let [one] = &read[..] {
            let after = one.at + 1;
            read.extend(log.read(&t, after, 1 << 20).await.unwrap());
        }
        assert_eq!(texts(&read), [(at[0], "a".into()), (at[1], "b".into())]);
    }
}

/// It goes on answering as the leader for some seconds, and may lack what the others accept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_reaches_no_other_server_is_not_confirmed() {
    let Some(nats) = Nats::start(3) else {
        return;
    };
    let first = open(&nats).await;
    let t = topic("t");
    settle(&first, &t, 0, "1:0:a", "one").await;
    let leader = nats.leader(&first.names.place(&t).shard.stream);
    let mut config = config(&nats);
    config.servers = vec![config.servers[leader].clone()];
    let log = JetStream::open(&config, KEEP_AGE).await.unwrap().0;
    assert_eq!(log.confirm(&t).await, Ok(()));
    let others = || (0..3).filter(|number| *number != leader);
    others().for_each(|number| nats.servers[number].pause(true));
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        let (head, confirmed) = (log.head(&t).await, log.confirm(&t).await);
        if head.is_ok() && confirmed.is_err() {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{head:?}, {confirmed:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    others().for_each(|number| nats.servers[number].pause(false));
    while log.confirm(&t).await.is_err() {
        assert!(tokio::time::Instant::now() < end + LIMIT);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
