//! Whatever goes wrong, the log is one, and a run is repeated by its seed.

use std::collections::BTreeMap;

use tokio::time::{Instant, sleep};

use super::super::chance::Chance;
use super::super::{Faults, Misfortune, Plan, World};
use super::*;
use crate::cluster::log::{Appended, Followed};

/// What a server was answered: the id of a record, and what became of it.
type Answers = Vec<(String, Appended)>;

/// A server that appends numbered records to two topics, follows one of them, and asks the log
/// where it is whenever it isn't sure.
async fn work(world: World, node: usize, life: usize, until: Instant) -> Answers {
    let log = log(&world, node);
    let topics = [topic("a"), topic("b")];
    let mut chance = Chance::new(node as u64, 77);
    let mut answers = Answers::new();
    let mut feed = log.follow(&topics[0]).await.ok();
    let mut count = 0;
    while Instant::now() < until {
        let topic = &topics[chance.below(2) as usize];
        let Ok(head) = log.head(topic).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let prev = head.map_or(0, |head| head.at);
        count += 1;
        let id = format!("{node}.{life}.{count}");
        for _ in 0..1 + chance.below(3) {
            let record = bytes(&format!("{prev} {id}"));
            let appended = log.append(topic, prev, &id, record).await;
            answers.push((id.clone(), appended));
        }
        while let Some(Ok(followed)) = feed.as_mut().map(tokio::sync::mpsc::Receiver::try_recv) {
            if let Followed::Record(located) = followed {
                let _ = log.next(topic, located.at).await;
            }
        }
    }
    answers
}

/// Three servers under the faults and misfortunes of a seed.
fn run(seed: u64) -> (u64, World, Answers) {
    runtime().block_on(async {
        let world = World::new(seed, Faults::by_seed(seed));
        let until = Instant::now() + seconds(40);
        let start = |node, life| tokio::spawn(work(world.clone(), node, life, until));
        let mut workers: Vec<_> = (0..3).map(|node| start(node, 0)).collect();
        let plan = Plan::by_seed(seed, 3, seconds(40));
        let mut lives = 0;
        let return_one = |misfortune: &Misfortune| {
            if let Misfortune::Return(node) = misfortune {
                lives += 1;
                workers.push(start(*node, lives));
            }
        };
        world.live_through(&plan, return_one).await;
        let mut answers = Vec::new();
        for worker in workers {
            answers.extend(worker.await.unwrap());
        }
        // What is late arrives too.
        sleep(seconds(20)).await;
        (world.digest(), world, answers)
    })
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..8 {
        let (first, world, _) = run(seed);
        let (second, again, _) = run(seed);
        let lines = world.trace().into_iter().zip(again.trace());
        for (one, other) in lines {
            assert_eq!(one, other, "seed {seed}");
        }
        assert_eq!(first, second, "seed {seed}");
        assert_ne!(first, run(seed + 1000).0, "seed {seed}");
    }
}

#[test]
fn records_are_appended_behind_the_one_that_they_name_and_each_once() {
    let mut counts = BTreeMap::new();
    for seed in 0..30 {
        let (_, world, answers) = run(seed);
        let mut positions = BTreeMap::new();
        for topic in ["a", "b"] {
            let mut newest = 0;
            for (at, record) in world.records(topic) {
                let record = String::from_utf8(record).unwrap();
                let (prev, id) = record.split_once(' ').unwrap();
                assert_eq!(prev.parse(), Ok(newest), "seed {seed}: {record}");
                assert!(at > newest, "seed {seed}");
                newest = at;
                let twice = positions.insert(id.to_owned(), at);
                assert_eq!(twice, None, "seed {seed}: {id} is there twice");
            }
        }
        for (id, appended) in answers {
            if let Appended::At(at) = appended {
                assert_eq!(positions.get(&id), Some(&at), "seed {seed}: {id}");
            }
            let kind = match appended {
                Appended::At(_) => "at",
                Appended::Behind => "behind",
                Appended::Busy => "busy",
                Appended::Unknown(_) if positions.contains_key(&id) => "unknown, there",
                Appended::Unknown(_) => "unknown, not there",
            };
            *counts.entry(kind).or_insert(0) += 1;
        }
    }
    // All of this does happen.
    assert!(
        counts.len() == 5 && counts.values().all(|count| *count > 15),
        "{counts:?}"
    );
}
