//! How fast messages are acknowledged: by the cluster, and by JetStream alone on the same NATS
//! servers.

use super::figures::{Aim, Bound, Figures, Measure, Table};
use super::servers::Cluster;
use super::{Plan, stream};
use crate::measure::{Meter, Metric, Reading};
use crate::output::note;
use crate::protocols::extended::Kept;
use crate::protocols::journal::Journal;
use crate::protocols::posts::Posts;
use crate::workloads::{Bounds, Load, Publishers};
use anyhow::Result;
use std::net::SocketAddr;

/// Who publishes what.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    about: &'static str,
    load: Load,
    /// All publish to the same topic, and so over HTTP: over TCP they would receive one another.
    is_one_topic: bool,
}

/// 64 or 1,024 messages are unacknowledged.
const SHAPES: [Shape; 5] = [
    Shape {
        name: "acks-64-of-one",
        about: "1 publisher, 1 topic, 64 messages unacknowledged",
        load: Load::new(1, 64),
        is_one_topic: false,
    },
    Shape {
        name: "acks-1024-of-one",
        about: "1 publisher, 1 topic, 1,024 messages unacknowledged",
        load: Load::new(1, 1024),
        is_one_topic: false,
    },
    Shape {
        name: "acks-64-in-one-topic",
        about: "64 publishers in 1 topic, each with 1 message unacknowledged; ours over HTTP",
        load: Load::new(64, 1),
        is_one_topic: true,
    },
    Shape {
        name: "acks-64-topics",
        about: "64 publishers, each with a topic of its own and 1 message unacknowledged",
        load: Load::new(64, 1),
        is_one_topic: false,
    },
    Shape {
        name: "acks-64x16-topics",
        about: "64 publishers, each with a topic of its own and 16 messages unacknowledged",
        load: Load::new(64, 16),
        is_one_topic: false,
    },
];

/// What acknowledgements of groups are to be better at than single ones, and what that may cost.
const LEAST_RATE: f64 = 3.0;
const MOST_LATENCY: f64 = 2.0;

const RATE: &str = "acks/s";
const MEDIAN: &str = "p50 µs";

/// Measures each shape, ours and bare JetStream in turn.
pub(super) fn measure(cluster: &Cluster, plan: &Plan) -> Result<Vec<Table>> {
    let nats = cluster.nats_addresses();
    stream::create(nats[0])?;
    let tables = SHAPES.iter().map(|&shape| {
        let mut table = Table::new(shape.name, shape.about, &["natter", "JetStream"], aims());
        for round in 1..=plan.rounds {
            note(format_args!(
                "{}: round {round} of {}",
                shape.name, plan.rounds
            ));
            table.rows[0]
                .runs
                .push(of_cluster(cluster, shape, round, plan)?);
            table.rows[1].runs.push(of_jetstream(cluster, shape, plan)?);
        }
        Ok(table)
    });
    let tables = tables.collect();
    stream::delete(nats[0])?;
    tables
}

fn aims() -> Vec<Aim> {
    let ratio = |column, bound| Aim {
        column,
        measure: Measure::Ratio,
        bound,
    };
    vec![
        ratio(RATE, Bound::AtLeast(LEAST_RATE)),
        ratio(MEDIAN, Bound::AtMost(MOST_LATENCY)),
    ]
}

fn of_cluster(cluster: &Cluster, shape: Shape, round: usize, plan: &Plan) -> Result<Figures> {
    let journal: &dyn Journal = if shape.is_one_topic { &Posts } else { &Kept };
    // What is published again under the same id is no new message, so each round has its topics.
    let topic = |lane: usize| match shape.is_one_topic {
        true => format!("{}-{round}", shape.name),
        false => format!("{}-{round}-{lane}", shape.name),
    };
    let before = cluster.counts()?;
    let mut run = run(
        journal,
        &cluster.addresses(None),
        shape.load,
        &topic,
        cluster,
        plan,
    )?;
    let after = cluster.counts()?;
    let appends = after.appends - before.appends;
    run.figures.extend([
        ("messages/append", run.messages as f64 / appends),
        (
            "append µs",
            (after.append_seconds - before.append_seconds) * 1e6 / appends,
        ),
    ]);
    Ok(run.figures)
}

fn of_jetstream(cluster: &Cluster, shape: Shape, plan: &Plan) -> Result<Figures> {
    let topic = |lane: usize| match shape.is_one_topic {
        true => shape.name.to_owned(),
        false => format!("{}-{lane}", shape.name),
    };
    let nats = cluster.nats_addresses();
    let run = run(stream::JOURNAL, &nats, shape.load, &topic, cluster, plan)?;
    Ok(run.figures)
}

/// What one run has given.
struct Run {
    figures: Figures,
    /// All messages, those of the warm-up among them.
    messages: u64,
}

fn run(
    journal: &'static dyn Journal,
    addresses: &[SocketAddr],
    load: Load,
    topic: &dyn Fn(usize) -> String,
    cluster: &Cluster,
    plan: &Plan,
) -> Result<Run> {
    let load = if plan.is_quick { load.quick() } else { load };
    let bounds = Bounds::short(plan.asked);
    let mut publishers = Publishers::gather_at(journal, addresses, load, topic)?;
    publishers.drive(bounds.warming_up())?;
    let warm_up = publishers.told.acknowledged;
    publishers.told.reset();
    let (nodes, nats) = (
        Meter::start(cluster.pids()),
        Meter::start(cluster.nats_pids()),
    );
    publishers.drive(bounds)?;
    let (nodes, nats) = (nodes.stop(), nats.stop());
    let told = &publishers.told;
    let mut figures = vec![(RATE, told.acknowledged as f64 / nodes.seconds)];
    for (column, percent) in [(MEDIAN, 50.0), ("p99 µs", 99.0)] {
        figures.extend(
            told.latencies
                .percentile(percent)
                .map(|value| (column, value)),
        );
    }
    figures.extend(processor_time(&nodes, &nats, told.acknowledged));
    Ok(Run {
        figures,
        messages: warm_up + told.acknowledged,
    })
}

/// Processor time of each kind of server, and of the generator, for each message or delivery.
pub(super) fn processor_time(nodes: &Reading, nats: &Reading, count: u64) -> Figures {
    let each = |reading: &Reading| Some(reading.server_cpu()? * 1e6 / count.max(1) as f64);
    let mut figures = Figures::new();
    figures.extend(each(nodes).map(|value| ("CPU µs, ours", value)));
    figures.extend(each(nats).map(|value| ("CPU µs, NATS", value)));
    let generator = nodes.generator_cpu();
    let generator = generator.map(|seconds| seconds * 1e6 / count.max(1) as f64);
    figures.extend(generator.map(|value| (Metric::GeneratorCpu.describe().heading, value)));
    figures
}
