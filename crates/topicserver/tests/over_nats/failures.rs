//! A cluster whose servers and NATS servers are killed and stopped again and again, one at a time,
//! while many publish and read: nothing acknowledged is lost, nothing comes twice or in another
//! order, every resume is complete, and what is left of the cluster goes on.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::harness::{Harness, StopAtEnd, TOPICS, end_topics, random};
use crate::links::Transport;
use crate::publishers::{Published, Publisher, publish_by_requests};
use crate::servers::{COUNT, Cluster};
use crate::subscribers::{Read, Subscriber, Way};

/// Messages that each publisher and each subscriber gets on with before the next failure.
const LIFE: u64 = 30;

/// The longest time that something is missing, if nobody waits for the others to go on.
const ABSENCE: u64 = 8_000;

#[test]
fn a_cluster_whose_servers_fail_loses_doubles_and_reorders_nothing() {
    fail_again_and_again(rounds(5));
}

#[test]
#[ignore = "long: fails 200 times, which takes an hour"]
fn a_cluster_whose_servers_fail_200_times_loses_doubles_and_reorders_nothing() {
    fail_again_and_again(rounds(200));
}

fn rounds(otherwise: u32) -> u32 {
    let rounds = std::env::var("CLUSTER_ROUNDS").ok();
    rounds.map_or(otherwise, |rounds| rounds.parse().unwrap())
}

/// What happens to a process.
#[derive(Clone, Copy, Debug)]
enum Failure {
    KillLeader,
    StopLeader,
    KillServer,
    StopServer,
}

const FAILURES: [Failure; 4] = [
    Failure::KillLeader,
    Failure::StopLeader,
    Failure::KillServer,
    Failure::StopServer,
];

fn fail_again_and_again(rounds: u32) {
    let began = Instant::now();
    let Some(mut cluster) = Cluster::start(&["--ping-interval", "1"]) else {
        return;
    };
    let harness = Harness::new(&cluster, 3, 3);
    let second = || publish_by_requests(&harness, 1);
    among_all(&harness, second, |harness| {
        harness.progress(LIFE, "at the start");
        let first = random(4) as usize;
        for round in 0..rounds {
            let failure = FAILURES[(first + round as usize) % FAILURES.len()];
            fail(&mut cluster, harness, round, failure);
        }
    });
    let acknowledged: u64 = harness
        .acknowledged
        .iter()
        .map(|one| one.load(SeqCst))
        .sum();
    println!(
        "{rounds} failures in {:.1?}: {acknowledged} messages acknowledged, {} sent again; {} \
         resumes, all recovered",
        began.elapsed(),
        harness.sent_again.load(SeqCst),
        harness.resumes.load(SeqCst),
    );
}

/// Does something while three publish, the second of them in this way, and three read through
/// different transports. Then all have read the same.
pub fn among_all(
    harness: &Harness,
    second: impl FnOnce() -> Published + Send,
    act: impl FnOnce(&Harness),
) {
    let (published, read) = std::thread::scope(|scope| {
        let _stop = StopAtEnd(harness);
        let publishers = [
            scope.spawn(|| Publisher::new(harness, 0, Transport::Tcp).run()),
            scope.spawn(second),
            scope.spawn(|| Publisher::new(harness, 2, Transport::WebSocket).run()),
        ];
        let ways = [
            Way::Frames(Transport::Tcp),
            Way::Events,
            Way::Frames(Transport::WebSocket),
        ];
        let subscribers: Vec<_> = (0..)
            .zip(ways)
            .map(|(number, way)| scope.spawn(move || Subscriber::new(harness, number, way).run()))
            .collect();
        act(harness);
        harness.are_to_finish.store(true, SeqCst);
        let published = publishers.map(|one| one.join().unwrap());
        end_topics(harness);
        let read = subscribers.into_iter().map(|one| one.join().unwrap());
        (published, read.collect::<Vec<_>>())
    });
    check(&published, &read);
}

/// One failure, from its beginning until everybody goes on after it.
fn fail(cluster: &mut Cluster, harness: &Harness, round: u32, failure: Failure) {
    let began = Instant::now();
    let server = random(COUNT as u64) as usize;
    let leader = || cluster.leader(random(COUNT as u64) as usize);
    // Half of the time everybody must go on before what is missing comes back.
    let must_go_on = random(2) == 0;
    let absence = Duration::from_millis(random(ABSENCE));
    let what = match failure {
        Failure::KillLeader | Failure::StopLeader => leader(),
        Failure::KillServer | Failure::StopServer => server,
    };
    match failure {
        Failure::KillLeader => cluster.nats.servers[what].kill(),
        Failure::StopLeader => cluster.nats.servers[what].pause(true),
        Failure::KillServer => {
            harness.is_gone(server);
            cluster.take_server(server).kill();
        }
        Failure::StopServer => cluster.server(server).signal("STOP"),
    }
    let story = format!("round {round}, {failure:?} of {what}");
    match must_go_on {
        true => harness.progress(LIFE, &format!("{story}, while it is missing")),
        false => std::thread::sleep(absence),
    }
    let missing = began.elapsed();
    match failure {
        Failure::KillLeader => cluster.nats.servers[what].start(),
        Failure::StopLeader => cluster.nats.servers[what].pause(false),
        Failure::KillServer => {
            cluster.start_server(server);
            harness.is_at(server, cluster.server(server).v4());
        }
        Failure::StopServer => cluster.server(server).signal("CONT"),
    }
    cluster.nats.wait();
    harness.progress(
        LIFE,
        &format!("{story}, after it was missing for {missing:.1?}"),
    );
    println!(
        "{story}: missing {missing:.1?} (waited for: {must_go_on}), all in all {:.1?}",
        began.elapsed()
    );
}

/// Everybody saw the same, and in it everything that was acknowledged, at its place,
/// once, and in its publisher's order.
pub fn check(published: &[Published], read: &[Read]) {
    for other in read {
        assert!(other.texts == read[0].texts, "two read different things");
    }
    for (place, texts) in read[0].texts.iter().enumerate() {
        for (number, published) in published.iter().enumerate() {
            let prefix = format!("{number} ");
            let got = texts.iter().zip(1..);
            let got = got.filter(|(text, _)| text.starts_with(&prefix));
            let got: Vec<_> = got.map(|(text, seq)| (seq, text.clone())).collect();
            assert_eq!(
                got, published[place],
                "of publisher {number} in {}",
                TOPICS[place]
            );
            assert!(got.is_sorted_by_key(|(_, text)| number_in(text)));
        }
    }
}

fn number_in(text: &str) -> u64 {
    text.split_once(' ').unwrap().1.parse().unwrap()
}
