//! Messages whose times are wrong, or too old.

use super::retention::{first, stored};
use super::*;
use crate::clock::tests::TestClocks;

#[tokio::test]
async fn what_is_too_old_goes_when_somebody_asks_and_never_comes_back() {
    let directory = Directory::new();
    let clocks = TestClocks::new(now());
    let clock = Clock::new(clocks.clone(), Duration::ZERO);
    let age = Duration::from_secs(30 * 24 * 60 * 60);
    let limit = Retention { age, ..KEEP };
    let store = Store::open(directory.path(), limit, WINDOW, TIMEOUT, &clock).unwrap();
    let topic = store.load(&name("T")).await.unwrap();
    for seq in 1..=3 {
        let index = clock.read().index;
        store
            .append(topic.id, batch_at(seq, 1, index))
            .await
            .unwrap();
        clocks.pass(1000);
    }
    clocks.pass(30 * 24 * 60 * 60 * 1000 - 2000);
    store.delete_too_old(topic.id).await.unwrap();
    assert_eq!(stored(&store, topic.id).await, [2, 3]);
    // As a process leaves it that is killed.
    let copy = directory.copy();
    let never = Duration::from_secs(3600);
    let clock = Clock::new(TestClocks::new(now()), never);
    let again = Store::open(copy.path(), limit, WINDOW, TIMEOUT, &clock).unwrap();
    let topic = again.load(&name("T")).await.unwrap();
    assert_eq!(
        (first(&topic), stored(&again, topic.id).await),
        (2, vec![2, 3])
    );
    store.close().await;
    again.close().await;
}

/// Of what came under a wrong clock, nobody knows how old it is: it goes with what came
/// after it, and takes nothing along.
#[tokio::test]
async fn a_wrong_time_deletes_nothing_and_keeps_nothing_for_ever() {
    let hour = 3_600_000;
    for wrong in [5, now() + 1000 * 24 * hour] {
        let directory = Directory::new();
        let limit = Retention {
            age: Duration::from_millis(2 * hour),
            ..KEEP
        };
        let clocks = TestClocks::new(now());
        let clock = Clock::new(clocks.clone(), Duration::ZERO);
        let store = Store::open(directory.path(), limit, WINDOW, TIMEOUT, &clock).unwrap();
        let topic = store.load(&name("T")).await.unwrap();
        for seq in 1..=9 {
            let index = clock.read().index;
            let time = if (4..=6).contains(&seq) { wrong } else { index };
            store
                .append(topic.id, batch_at(seq, 1, time))
                .await
                .unwrap();
            clocks.pass(hour / 10);
        }
        store.delete_too_old(topic.id).await.unwrap();
        assert_eq!(stored(&store, topic.id).await, (1..=9).collect::<Vec<_>>());
        clocks.pass(hour * 12 / 10);
        store.delete_too_old(topic.id).await.unwrap();
        assert_eq!(first(&topic), 2, "of those under {wrong} none");
        clocks.pass(hour * 6 / 10);
        store.delete_too_old(topic.id).await.unwrap();
        assert_eq!(
            first(&topic),
            8,
            "those under {wrong} with what came after them"
        );
        store.close().await;
    }
}

#[tokio::test]
async fn a_time_is_found_where_time_went_back() {
    let directory = Directory::new();
    let store = open(&directory);
    let topic = store.load(&name("T")).await.unwrap().id;
    let times = [10, 20, 70, 80, 30, 40, 50, 60, 70, 80, 90, 5, 15, 95];
    for (seq, time) in (1..).zip(times) {
        store.append(topic, batch_at(seq, 1, time)).await.unwrap();
    }
    store.close().await;
    let store = open(&directory);
    store.load(&name("U")).await.unwrap();
    for time in 0..100 {
        let before = times.iter().rposition(|&one| one < time);
        let expected = before.map_or(1, |before| before as u64 + 2);
        let found = store.first_since(topic, time).await.unwrap();
        assert_eq!(found, expected, "since {time}");
    }
    store.close().await;
}
