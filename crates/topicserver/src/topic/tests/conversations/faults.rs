//! Faults that conversations have found, each by itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};
use wire::{RegistrationOptions, TopicName};

use super::cluster::{Cluster, SERVERS};
use super::publisher::publish;
use super::reader::Connection;
use super::server::Server;
use crate::cluster::nodes::Owner;
use crate::cluster::record::{Group, Message, Record};
use crate::cluster::simulation::{Faults, Misfortune, World};
use crate::cluster::tail::Counted;
use crate::outbox::tests::endless_outbox;

pub(super) fn run(test: impl Future<Output = ()>) {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

pub(super) fn world() -> World {
    World::new(0, Faults::default())
}

pub(super) fn topic() -> TopicName {
    TopicName::new("Lab").unwrap()
}

/// Publishes one message until it is stored.
pub(super) async fn say(server: &Server, text: &str) {
    let lines = format!("{{\"m\":\"{text}\"}}\n");
    publish(server, &topic(), &lines, None)
        .await
        .unwrap()
        .unwrap();
}

/// The texts of messages that have come, and other events as they are.
pub(super) async fn texts(connection: &mut Connection) -> Vec<String> {
    sleep(Duration::from_secs(2)).await;
    let lines = connection.taken().into_iter();
    let lines = lines.filter(|line| line["extended"].get("registered").is_none());
    lines
        .map(|line| line["m"].as_str().map_or(line.to_string(), str::to_owned))
        .collect()
}

pub(super) fn last(count: u64) -> RegistrationOptions {
    RegistrationOptions {
        last: Some(count),
        ..RegistrationOptions::default()
    }
}

/// When following a topic has failed half way and begins again, records of the first time may come
/// after it.
#[test]
fn a_record_that_comes_to_a_topic_again_is_not_delivered_again() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        let server = cluster.server(0).await;
        let mut reader = Connection::open(&server, &topic(), &last(0), 1);
        reader.registered().await;
        say(&server, "a").await;
        for (at, record) in cluster.world.records("Lab") {
            let record = Record::decode(Bytes::from(record)).unwrap();
            reader.topic.deliver_record(Counted::new(at, record));
        }
        say(&server, "b").await;
        assert_eq!(texts(&mut reader).await, ["a", "b"]);
    });
}

/// A NATS server that ends loses what is on its way to an owner, or the answer.
#[test]
fn what_is_lost_on_its_way_to_the_owner_is_soon_handed_over_again() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        cluster.server(0).await;
        let is_far = |server: &Arc<Server>| server.shared().nodes.owner(&topic()) != Owner::This;
        let server = cluster.living().into_iter().find(is_far).unwrap();
        say(&server, "before").await;
        cluster.world.set_faults(|faults| faults.bus_lost = 1.0);
        let said = tokio::spawn(async move { say(&server, "lost").await });
        sleep(Duration::from_millis(500)).await;
        cluster.world.set_faults(|faults| faults.bus_lost = 0.0);
        let answered = timeout(Duration::from_secs(1), said).await;
        answered.expect("it isn't handed over again").unwrap();
    });
}

/// It joins when its server has read what the log has, so nothing of that may wait for it.
#[test]
fn a_classic_connection_joins_where_several_records_are_still_to_be_read() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        cluster.server(0).await;
        let is_owner = |server: &Arc<Server>| server.shared().nodes.owner(&topic()) == Owner::This;
        let (owners, others): (Vec<_>, Vec<_>) = cluster.living().into_iter().partition(is_owner);
        let mut reader = Connection::open(&others[0], &topic(), &last(0), 1);
        assert_eq!(texts(&mut reader).await, [""; 0]);
        cluster.world.set_faults(|faults| faults.feed_lost = 1.0);
        for text in ["a", "b", "c"] {
            say(&owners[0], text).await;
        }
        let (joined, _) = others[0].registry.join(&topic(), endless_outbox());
        let joining = std::future::poll_fn(|cx| joined.poll_room(cx));
        timeout(Duration::from_secs(5), joining)
            .await
            .expect("it hasn't joined");
        assert_eq!(texts(&mut reader).await, ["a", "b", "c"]);
    });
}

/// What can't be read now isn't lost.
#[test]
fn a_reader_of_old_messages_waits_until_the_log_is_back() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        let server = cluster.server(0).await;
        let _first = Connection::open(&server, &topic(), &last(0), 1);
        let all: Vec<_> = (0..20).map(|number| number.to_string()).collect();
        for text in &all {
            say(&server, text).await;
        }
        cluster.world.suffer(&Misfortune::StopLog);
        let mut second = Connection::open(&server, &topic(), &last(20), 2);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(texts(&mut second).await, [""; 0]);
        cluster.world.suffer(&Misfortune::Heal);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(texts(&mut second).await, all);
    });
}

/// A rival's record behind another one, as nats-server 2.9 took them.
fn rival(newest: &Record, prev: u64, first: u64) -> Record {
    Record {
        prev,
        first,
        owner: 77,
        groups: vec![Group {
            node: 77,
            number: first,
            messages: vec![Message {
                lines: Bytes::from_static(b"{\"m\":\"rival\"}\n"),
                count: 1,
                ..newest.groups[0].messages[0].clone()
            }],
        }],
        ..newest.clone()
    }
}

/// The newest records of the log: where they are, and the last one.
fn newest(cluster: &Cluster) -> (u64, Record) {
    let (at, record) = cluster.world.records("Lab").pop().unwrap();
    (at, Record::decode(Bytes::from(record)).unwrap())
}

/// All servers refuse the same records of a log that takes rivals, and go on behind those that
/// count: also an owner that takes the topic over, and readers that come later.
#[test]
fn a_topic_of_a_log_that_has_forked_goes_on_at_all_servers_alike() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        let mut readers = Vec::new();
        for node in 0..SERVERS {
            let server = cluster.server(node).await;
            readers.push(Connection::open(&server, &topic(), &last(0), node as u64));
        }
        for reader in &mut readers {
            reader.registered().await;
        }
        let mut all = Vec::new();
        for round in 0..4 {
            for node in 0..SERVERS {
                let text = format!("{round} at {node}");
                say(&*cluster.server(node).await, &text).await;
                all.push(text);
            }
            // Two records of a rival, behind the last one but one.
            let (_, record) = newest(&cluster);
            let fork = rival(&record, record.prev, record.first);
            let at = cluster.world.force("Lab", &fork.encode());
            let behind = rival(&record, at, fork.end());
            cluster.world.force("Lab", &behind.encode());
            if round == 2 {
                // The topic has another owner then.
                cluster.kill(0);
                cluster.world.suffer(&Misfortune::Kill(0));
                cluster.world.suffer(&Misfortune::Return(0));
                cluster.start_server(0);
                sleep(Duration::from_secs(5)).await;
            }
        }
        for reader in &mut readers[1..] {
            assert_eq!(texts(reader).await, all);
        }
        say(&*cluster.server(1).await, "last").await;
        all.push("last".into());
        let server = cluster.server(0).await;
        let mut late = Connection::open(&server, &topic(), &last(100), 9);
        assert_eq!(texts(&mut late).await, all);
    });
}

/// Messages of nobody, without ids.
pub(super) fn nameless(lines: String, count: u32) -> Message {
    Message {
        place: 0,
        connection: 1,
        publisher: 0,
        user: None,
        account: None,
        id: None,
        count,
        lines: lines.into(),
    }
}

/// A record with one message, in a row of numbers that doesn't change.
fn plain(prev: u64, first: u64, text: &str) -> Record {
    let message = nameless(format!("{{\"m\":\"{text}\"}}\n"), 1);
    Record {
        epoch: 5,
        first,
        prev,
        owner: 77,
        stamp: 2,
        time: 3,
        groups: vec![Group {
            node: 77,
            number: first,
            messages: vec![message],
        }],
    }
}

/// An owner that was just started doesn't know what the log had before it lost it.
#[test]
fn members_are_sent_away_from_a_topic_that_lost_messages_and_goes_on() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        let force = |record: Record| cluster.world.force("Lab", &record.encode());
        let first = force(plain(0, 1, "a"));
        let server = cluster.server(0).await;
        let mut member = Connection::open(&server, &topic(), &last(9), 1);
        assert_eq!(texts(&mut member).await, ["a"]);
        let second = force(plain(first, 2, "lost"));
        force(plain(second, 3, "lost too"));
        assert_eq!(texts(&mut member).await, ["lost", "lost too"]);
        cluster.world.lose("Lab", 2);
        force(plain(first, 2, "b"));
        member.closed().await;
        let mut again = Connection::open(&server, &topic(), &last(9), 1);
        assert_eq!(texts(&mut again).await, ["a", "b"]);
        say(&server, "c").await;
        assert_eq!(texts(&mut again).await, ["c"]);
    });
}

/// The numbers of a row that the server doesn't know yet say nothing of what it has read.
#[test]
fn who_is_answered_after_a_loss_finds_the_message_there() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        let server = cluster.server(0).await;
        let member = Connection::open(&server, &topic(), &last(0), 1);
        for text in ["a", "b", "c", "d"] {
            say(&server, text).await;
        }
        cluster.world.lose("Lab", 3);
        cluster.world.set_faults(|faults| faults.feed_lost = 1.0);
        say(&server, "after").await;
        // It isn't told of the loss before this server has read what came after it.
        let mut late = Connection::open(&server, &topic(), &last(9), 2);
        member.closed().await;
        assert_eq!(texts(&mut late).await, ["after"]);
    });
}

/// What the log has lost isn't taken for a message that is there.
#[test]
fn a_lost_message_is_stored_when_it_is_sent_again() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        let server = cluster.server(0).await;
        let send = || publish(&server, &topic(), "{\"m\":\"sent\"}\n", Some(("anna", "1")));
        say(&server, "a").await;
        send().await.unwrap().unwrap();
        cluster.world.lose("Lab", 1);
        say(&server, "b").await;
        send().await.unwrap().unwrap();
        let mut reader = Connection::open(&server, &topic(), &last(9), 1);
        assert_eq!(texts(&mut reader).await, ["b", "sent"]);
    });
}

/// It is known what became of the message, so its publisher needn't wait for the rest.
#[test]
fn a_publisher_is_answered_though_its_server_can_not_read() {
    run(async {
        let cluster = Cluster::start(world(), 0);
        for node in 0..SERVERS {
            let server = cluster.server(node).await;
            let _member = Connection::open(&server, &topic(), &last(0), 1);
            say(&server, "a").await;
            // The owner is sure by then that it is the only one.
            sleep(Duration::from_secs(15)).await;
            cluster.world.set_faults(|faults| {
                (faults.feed_lost, faults.lost_read) = (1.0, 1.0);
            });
            let answer = timeout(Duration::from_secs(20), say(&server, "b")).await;
            assert!(answer.is_ok(), "at server {node}");
            cluster
                .world
                .set_faults(|faults| *faults = Faults::default());
            sleep(Duration::from_secs(30)).await;
        }
    });
}
