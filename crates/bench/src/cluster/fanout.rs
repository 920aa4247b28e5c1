//! A topic whose receivers are at all servers, and the same receivers at one server alone.

use super::Plan;
use super::acks::processor_time;
use super::figures::{Figures, Table};
use super::servers::{COUNT, Cluster};
use crate::contender::{Contender, Setup, System, Variant};
use crate::crowd::{Crowd, Layout};
use crate::measure::Meter;
use crate::output::note;
use crate::servers::Server;
use crate::workloads::{Bounds, MESSAGE, drive_closed};
use anyhow::{Context, Result};
use std::net::SocketAddr;

/// Receivers at each server.
const RECEIVERS: usize = 100;
const QUICK_RECEIVERS: usize = 2;

/// Messages on their way: one, and a burst.
const WINDOWS: [(&str, u64); 2] = [("fanout-3x100-single", 1), ("fanout-3x100-burst", 32)];

/// Who is compared.
const ROWS: [&str; 3] = [
    "three servers",
    "one server on disk",
    "one server in memory",
];

/// Measures the cluster and the single servers in turn.
pub(super) fn measure(cluster: &Cluster, plan: &Plan) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for (name, window) in WINDOWS {
        let about = format!(
            "1 publisher at one server, {RECEIVERS} receivers at each of {COUNT}, {window} \
             messages at a time; the single servers have as many receivers in all"
        );
        let mut table = Table::new(name, &about, &ROWS, Vec::new());
        for round in 1..=plan.rounds {
            note(format_args!("{name}: round {round} of {}", plan.rounds));
            let topic = format!("{name}-{round}");
            let run = of_cluster(cluster, &topic, window, plan)?;
            table.rows[0].runs.push(run);
            for (row, variant) in [(1, Variant::Disk), (2, Variant::Usual)] {
                table.rows[row].runs.push(of_one(variant, window, plan)?);
            }
        }
        tables.push(table);
    }
    Ok(tables)
}

fn of_cluster(cluster: &Cluster, topic: &str, window: u64, plan: &Plan) -> Result<Figures> {
    let (nodes, nats) = (cluster.pids(), cluster.nats_pids());
    run(
        &cluster.addresses(None),
        (&nodes, &nats),
        topic,
        window,
        plan,
    )
}

fn of_one(variant: Variant, window: u64, plan: &Plan) -> Result<Figures> {
    // The options are those of a cluster's server.
    let program = plan.topicserver.program.clone();
    let contender = Contender::new(System::Natter, program);
    let contender = contender.used_as(variant).context("natter can't be so")?;
    let server = Server::start(&contender, Setup::default())?;
    let pids = [server.pid()];
    run(&[server.address()], (&pids, &[]), "fanout", window, plan).with_context(|| server.log())
}

fn run(
    addresses: &[SocketAddr],
    (nodes, nats): (&[u32], &[u32]),
    topic: &str,
    window: u64,
    plan: &Plan,
) -> Result<Figures> {
    let receivers = if plan.is_quick {
        QUICK_RECEIVERS
    } else {
        RECEIVERS
    };
    let layout = Layout {
        topics: 1,
        publishers: 1,
        receivers: receivers * COUNT,
        size: MESSAGE,
    };
    let codec = System::Natter.codec(Variant::Usual);
    let mut crowd = Crowd::gather_at(codec, addresses, layout, topic)?;
    let bounds = Bounds::short(plan.asked);
    drive_closed(&mut crowd, window, bounds.warming_up())?;
    crowd.floor.reset();
    let meters = [nodes, nats].map(|pids| Meter::start(pids.iter().copied()));
    drive_closed(&mut crowd, window, bounds)?;
    let [nodes, nats] = meters.map(|meter| meter.stop());
    crowd.settle()?;
    let floor = &crowd.floor;
    let mut figures = vec![("deliveries/s", floor.deliveries as f64 / nodes.seconds)];
    for (column, percent) in [("p50 µs", 50.0), ("p99 µs", 99.0)] {
        figures.extend(
            floor
                .latencies
                .percentile(percent)
                .map(|value| (column, value)),
        );
    }
    figures.extend(processor_time(&nodes, &nats, floor.deliveries));
    Ok(figures)
}
