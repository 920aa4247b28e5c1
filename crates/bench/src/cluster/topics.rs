//! Very many topics: what they take of each server's memory, and how soon they are served when
//! their server is killed.

use super::Plan;
use super::figures::{Figures, Table};
use super::servers::{COUNT, Cluster};
use crate::output::note;
use crate::proc;
use crate::protocols::extended::Kept;
use crate::workloads::{Bounds, Load, Publishers};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// Connections of a batch, and topics of each: all of a batch have a message unacknowledged at
/// once, each connection well within the topics that one may have.
const CONNECTIONS: usize = 16;
const TOPICS_EACH: usize = 125;
const BATCH: usize = CONNECTIONS * TOPICS_EACH;

/// Topics of the killed server that are published to when it is gone, at most: every tenth of
/// all, where about every third is its own.
const SAMPLE: usize = 1000;
const PART: usize = 10;

/// How long nothing is published before memory is measured again: for longer than a server keeps
/// what it needs to publish to a topic at once (60 s).
const REST: Duration = Duration::from_secs(75);
/// How long a batch is waited for meanwhile.
const PING_WAIT: Duration = Duration::from_millis(10);

/// The server that is killed.
const VICTIM: usize = 0;

/// Makes the topics, measures memory, and kills a server.
pub(super) fn measure(cluster: &mut Cluster, plan: &Plan) -> Result<Vec<Table>> {
    let idle = memories(cluster)?;
    let began = Instant::now();
    let mut figures = Figures::new();
    let mut publishers = make(cluster, plan)?;
    let seconds = began.elapsed().as_secs_f64();
    figures.push(("topics/s", plan.topics as f64 / seconds));
    let busy = memories(cluster)?;
    if !plan.is_quick {
        rest(&mut publishers)?;
    }
    let quiet = memories(cluster)?;
    drop(publishers);
    figures.extend(idle.figures(["empty MB, ours", "empty MB, NATS"]));
    figures.extend(busy.figures(["busy MB, ours", "busy MB, NATS"]));
    figures.extend(quiet.figures(["quiet MB, ours", "quiet MB, NATS"]));
    let disk = cluster.nats_bytes_on_disk().unwrap_or_default();
    figures.extend(greatest(&disk).map(|bytes| ("disk MB, NATS", bytes)));
    figures.extend(take_over(cluster, plan)?);
    cluster.start_node(VICTIM)?;
    cluster.wait_for_node(VICTIM)?;
    let about = format!(
        "{} topics with a member and a message each, over {COUNT} servers; then one is killed, and \
         {} of its topics are published to at once; memory (busy: at once, quiet: {} s later) and \
         disk are those of the largest server",
        plan.topics,
        sample(plan),
        REST.as_secs()
    );
    let mut table = Table::new("topics", &about, &["three servers"], Vec::new());
    table.rows[0].runs.push(figures);
    Ok(vec![table])
}

fn sample(plan: &Plan) -> usize {
    SAMPLE.min(plan.topics / PART)
}

fn topic(number: usize) -> String {
    format!("many-{number}")
}

/// Publishes a message to each topic, batch by batch. Whoever has published stays.
fn make(cluster: &Cluster, plan: &Plan) -> Result<Vec<Publishers>> {
    let addresses = cluster.addresses(None);
    let mut all: Vec<Publishers> = Vec::new();
    for first in (0..plan.topics).step_by(BATCH) {
        note(format_args!("topics: {first} of {}", plan.topics));
        let count = BATCH.min(plan.topics - first);
        let load = load(count);
        let name = |lane: usize| topic(first + lane);
        let mut publishers = Publishers::gather_at(&Kept, &addresses, load, &name)?;
        publishers
            .drive(once(load))
            .with_context(|| format!("publishing to topics {first} to {}", first + count))?;
        all.push(publishers);
        for publishers in &mut all {
            publishers.answer_pings(Duration::ZERO)?;
        }
    }
    Ok(all)
}

/// Publishes nothing for a while, and stays.
fn rest(publishers: &mut [Publishers]) -> Result<()> {
    note(format_args!("topics: resting for {} s", REST.as_secs()));
    let began = Instant::now();
    while began.elapsed() < REST {
        for publishers in &mut *publishers {
            publishers.answer_pings(PING_WAIT)?;
        }
    }
    Ok(())
}

/// As many topics or a few more, each with one message on its way.
fn load(topics: usize) -> Load {
    let connections = CONNECTIONS.min(topics.div_ceil(TOPICS_EACH).max(2));
    let each = topics.div_ceil(connections);
    Load {
        topics: each,
        ..Load::new(connections, each as u64)
    }
}

/// One message to each topic of a load.
fn once(load: Load) -> Bounds {
    Bounds {
        warm_up: Duration::ZERO,
        time: Duration::MAX,
        messages: (load.connections * load.topics) as u64,
    }
}

/// Kills a server, and publishes to its topics at others.
fn take_over(cluster: &mut Cluster, plan: &Plan) -> Result<Figures> {
    let sample = sample(plan);
    note(format_args!("topics: looking for {sample} of a server"));
    let topics = cluster.owned_by(VICTIM, (0..plan.topics).map(topic), sample)?;
    let others = cluster.addresses(Some(VICTIM));
    let load = load(sample);
    // The last connection may have some topics more than there are.
    let name = |lane: usize| match topics.get(lane) {
        Some(topic) => topic.clone(),
        None => format!("more-{lane}"),
    };
    let mut publishers = Publishers::gather_at(&Kept, &others, load, &name)?;
    drop(cluster.take_node(VICTIM)?);
    publishers
        .drive(once(load))
        .context("publishing to the topics of the killed server")?;
    let after = |percent| publishers.told.latencies.percentile(percent);
    let columns = [
        ("first served s", 0.0),
        ("half served s", 50.0),
        ("all served s", 100.0),
    ];
    let figures = columns.map(|(column, percent)| Some((column, after(percent)? / 1e6)));
    Ok(figures.into_iter().flatten().collect())
}

/// Bytes of memory of each server.
struct Memories {
    nodes: Vec<u64>,
    nats: Vec<u64>,
}

impl Memories {
    /// The largest of each kind, in megabytes.
    fn figures(&self, columns: [&'static str; 2]) -> Figures {
        let values = [greatest(&self.nodes), greatest(&self.nats)];
        let named = columns.into_iter().zip(values);
        named
            .filter_map(|(column, value)| Some((column, value?)))
            .collect()
    }
}

fn memories(cluster: &Cluster) -> Result<Memories> {
    let of = |pids: Vec<u32>| -> Option<Vec<u64>> { pids.into_iter().map(proc::memory).collect() };
    Ok(Memories {
        nodes: of(cluster.pids()).unwrap_or_default(),
        nats: of(cluster.nats_pids()).unwrap_or_default(),
    })
}

/// The greatest, in megabytes.
fn greatest(bytes: &[u64]) -> Option<f64> {
    bytes.iter().max().map(|&bytes| bytes as f64 / 1e6)
}
