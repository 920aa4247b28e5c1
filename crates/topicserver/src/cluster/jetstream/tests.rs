//! The log and the bus on real NATS servers.

mod appending;
mod failing;
mod following;
mod reading;
mod secure;
mod starting;
mod talking;

#[path = "../../../tests/cluster/nats.rs"]
#[allow(
    unreachable_pub,
    dead_code,
    clippy::disallowed_methods,
    reason = "the tests of the program use the rest, and a test polls a process"
)]
mod nats;

use std::time::Duration;

use bytes::Bytes;
use wire::TopicName;

use super::*;
use crate::config::{ClusterDurability, MonitorUrl};
use nats::Nats;

/// Longer than anything takes that goes well.
const LIMIT: Duration = Duration::from_secs(30);

const KEEP_AGE: Duration = Duration::from_secs(24 * 60 * 60);

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

/// The configuration of a server that uses these.
fn config(nats: &Nats) -> ClusterConfig {
    let urls = nats.urls();
    let mut config = ClusterConfig::new(urls.split(',').map(|url| url.parse().unwrap()).collect());
    let monitors = nats.monitors();
    let monitor = |url: &str| url.parse::<MonitorUrl>().unwrap();
    config.monitors = monitors.split(',').map(monitor).collect();
    config.shards = 2;
    config
}

async fn open(nats: &Nats) -> JetStream {
    JetStream::open(&config(nats), KEEP_AGE).await.unwrap().0
}

/// Appends a record, until it is known whether it is there. A busy machine takes its time.
async fn settle(log: &JetStream, topic: &TopicName, prev: u64, id: &str, record: &str) -> Appended {
    let end = tokio::time::Instant::now() + 2 * LIMIT;
    loop {
        let record = Bytes::copy_from_slice(record.as_bytes());
        match log.append(topic, prev, id, record).await {
            Appended::Busy | Appended::Unknown(LogError::Away(_)) => {
                assert!(tokio::time::Instant::now() < end, "{id} stays unknown");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

/// Appends a record, and returns its position.
async fn add(log: &JetStream, topic: &TopicName, prev: u64, id: &str, record: &str) -> u64 {
    match settle(log, topic, prev, id, record).await {
        Appended::At(at) => at,
        other => panic!("{id}: {other:?}"),
    }
}

/// Appends records one behind the other, and returns their positions.
async fn append_all(log: &JetStream, topic: &TopicName, records: &[&str]) -> Vec<u64> {
    let mut positions = Vec::new();
    let mut prev = 0;
    for (number, record) in records.iter().enumerate() {
        prev = add(log, topic, prev, &format!("1:{number}:a"), record).await;
        positions.push(prev);
    }
    positions
}

fn texts(records: &[Located]) -> Vec<(u64, String)> {
    let text = |record: &Located| {
        let text = String::from_utf8(record.record.to_vec()).unwrap();
        (record.at, text)
    };
    records.iter().map(text).collect()
}
