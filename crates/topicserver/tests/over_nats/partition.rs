//! One of three machines, each with a server and a NATS server, is cut off from the others: its
//! clients are told, the others go on, and afterwards all have one order.

use std::time::Instant;

use serde_json::{Value, json};

use crate::failures::among_all;
use crate::harness::{Harness, LIMIT, THE_END, TOPICS};
use crate::links::{Link, Transport};
use crate::nats::{Nats, program};
use crate::network::Network;
use crate::publishers::Publisher;
use crate::servers::{COUNT, Cluster};
use crate::witness::{Outcome, request};

/// Messages that each publisher and each subscriber gets on with in each state of the network.
const LIFE: u64 = 30;

#[test]
#[ignore = "long: it takes more than a minute, and root"]
fn a_machine_that_is_cut_off_delivers_nothing_and_then_has_the_same_order() {
    let Some(network) = Network::new() else {
        println!("skipped: it takes root and network namespaces");
        return;
    };
    let Some(program) = program() else {
        return;
    };
    let nats = Nats::on(&program, &network.machines()).unwrap();
    let cluster = Cluster::on_machines(nats, network.doors(), &["--ping-interval", "1"]);
    let harness = Harness::new(&cluster, 3, 3);
    // Not by requests: their ids are kept for the address that they come from, and each machine
    // sees another one.
    let second = || Publisher::new(&harness, 1, Transport::Tcp).run();
    among_all(&harness, second, |harness| {
        harness.progress(LIFE, "at the start");
        // One that leads a stream, and one that may lead none.
        for island in [cluster.leader(0), (cluster.leader(0) + 1) % COUNT] {
            cut(&network, &cluster, harness, island);
        }
    });
}

/// Cuts a machine off, and joins it again.
fn cut(network: &Network, cluster: &Cluster, harness: &Harness, island: usize) {
    let mut islander = Islander::new(cluster, island);
    let began = Instant::now();
    network.cut(island, true);
    islander.expect("no-quorum", |frame| {
        frame["extended"]["notice"]["code"] == "no-quorum"
    });
    println!(
        "the clients of machine {island} were told after {:.1?}",
        began.elapsed()
    );
    let ready = request(cluster.addr(island), "GET", "/-/ready", "");
    let Outcome::Answered(503, body) = ready else {
        panic!("{ready:?}");
    };
    assert_eq!(body["because"], json!(["no-quorum"]), "{body}");
    let before = islander.seq;
    harness.progress(LIFE, "while a machine is cut off");
    println!("the others went on after {:.1?}", began.elapsed());
    let path = format!("/{}?id=island-{island}&user=islander", TOPICS[0]);
    let refused = request(cluster.addr(island), "POST", &path, "from the island");
    let Outcome::Answered(503, body) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(body["error"]["code"], "no-quorum", "{body}");
    assert_eq!(
        islander.seq, before,
        "something was delivered on the island"
    );
    let healed = Instant::now();
    network.cut(island, false);
    islander.expect("quorum", |frame| {
        frame["extended"]["notice"]["code"] == "quorum"
    });
    // It gets everything that it has missed, at its place.
    islander.expect("the newest", |frame| frame["message"]["topic"] == TOPICS[0]);
    println!(
        "they were told {:.1?} after it was joined again",
        healed.elapsed()
    );
    cluster.nats.wait();
    harness.progress(LIFE, "after a machine was joined again");
}

/// A client that stays at the server of a machine, whatever happens.
struct Islander {
    link: Link,
    /// How far it has read the first topic.
    seq: u64,
}

impl Islander {
    fn new(cluster: &Cluster, island: usize) -> Self {
        let mut link = Link::connect(cluster.addr(island), Transport::Tcp).unwrap();
        let options = json!({"client": format!("islander {island}")});
        let answer = link.register(&TOPICS[..1], &options).unwrap();
        let seq = answer["topics"][TOPICS[0]]["seq"].as_u64().unwrap();
        let mut islander = Self { link, seq };
        islander.expect("a message", |frame| frame["message"]["topic"] == TOPICS[0]);
        islander
    }

    /// The first frame that is wanted.
    fn expect(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            let Some(frame) = self.link.frame() else {
                continue;
            };
            if frame["message"]["topic"] == TOPICS[0] {
                self.seq += 1;
                assert_eq!(frame["extended"]["seq"], self.seq, "{frame}");
                assert_ne!(frame["message"]["text"], THE_END);
            }
            if is_it(&frame) {
                return frame;
            }
        }
        panic!("waited {LIMIT:?} for {what}; read {} messages", self.seq);
    }
}
