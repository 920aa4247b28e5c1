//! How long acknowledgements pause when the topicserver is killed that owns their topics.

use super::Plan;
use super::figures::{Aim, Bound, Figures, Measure, Table};
use super::servers::{COUNT, Cluster};
use crate::output::note;
use crate::protocols::extended::Kept;
use crate::workloads::{Bounds, Load, Publishers};
use anyhow::{Context, Result};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Topics of the server that is killed, each with a publisher at another one.
const TOPICS: usize = 4;
/// Topics that are tried to find them: a third of all is each server's.
const CANDIDATES: usize = 500;

/// How long is published before the kill, and in all: well beyond the pause that is aimed at.
const BEFORE: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(9);

/// The longest pause that is aimed at, in seconds.
const LONGEST: f64 = 4.0;
const PAUSE: &str = "longest pause s";

/// Kills each server in turn.
pub(super) fn measure(cluster: &mut Cluster, plan: &Plan) -> Result<Vec<Table>> {
    let about = format!(
        "{TOPICS} publishers, each with 1 message unacknowledged, in topics of a topicserver that \
         is killed (kill -9); they are at the others"
    );
    let aim = Aim {
        column: PAUSE,
        measure: Measure::Greatest,
        bound: Bound::AtMost(LONGEST),
    };
    let mut table = Table::new("failover", &about, &["three servers"], vec![aim]);
    for round in 1..=plan.rounds {
        let victim = round % COUNT;
        note(format_args!("failover: round {round} of {}", plan.rounds));
        table.rows[0].runs.push(kill(cluster, victim, round)?);
        cluster.start_node(victim)?;
        cluster.wait_for_node(victim)?;
    }
    Ok(vec![table])
}

fn kill(cluster: &mut Cluster, victim: usize, round: usize) -> Result<Figures> {
    let candidates = (0..CANDIDATES).map(|number| format!("failover-{round}-{number}"));
    let topics = cluster.owned_by(victim, candidates, TOPICS)?;
    let others = cluster.addresses(Some(victim));
    let topic = |lane: usize| topics[lane].clone();
    let mut publishers = Publishers::gather_at(&Kept, &others, Load::new(TOPICS, 1), &topic)?;
    let server = cluster.take_node(victim)?;
    let bounds = Bounds {
        warm_up: Duration::ZERO,
        time: TIME,
        messages: u64::MAX,
    };
    let (sender, ended) = channel::<()>();
    let driven = std::thread::scope(|scope| {
        let killer = scope.spawn(move || {
            // It is over before if something is wrong.
            let is_time = ended.recv_timeout(BEFORE) == Err(RecvTimeoutError::Timeout);
            let began = Instant::now();
            drop(server);
            is_time.then(|| began.elapsed())
        });
        let driven = publishers.drive(bounds);
        drop(sender);
        driven.map(|()| killer.join())
    });
    let killed = driven.with_context(|| format!("after the death of topicserver {victim}"))?;
    let killed = killed.ok().flatten();
    killed.context("the publishers had ended before the server was killed")?;
    // Each has one message on its way, and sends the next one when that is acknowledged: how long
    // one took is how long its topic paused.
    let longest = publishers.told.latencies.percentile(100.0);
    let longest = longest.context("nothing was acknowledged")?;
    Ok(vec![
        (PAUSE, longest / 1e6),
        ("acks", publishers.told.acknowledged as f64),
    ])
}
