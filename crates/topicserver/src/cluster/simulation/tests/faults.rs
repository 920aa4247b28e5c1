//! Each fault of the log alone.

use super::super::Fate;
use super::*;
use crate::cluster::log::{Appended, Followed, Located, LogError};

fn located(at: u64, record: &str) -> Located {
    Located {
        at,
        record: bytes(record),
    }
}

async fn append(log: &Arc<dyn Log>, prev: u64, id: &str) -> Appended {
    log.append(&topic("t"), prev, id, bytes(id)).await
}

fn position(appended: &Appended) -> u64 {
    match appended {
        Appended::At(at) => *at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_is_appended_behind_the_newest_one_only() {
    runtime().block_on(async {
        let world = world();
        let log = log(&world, 0);
        assert_eq!(log.head(&topic("t")).await, Ok(None));
        let first = position(&append(&log, 0, "one").await);
        assert_eq!(append(&log, 0, "two").await, Appended::Behind);
        let second = position(&append(&log, first, "two").await);
        assert!(second > first);
        let all = vec![located(first, "one"), located(second, "two")];
        assert_eq!(log.read(&topic("t"), 0, 1000).await, Ok(all.clone()));
        assert_eq!(log.read(&topic("t"), 0, 1).await, Ok(all[..1].to_vec()));
        let next = log.next(&topic("t"), first + 1).await;
        assert_eq!(next, Ok(Some(all[1].clone())));
        assert_eq!(log.head(&topic("t")).await, Ok(Some(all[1].clone())));
        log.trim(&topic("t"), second).await.unwrap();
        let next = log.next(&topic("t"), 0).await;
        assert_eq!(next, Ok(Some(all[1].clone())));
        assert_eq!(log.topics(None, 10).await, Ok(vec![topic("t")]));
        assert_eq!(log.topics(Some("t"), 10).await, Ok(vec![]));
    });
}

#[test]
fn records_are_found_by_the_logs_clock_even_if_it_jumps() {
    runtime().block_on(async {
        let world = world();
        let log = log(&world, 0);
        let first = position(&append(&log, 0, "one").await);
        world.suffer(&super::super::Misfortune::MoveClock(60_000));
        let second = position(&append(&log, first, "two").await);
        let found = log.since(&topic("t"), 1_800_000_030_000).await;
        assert_eq!(found, Ok(Some(located(second, "two"))));
        let none = log.since(&topic("t"), 1_800_000_090_000).await;
        assert_eq!(none, Ok(None));
    });
}

#[test]
fn an_append_whose_answer_is_lost_is_there_and_stays_one_for_half_a_minute() {
    runtime().block_on(async {
        let world = world();
        let log = log(&world, 0);
        world.decide(0, Fate::LostAnswer);
        let unknown = append(&log, 0, "one").await;
        assert!(matches!(unknown, Appended::Unknown(LogError::Away(_))));
        let at = position(&append(&log, 0, "one").await);
        assert_eq!(world.records("t"), [(at, b"one".to_vec())]);
        tokio::time::sleep(seconds(30)).await;
        assert_eq!(append(&log, 0, "one").await, Appended::Behind);
    });
}

#[test]
fn an_append_can_be_lost_or_busy() {
    runtime().block_on(async {
        let world = world();
        let log = log(&world, 0);
        world.decide(0, Fate::Lost);
        world.decide(0, Fate::Busy);
        assert!(matches!(append(&log, 0, "a").await, Appended::Unknown(_)));
        assert_eq!(append(&log, 0, "a").await, Appended::Busy);
        assert_eq!(world.records("t"), []);
        world.refuse(Some("no room"));
        let refused = Appended::Unknown(LogError::Refused("no room".to_owned()));
        assert_eq!(append(&log, 0, "a").await, refused);
        world.refuse(None);
        position(&append(&log, 0, "a").await);
    });
}

#[test]
fn an_append_can_come_late_and_may_fail_then() {
    runtime().block_on(async {
        let world = world();
        let log = log(&world, 0);
        for id in ["one", "two"] {
            world.decide(0, Fate::Late(seconds(3)));
            assert!(matches!(append(&log, 0, id).await, Appended::Unknown(_)));
            assert!(world.records("t").len() < 2);
        }
        tokio::time::sleep(seconds(10)).await;
        // The first one came before the second.
        let records = world.records("t");
        assert!(matches!(&records[..], [(_, one)] if one == b"one"));
    });
}

#[test]
fn a_dropped_request_is_under_way_all_the_same() {
    runtime().block_on(async {
        let world = world();
        let log = log(&world, 0);
        let t = topic("t");
        let mut request = log.append(&t, 0, "one", bytes("one"));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(request.as_mut().poll(&mut context).is_pending());
        drop(request);
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(world.records("t").len(), 1);
    });
}

#[test]
fn a_feed_brings_what_is_appended_and_says_when_it_was_interrupted() {
    runtime().block_on(async {
        let world = world();
        let log = log(&world, 0);
        let mut feed = log.follow(&topic("t")).await.unwrap();
        let at = position(&append(&log, 0, "one").await);
        let followed = feed.recv().await;
        assert_eq!(followed, Some(Followed::Record(located(at, "one"))));

        world.set_faults(|faults| faults.feed_doubled = 1.0);
        let at = position(&append(&log, at, "two").await);
        for _ in 0..2 {
            let followed = feed.recv().await;
            assert_eq!(followed, Some(Followed::Record(located(at, "two"))));
        }
        world.set_faults(|faults| faults.feed_lost = 1.0);
        let at = position(&append(&log, at, "three").await);
        world.set_faults(|faults| faults.feed_interrupted = 1.0);
        position(&append(&log, at, "four").await);
        assert_eq!(feed.recv().await, Some(Followed::Interrupted));
    });
}

#[test]
fn an_old_answer_lacks_the_newest_records_but_the_head_does_not() {
    runtime().block_on(async {
        let world = world();
        let log = log(&world, 0);
        let first = position(&append(&log, 0, "one").await);
        let at = position(&append(&log, first, "two").await);
        world.set_faults(|faults| faults.stale_read = 1.0);
        let mut found = Vec::new();
        for _ in 0..30 {
            let t = topic("t");
            assert_eq!(log.head(&t).await.unwrap().unwrap().at, at);
            // That there is nothing only the leader says.
            assert_eq!(log.next(&t, at).await.unwrap().unwrap().at, at);
            found.push(log.read(&t, 0, 1 << 20).await.unwrap().len());
        }
        assert!(found.contains(&1) && found.contains(&2), "{found:?}");
    });
}

#[test]
fn an_unsound_log_forks_and_loses() {
    runtime().block_on(async {
        let world = world();
        let log = log(&world, 0);
        let at = position(&append(&log, 0, "one").await);
        let fork = world.force("t", b"fork");
        assert!(fork > at);
        world.lose("t", 2);
        assert_eq!(log.head(&topic("t")).await, Ok(None));
    });
}
