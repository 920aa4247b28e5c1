//! What the log tells of a topic, by the rule of the chain alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;
use wire::TopicName;

use super::cluster::Cluster;
use crate::cluster::chain::{Chain, Verdict};
use crate::cluster::history;
use crate::cluster::record::Record;
use crate::cluster::tail::Tail;

/// All messages of a topic.
#[derive(Default)]
pub(super) struct Told {
    pub(super) epoch: u64,
    /// By their numbers.
    pub(super) messages: BTreeMap<u64, String>,
    /// The records that hold them.
    records: Vec<(u64, Record)>,
}

/// The text of a message that was published as `{"m":text}`.
pub(super) fn text_of(line: &[u8]) -> Option<String> {
    let line: Value = serde_json::from_slice(line).ok()?;
    Some(line.get("m")?.as_str()?.to_owned())
}

impl Told {
    /// What the log has. On a sound log all records count.
    pub(super) fn of(cluster: &Cluster, topic: &TopicName) -> Self {
        let mut told = Self::default();
        let mut chain = Chain::EMPTY;
        for (at, bytes) in cluster.world.records(topic.as_str()) {
            let record = Record::decode(Bytes::from(bytes)).unwrap();
            match chain.judge(at, &record) {
                Verdict::Counts => {}
                Verdict::Begins if chain == Chain::EMPTY => told.epoch = record.epoch,
                verdict => cluster.complain(format!("{topic}: {at} is {verdict:?}: {record:?}")),
            }
            chain = Chain::ending_with(at, &record);
            told.add(at, record);
        }
        told
    }

    fn add(&mut self, at: u64, record: Record) {
        let lines = record.messages().map(|message| &message.lines[..]);
        let lines = lines.flat_map(|lines| lines.split_inclusive(|byte| *byte == b'\n'));
        for (seq, line) in (record.first..).zip(lines) {
            self.messages.insert(seq, text_of(line).unwrap());
        }
        self.records.push((at, record));
    }

    /// The number of the newest message; 0 if there is none.
    pub(super) fn newest(&self) -> u64 {
        self.messages.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// The numbers of the messages with this text: one, if all went well.
    pub(super) fn numbers_of(&self, text: &str) -> Vec<u64> {
        let messages = self.messages.iter();
        let same = messages.filter(|(_, known)| *known == text);
        same.map(|(seq, _)| *seq).collect()
    }
}

/// Each server finds every message in the log.
pub(super) async fn check_history(cluster: &Cluster, topic: &TopicName, told: &Told) {
    for server in cluster.living() {
        let shared = server.shared();
        let until = Instant::now() + shared.patience;
        let end = Tail::load(&*shared.log, topic, None, until, |_| ()).await;
        let Ok(end) = end else {
            cluster.complain(format!("{topic}: the end of the topic isn't found"));
            continue;
        };
        for from in (1..=told.newest() + 1).step_by(7) {
            let found = history::records(shared, topic, from, 2_000, &end).await;
            let expected = told.records.iter().find(|(_, record)| record.end() > from);
            let is_right = match (&found, expected) {
                (Ok(found), Some((_, first))) => found.first() == Some(first),
                (Ok(found), None) => found.is_empty(),
                (Err(_), _) => false,
            };
            if !is_right {
                let found = found.map(|found| found.first().map(|record| record.first));
                cluster.complain(format!("{topic}: from {from} on {found:?} is found"));
            }
        }
        check_times(cluster, shared, topic, told).await;
    }
}

/// Finds messages by their time, where all clocks are right.
async fn check_times(
    cluster: &Cluster,
    shared: &crate::cluster::shared::Shared,
    topic: &TopicName,
    told: &Told,
) {
    let times = told.records.iter().map(|(_, record)| record.time);
    for time in times.step_by(5) {
        let found =
            history::first_since(shared, topic, time, Instant::now() + shared.patience).await;
        let is_later = |(_, record): &&(u64, Record)| record.time >= time && record.count() > 0;
        let first = told.records.iter().find(is_later);
        let expected = first.map(|(_, record)| record.first);
        let is_right = match found {
            // The log's clock may have been moved.
            Ok(Some(found)) => !cluster.seed.is_multiple_of(3) || Some(found) >= expected,
            Ok(None) => expected.is_none(),
            Err(_) => false,
        };
        if !is_right {
            let complaint = format!("{topic}: since {time} {found:?}, not {expected:?}");
            cluster.complain(complaint);
        }
    }
}
