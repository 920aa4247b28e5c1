//! Following topics.

use super::*;
use crate::cluster::log::Followed;

async fn next(feed: &mut Feed) -> Followed {
    let next = tokio::time::timeout(LIMIT, feed.recv()).await;
    next.expect("nothing comes").expect("the feed has ended")
}

fn record(at: u64, text: &'static str) -> Followed {
    Followed::Record(Located {
        at,
        record: Bytes::from_static(text.as_bytes()),
    })
}

#[tokio::test]
async fn who_follows_a_topic_hears_what_is_appended() {
    for count in [1, 3] {
        let Some(nats) = Nats::start(count) else {
            return;
        };
        let (log, other) = (open(&nats).await, open(&nats).await);
        let t = topic("t");
        append_all(&log, &topic("o"), &["before"]).await;
        let mut feeds = [
            log.follow(&t).await.unwrap(),
            other.follow(&t).await.unwrap(),
        ];
        // Interest reaches the other NATS servers a moment later.
        if count > 1 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let at = append_all(&log, &t, &["a", "b"]).await;
        append_all(&log, &topic("p"), &["after"]).await;
        for feed in &mut feeds {
            assert_eq!(next(feed).await, record(at[0], "a"));
            assert_eq!(next(feed).await, record(at[1], "b"));
            assert!(feed.try_recv().is_err());
        }
    }
}

#[tokio::test]
async fn who_is_slow_is_told_that_something_is_missing() {
    let Some(nats) = Nats::start(1) else { return };
    let log = open(&nats).await;
    let t = topic("t");
    let mut feed = log.follow(&t).await.unwrap();
    let records: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    let records: Vec<_> = records.iter().map(String::as_str).collect();
    let at = append_all(&log, &t, &records).await;
    let mut last = 0;
    while let Followed::Record(record) = next(&mut feed).await {
        last = record.at;
    }
    assert!(last > 0 && last < at[199], "{last}");
    // What is missing can be read, and the feed goes on.
    let rest = log.read(&t, last + 1, 1 << 20).await.unwrap();
    assert_eq!(rest.last().unwrap().at, at[199]);
    let more = add(&log, &t, at[199], "x", "x").await;
    loop {
        if next(&mut feed).await == record(more, "x") {
            return;
        }
    }
}

#[tokio::test]
async fn after_each_reconnect_something_may_be_missing() {
    let Some(mut nats) = Nats::start(1) else {
        return;
    };
    let log = open(&nats).await;
    let t = topic("t");
    let mut feed = log.follow(&t).await.unwrap();
    let mut link = log.link();
    assert_eq!(*link.borrow(), Link::Up);
    for round in 0..3 {
        nats.servers[0].kill();
        let down = link.wait_for(|link| *link == Link::Down);
        tokio::time::timeout(LIMIT, down).await.unwrap().unwrap();
        let appended = log.append(&t, 0, "x", Bytes::new()).await;
        assert!(
            matches!(appended, Appended::Unknown(LogError::Away(_))),
            "{appended:?}"
        );
        assert!(matches!(log.head(&t).await, Err(LogError::Away(_))));
        nats.servers[0].start();
        let up = link.wait_for(|link| *link == Link::Up);
        tokio::time::timeout(LIMIT, up).await.unwrap().unwrap();
        assert_eq!(next(&mut feed).await, Followed::Interrupted);
        // From here on everything comes. JetStream may need a moment more than NATS.
        nats.wait();
        let prev = log.head(&t).await.unwrap().map_or(0, |head| head.at);
        let id = round.to_string();
        let at = add(&log, &t, prev, &id, "y").await;
        assert_eq!(next(&mut feed).await, record(at, "y"));
    }
}

#[tokio::test]
async fn who_has_stopped_following_costs_nothing() {
    let Some(nats) = Nats::start(1) else { return };
    let log = open(&nats).await;
    let before = nats.servers[0].subscriptions();
    let feeds = [
        log.follow(&topic("a")).await.unwrap(),
        log.follow(&topic("b")).await.unwrap(),
    ];
    assert_eq!(nats.servers[0].subscriptions(), before + 2);
    drop(feeds);
    let end = tokio::time::Instant::now() + LIMIT;
    while nats.servers[0].subscriptions() != before {
        assert!(tokio::time::Instant::now() < end, "still subscribed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn many_topics_are_followed_over_few_subscriptions() {
    let Some(mut nats) = Nats::start(1) else {
        return;
    };
    let log = open(&nats).await;
    let before = nats.servers[0].subscriptions();
    let names: Vec<_> = (0..700)
        .map(|number| topic(&format!("t{number}")))
        .collect();
    let mut feeds = Vec::new();
    for name in &names {
        feeds.push(log.follow(name).await.unwrap());
    }
    // Some have one of their own, and one for each of the two streams has the rest.
    let most = 2 * (super::super::follow::ALONE + 1);
    assert_eq!(nats.servers[0].subscriptions(), before + most);
    let mut positions = Vec::new();
    for number in [0, 300, 698, 699] {
        append_all(&log, &topic("else"), &["x"]).await;
        let at = append_all(&log, &names[number], &["a"]).await[0];
        assert_eq!(next(&mut feeds[number]).await, record(at, "a"));
        positions.push(at);
    }
    // The last is slow, and told so.
    let t = &names[699];
    let mut prev = positions[3];
    for number in 0..100 {
        let id = number.to_string();
        let at = add(&log, t, prev, &id, "b").await;
        prev = at;
    }
    while next(&mut feeds[699]).await != Followed::Interrupted {}
    // All are told of a reconnect.
    nats.servers[0].kill();
    let mut link = log.link();
    let down = link.wait_for(|link| *link == Link::Down);
    tokio::time::timeout(LIMIT, down).await.unwrap().unwrap();
    nats.servers[0].start();
    for feed in &mut feeds {
        assert_eq!(next(feed).await, Followed::Interrupted);
    }
    nats.wait();
    let at = add(&log, t, prev, "c", "c").await;
    assert_eq!(next(&mut feeds[699]).await, record(at, "c"));
    drop(feeds);
    let end = tokio::time::Instant::now() + LIMIT;
    while nats.servers[0].subscriptions() != before {
        assert!(tokio::time::Instant::now() < end, "still subscribed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
