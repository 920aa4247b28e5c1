//! The metrics of a cluster's servers are what has happened.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::json;

use topicserver::simulation::{Faults, Misfortune, World};
use topicserver::{AdminAddress, Config};

use crate::Cluster;
use crate::common::{Directory, TestServer, eventually};
use crate::exposition::Metrics;

const PAGE: &str = include_str!("../../../../docs/operations.md");
const DASHBOARD: &str = include_str!("../../../../docs/dashboard.json");
const ALERTS: &str = include_str!("../../../../docs/alerts.yml");

/// Servers whose administrators can be heard.
struct Watched {
    cluster: Cluster,
    directory: Directory,
}

impl Watched {
    fn start(count: usize, faults: Faults) -> Self {
        let directory = Directory::new();
        let config = |node| Config {
            admin: Some(AdminAddress::Unix(socket(&directory, node))),
            ..Config::default()
        };
        let configs: Vec<_> = (0..count).map(config).collect();
        let cluster = Cluster::of(&configs, faults);
        Self { cluster, directory }
    }

    fn server(&self, node: usize) -> &TestServer {
        &self.cluster.servers[node]
    }

    fn metrics(&self, node: usize) -> Metrics {
        let mut stream = UnixStream::connect(socket(&self.directory, node)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{head}");
        Metrics::parse(text)
    }
}

fn socket(directory: &Directory, node: usize) -> PathBuf {
    directory.path().join(format!("admin-{node}"))
}

/// What is counted for the whole process. Each test has one, unless several share it.
#[track_caller]
fn assert_counted(metrics: &Metrics, name: &str, number: usize) {
    let counted = metrics.get(name);
    match std::env::var_os("NEXTEST") {
        Some(_) => assert_eq!(counted, number as f64, "{name}"),
        None => assert!(counted >= number as f64, "{name}: {counted}"),
    }
}

fn topics(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("topic-{number}")).collect()
}

fn records(world: &World, topics: &[String]) -> usize {
    topics.iter().map(|topic| world.records(topic).len()).sum()
}

#[test]
fn appends_and_messages_for_other_owners_are_counted() {
    let watched = Watched::start(3, Faults::default());
    let topics = topics(30);
    let names: Vec<_> = topics.iter().map(String::as_str).collect();
    // It joins when its server knows the others, and so whom to hand over to.
    let (mut publisher, _) = watched.server(0).extended(&names, json!({}));
    for topic in &topics {
        for number in 0..3 {
            let id = format!("{topic}-{number}");
            publisher.say_with_id(topic, "hello", &id);
            publisher.expect_ack(topic, &id);
        }
    }
    let owned = || [0, 1, 2].map(|node| watched.metrics(node).get("natter_cluster_owned_topics"));
    let owned = eventually("all servers to know each other", || {
        let owned = owned();
        (owned.iter().sum::<f64>() == 30.0).then_some(owned)
    });
    assert!(owned.iter().all(|number| *number >= 1.0), "{owned:?}");
    let metrics = watched.metrics(0);
    // Three for each topic, and one with which it has begun.
    let appended = records(&watched.cluster.world, &topics);
    assert_eq!(appended, 30 * 4);
    assert_counted(&metrics, "natter_cluster_append_seconds_count", appended);
    assert_counted(&metrics, "natter_cluster_holes_total", 0);
    let elsewhere = (owned[1] + owned[2]) as usize;
    assert_counted(&metrics, "natter_cluster_forwarded_total", 3 * elsewhere);
}

#[test]
fn what_a_feed_has_lost_is_counted_as_a_hole() {
    let faults = Faults {
        feed_lost: 1.0,
        ..Faults::default()
    };
    let watched = Watched::start(2, faults);
    let (mut publisher, _) = watched.server(0).extended(&["t"], json!({}));
    let (mut reader, _) = watched.server(1).extended(&["t"], json!({}));
    for number in 1..=5_u64 {
        let text = number.to_string();
        publisher.say_with_id("t", &text, &text);
        assert_eq!(publisher.expect_ack("t", &text), number);
        reader.expect_delivered("t", &text, number);
    }
    // Each of the two servers has read each of them in the log.
    let metrics = watched.metrics(0);
    assert_counted(&metrics, "natter_cluster_holes_total", 10);
}

#[test]
fn a_log_that_is_away_is_seen_and_one_that_is_back() {
    let watched = Watched::start(1, Faults::default());
    let quorum = || watched.metrics(0).get("natter_cluster_quorum");
    assert_eq!(quorum(), 1.0);
    watched.cluster.world.suffer(&Misfortune::StopLog);
    eventually("the log to be missed", || (quorum() == 0.0).then_some(()));
    watched.cluster.world.suffer(&Misfortune::Heal);
    eventually("the log to be back", || (quorum() == 1.0).then_some(()));
}

/// The names of the cluster's metrics in a text, without what a histogram adds.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let words = words.filter(|word| word.starts_with("natter_cluster_"));
    words
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word).to_owned())
        .collect()
}

/// The other metrics are compared where a server without a cluster shows them.
#[test]
fn the_metrics_of_a_cluster_are_on_the_page_and_on_the_dashboard() {
    let watched = Watched::start(1, Faults::default());
    let metrics = watched.metrics(0);
    let there = metrics
        .types
        .iter()
        .map(|(name, kind)| match kind.as_str() {
            "counter" => format!("{name}_total"),
            _ => name.clone(),
        });
    let there: BTreeSet<_> = there
        .filter(|name| name.starts_with("natter_cluster_"))
        .collect();
    assert_eq!(there.len(), 5);
    assert_eq!(names(PAGE), there);
    assert_eq!(names(DASHBOARD), there);
    let unknown: Vec<_> = names(ALERTS).difference(&there).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
