//! Every server and every NATS server of a cluster is restarted, one after the other, as somebody
//! does who upgrades it, while many publish and read. Nobody sees an error, and nothing is lost,
//! doubled or reordered.
//!
//! No error are: that a server asks its clients to leave (`reconnect`, or the `retry` of a stream of
//! events), and says that it ends to those who are still there then (`shutting-down`, or the end of
//! the stream); and that a balancer, which asks `/-/ready`, finds nobody listening at the address to
//! which it would have sent a request.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use crate::chats::{Chatted, is_built, listen, talk};
use crate::failures::check;
use crate::guests::{publish, publish_by_requests, read_events, read_frames};
use crate::harness::{Harness, StopAtEnd, end_topics};
use crate::links::Transport;
use crate::nats::{Nats, Setup, program};
use crate::servers::{COUNT, Cluster};
use crate::witness::Witness;

/// Messages that each publisher and each reader gets on with before the next restart.
const LIFE: u64 = 30;

/// The number of the publisher that is `chat`.
const TALKER: usize = 8;

/// A NATS server's clients have a second to leave, instead of ten, and are closed one a second
/// then, instead of over two minutes.
const SOON: &str = "lame_duck_grace_period: 1s\nlame_duck_duration: 30s";

/// Servers say that they are about to end, and then close connections, over these times.
const ORDERLY: [&str; 4] = ["--drain-announce", "1s", "--drain-spread", "1s"];

#[test]
fn every_server_is_restarted_and_no_client_sees_an_error() {
    let Some(program) = program() else {
        return;
    };
    let setup = Setup {
        more: SOON,
        ..Setup::flushing(COUNT)
    };
    let mut cluster = Cluster::on(Nats::in_memory(&program, setup).unwrap(), &ORDERLY);
    let harness = Harness::new(&cluster, 3, 3 + usize::from(is_built()));
    let witness = Witness::new(&harness);
    let began = Instant::now();
    let (published, read, said, heard) = std::thread::scope(|scope| {
        let _stop = StopAtEnd(&harness);
        let witness = &witness;
        scope.spawn(|| witness.balance());
        let listener = scope.spawn(|| listen(witness.harness, 3));
        let talker = scope.spawn(|| talk(witness.harness, TALKER));
        let publishers = [
            scope.spawn(|| publish(witness, 0, Transport::Tcp)),
            scope.spawn(|| publish_by_requests(witness, 1)),
            scope.spawn(|| publish(witness, 2, Transport::WebSocket)),
        ];
        let readers = [
            scope.spawn(|| read_frames(witness, 0, Transport::Tcp)),
            scope.spawn(|| read_events(witness, 1)),
            scope.spawn(|| read_frames(witness, 2, Transport::WebSocket)),
        ];
        witness.begin("at rest");
        harness.progress(LIFE, "at the start");
        for number in 0..COUNT {
            restart_nats(&mut cluster, witness, number);
            restart_server(&mut cluster, witness, number);
        }
        harness.are_to_finish.store(true, SeqCst);
        let published = publishers.map(|one| one.join().unwrap());
        let said = talker.join().unwrap();
        end_topics(&harness);
        let read = readers.map(|one| one.join().unwrap());
        (published, read, said, listener.join().unwrap())
    });
    witness.report();
    println!("all in all {:.1?}", began.elapsed());
    check(&published, &read);
    check_chats(said.as_ref(), heard.as_ref(), &read[0].texts[0]);
    witness.expect_no_complaint();
}

/// What `chat` says to a person when a server that ends has sent it elsewhere.
const USUAL: [&str; 5] = [
    ": joined T at ",
    " is lost: the server has asked to connect again",
    " is lost: shutting-down: the server is ending",
    ": trying again",
    ": not connected: what is typed is kept and sent later",
];

/// What `chat` said and heard is what others have read.
fn check_chats(said: Option<&Chatted>, heard: Option<&Chatted>, texts: &[String]) {
    let (Some((said, told)), Some((heard, told_too))) = (said, heard) else {
        return;
    };
    let prefix = format!("{TALKER} ");
    let from_chat = texts.iter().filter(|text| text.starts_with(&prefix));
    assert!(from_chat.eq(said), "of chat");
    assert!(heard == texts, "chat read something else");
    for notice in told.iter().chain(told_too) {
        let is_usual = USUAL.iter().any(|usual| notice.contains(usual));
        assert!(is_usual, "chat says: {notice}");
    }
}

fn restart_nats(cluster: &mut Cluster, witness: &Witness<'_>, number: usize) {
    let name = format!("NATS {number} restarts");
    witness.begin(&name);
    let nats = &mut cluster.nats.servers[number];
    nats.retire();
    println!("{name}: ended after {:.1?}", witness.took());
    nats.start();
    cluster.nats.wait();
    println!("{name}: back after {:.1?}", witness.took());
    witness.harness.progress(LIFE, &name);
}

fn restart_server(cluster: &mut Cluster, witness: &Witness<'_>, number: usize) {
    let name = format!("server {number} restarts");
    witness.begin(&name);
    cluster.take_server(number).terminate();
    println!("{name}: ended after {:.1?}", witness.took());
    cluster.start_server(number);
    let is_ready = || witness.is_ready(number).then_some(());
    witness.harness.wait("it to be ready", is_ready);
    println!("{name}: back after {:.1?}", witness.took());
    witness.harness.progress(LIFE, &name);
}
