//! A log that takes rivals, as nats-server 2.9 does: which records count is the same for all, from
//! wherever they read.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, SERVERS};
use super::faults::{last, nameless, run, say, texts, topic, world};
use super::publisher::publish;
use super::reader::Connection;
use crate::cluster::history;
use crate::cluster::log::{Located, Log};
use crate::cluster::record::{Group, Message, Record};
use crate::cluster::simulation::{Faults, World};
use crate::cluster::tail::Tail;

const RECORDED: &str = include_str!("forks.txt");

/// A record of the recorded forks.
#[derive(Clone, Copy)]
struct Fork {
    at: u64,
    prev: u64,
    first: u64,
    count: u64,
    owner: u64,
}

fn recorded() -> Vec<Fork> {
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    let fork = |line: &str| {
        let numbers = line.split(' ').map(|number| number.parse().unwrap());
        let [at, prev, first, count, owner] = numbers.collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        Fork {
            at,
            prev,
            first,
            count,
            owner,
        }
    };
    lines.map(fork).collect()
}

/// The recorded forks of which each is the first behind the one before.
fn counting(forks: &[Fork]) -> Vec<Fork> {
    let (mut at, mut next) = (0, 1);
    let mut taken = Vec::new();
    for fork in forks {
        if fork.prev == at {
            assert_eq!(fork.first, next, "the recording");
            (at, next) = (fork.at, next + fork.count);
            taken.push(*fork);
        }
    }
    taken
}

/// Recorded forks in a simulated log.
struct Replay {
    world: World,
    log: std::sync::Arc<dyn Log>,
    /// By the recorded positions.
    positions: BTreeMap<u64, u64>,
}

impl Replay {
    fn new(world: World) -> Self {
        let (log, _) = world.join(0);
        let positions = BTreeMap::from([(0, 0)]);
        Self {
            world,
            log,
            positions,
        }
    }

    fn append(&mut self, fork: &Fork) {
        let lines: String = texts_of(fork)
            .map(|text| format!("{{\"m\":\"{text}\"}}\n"))
            .collect();
        let message = nameless(lines, fork.count as u32);
        let record = Record {
            epoch: 5,
            first: fork.first,
            prev: self.positions[&fork.prev],
            owner: fork.owner,
            stamp: 2,
            time: 3,
            groups: vec![Group {
                node: fork.owner,
                number: fork.at,
                messages: vec![message],
            }],
        };
        let at = self.world.force("Lab", &record.encode());
        self.positions.insert(fork.at, at);
    }

    /// Where the chain ends, for a reader that begins now.
    async fn end(&self) -> Tail {
        let until = Instant::now() + Duration::from_secs(10);
        let end = Tail::load(&*self.log, &topic(), None, until, |_| ()).await;
        end.unwrap()
    }
}

/// The texts of a record's messages.
fn texts_of(fork: &Fork) -> impl Iterator<Item = String> + use<> {
    let at = fork.at;
    (0..fork.count).map(move |number| format!("{at}.{number}"))
}

fn all_texts(forks: &[Fork]) -> Vec<String> {
    forks.iter().flat_map(texts_of).collect()
}

#[test]
fn the_recording_has_many_forks() {
    let forks = recorded();
    let rivals = forks.len() - counting(&forks).len();
    assert!(
        forks.len() > 50 && rivals > 15,
        "{rivals} of {}",
        forks.len()
    );
}

/// A reader that begins at any record takes the same ones as one that has read all of them.
#[test]
fn who_begins_to_read_in_the_middle_of_forks_takes_the_same_records() {
    run(async {
        let mut replay = Replay::new(world());
        let forks = recorded();
        let mut followed = Tail::EMPTY;
        let mut taken = Vec::new();
        for (place, fork) in forks.iter().enumerate() {
            replay.append(fork);
            let (at, record) = replay.world.records("Lab").pop().unwrap();
            let record = Bytes::from(record);
            // The feed, and the log where it brings what isn't next.
            match followed.follow(&Located { at, record }) {
                Ok(counted) => taken.extend(counted),
                Err(_) => {
                    let until = Instant::now() + Duration::from_secs(10);
                    let some = followed.read_some(&*replay.log, &topic(), until).await;
                    taken.extend(some.unwrap());
                }
            }
            let expected = counting(&forks[..=place]);
            let newest = expected.last().unwrap();
            let chain = replay.end().await.chain;
            let expected_end = (replay.positions[&newest.at], newest.first + newest.count);
            assert_eq!((chain.at, chain.next), expected_end, "from {} on", fork.at);
            assert_eq!(followed.chain, chain, "the feed, up to {}", fork.at);
            let positions: Vec<_> = taken.iter().map(|counted| counted.at).collect();
            let known = expected.iter().map(|fork| replay.positions[&fork.at]);
            assert_eq!(positions, known.collect::<Vec<_>>());
        }
    });
}

/// History is read in pieces, each from some number on.
#[test]
fn the_history_of_forks_is_the_same_from_every_number() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        let server = cluster.server(0).await;
        let mut replay = Replay::new(cluster.world.clone());
        let forks = recorded();
        forks.iter().for_each(|fork| replay.append(fork));
        let expected = counting(&forks);
        let end = replay.end().await;
        for from in 1..end.next() {
            for bytes in [1, 500, 1 << 20] {
                let found = history::records(server.shared(), &topic(), from, bytes, &end).await;
                let found = found.unwrap();
                let firsts: Vec<_> = found.iter().map(|record| record.first).collect();
                let owners = found.iter().map(|record| record.groups[0].number);
                let known = expected
                    .iter()
                    .filter(|fork| fork.first + fork.count > from);
                let known: Vec<_> = known.take(found.len()).collect();
                assert!(!found.is_empty(), "from {from} on");
                let known_firsts: Vec<_> = known.iter().map(|fork| fork.first).collect();
                assert_eq!(firsts, known_firsts, "from {from} on");
                assert!(
                    owners.eq(known.iter().map(|fork| fork.at)),
                    "from {from} on"
                );
            }
        }
    });
}

/// The texts that a reader got, whose numbers have no holes.
fn whole(connection: &mut Connection) -> Vec<String> {
    let lines = connection.taken().into_iter();
    let lines = lines.filter(|line| line["extended"].get("registered").is_none());
    let (mut texts, mut next) = (Vec::new(), None);
    for line in lines {
        let (text, seq) = (&line["m"], &line["extended"]["seq"]);
        let (Value::String(text), Some(seq)) = (text, seq.as_u64()) else {
            panic!("{line}");
        };
        assert_eq!(seq, *next.get_or_insert(seq), "{line}");
        next = Some(seq + 1);
        texts.push(text.clone());
    }
    texts
}

/// Members at all servers while the recorded forks are appended, some of whom come in the middle;
/// and what all of them are to get.
async fn attend(faults: Faults) -> (Vec<Connection>, Vec<String>) {
    let cluster = Cluster::start(World::new(7, faults), 0);
    let mut replay = Replay::new(cluster.world.clone());
    let forks = recorded();
    replay.append(&forks[0]);
    let mut members = Vec::new();
    for (place, fork) in forks.iter().enumerate().skip(1) {
        replay.append(fork);
        if place % 4 == 0 {
            let server = cluster.server(place / 4 % SERVERS).await;
            let member = Connection::open(&server, &topic(), &last(1000), place as u64);
            members.push(member);
        }
        sleep(Duration::from_millis(20)).await;
    }
    // What the feed has lost is noticed with the next message.
    say(&*cluster.server(0).await, "last").await;
    sleep(Duration::from_secs(3)).await;
    let mut expected = all_texts(&counting(&forks));
    expected.push("last".into());
    (members, expected)
}

#[test]
fn members_at_all_servers_get_one_branch_of_forks() {
    run(async {
        let faults = Faults {
            feed_interrupted: 0.3,
            feed_doubled: 0.3,
            stale_read: 0.3,
            short_read: 0.5,
            ..Faults::default()
        };
        let (mut members, expected) = attend(faults).await;
        for member in &mut members {
            assert_eq!(whole(member), expected);
        }
    });
}

/// If the feed has brought a rival, and has lost what came before it, nothing shows that at once.
#[test]
fn a_member_who_got_a_message_that_does_not_count_is_sent_away() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        let mut replay = Replay::new(cluster.world.clone());
        let forks = recorded();
        let rival = forks.windows(2).position(|two| two[0].prev == two[1].prev);
        let (lost, rival) = (rival.unwrap(), rival.unwrap() + 1);
        forks[..lost].iter().for_each(|fork| replay.append(fork));
        let server = cluster.server(0).await;
        let mut member = Connection::open(&server, &topic(), &last(1000), 1);
        sleep(Duration::from_secs(2)).await;
        cluster.world.set_faults(|faults| faults.feed_lost = 1.0);
        replay.append(&forks[lost]);
        cluster.world.set_faults(|faults| faults.feed_lost = 0.0);
        replay.append(&forks[rival]);
        sleep(Duration::from_secs(2)).await;
        let mut seen = all_texts(&counting(&forks[..lost]));
        seen.extend(texts_of(&forks[rival]));
        assert_eq!(whole(&mut member), seen);
        forks[rival + 1..]
            .iter()
            .for_each(|fork| replay.append(fork));
        member.closed().await;
        assert_eq!(whole(&mut member), [""; 0]);
        let mut again = Connection::open(&server, &topic(), &last(1000), 2);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(whole(&mut again), all_texts(&counting(&forks)));
    });
}

/// What an owner appends in vain it appends again behind what counts.
#[test]
fn an_owner_whose_record_does_not_count_appends_its_messages_again() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        let server = cluster.server(0).await;
        let mut reader = Connection::open(&*cluster.server(1).await, &topic(), &last(0), 1);
        assert_eq!(texts(&mut reader).await, [""; 0]);
        say(&server, "first").await;
        cluster.world.set_faults(|faults| faults.forked = 1.0);
        let (at, newest) = cluster.world.records("Lab").pop().unwrap();
        let newest = Record::decode(Bytes::from(newest)).unwrap();
        let message = Message {
            lines: Bytes::from_static(b"{\"m\":\"rival\"}\n"),
            ..newest.groups[0].messages[0].clone()
        };
        let rival = Record {
            prev: at,
            first: newest.end(),
            owner: 77,
            groups: vec![Group {
                node: 77,
                number: 1,
                messages: vec![message],
            }],
            ..newest
        };
        cluster.world.force("Lab", &rival.encode());
        // It is on its way before the rival is known.
        let stored = publish(&server, &topic(), "{\"m\":\"again\"}\n", None).await;
        assert_eq!(stored.unwrap().unwrap().seq, 3);
        let all = ["first", "rival", "again"];
        assert_eq!(texts(&mut reader).await, all);
        let mut late = Connection::open(&*cluster.server(2).await, &topic(), &last(9), 2);
        assert_eq!(texts(&mut late).await, all);
    });
}
