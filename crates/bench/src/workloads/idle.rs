//! What a connection that has joined a topic and is silent costs the server.

use super::{Asked, Target};
use crate::crowd::Layout;
use crate::measure::{Metric, Sample};
use crate::payload::Kind;
use crate::proc;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Servers give back what joining took a little later: the memory is taken
/// when it has stayed the same for so long, and after `SETTLE_LIMIT` anyway.
const STEADY: Duration = Duration::from_millis(500);
const SETTLE_LIMIT: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

/// Connects the layout and compares the server's memory before and after.
pub(super) fn run(target: Target, layout: Layout) -> Result<Sample> {
    let memory = || target.pid.and_then(proc::memory);
    let before = memory();
    let crowd = target.gather(layout)?;
    let after = steady(memory);
    crowd.settle()?;
    let mut sample = Sample::new();
    if let (Some(before), Some(after)) = (before, after) {
        let connections = (layout.topics * layout.group()) as f64;
        let grown = after.saturating_sub(before) as f64;
        sample.insert(Metric::MemoryPerConnection, grown / connections);
        sample.insert(Metric::Memory, after as f64 / 1e6);
    }
    Ok(sample)
}

/// Bytes that are published while nobody reads: more than the sockets between server and
/// receiver hold.
const ABANDONED: usize = 24 * 1024 * 1024;
/// The same in miniature.
const ABANDONED_QUICK: usize = 512 * 1024;
/// How long a server has to take all of it, while nobody reads.
const TAKING_LIMIT: Duration = Duration::from_secs(60);
/// Messages in one write.
const WINDOW: usize = 32;

/// The same for receivers that have stopped reading, before all are told much.
pub(super) fn run_abandoned(target: Target, layout: Layout, asked: Asked) -> Result<Sample> {
    let memory = || target.pid.and_then(proc::memory);
    let mut crowd = target.gather(layout)?;
    let before = memory();
    for member in 0..=crowd.last_member() {
        if member >= layout.publishers {
            crowd.hub.stop_reading(member)?;
        }
    }
    let bytes = if asked == Asked::Quick {
        ABANDONED_QUICK
    } else {
        ABANDONED
    };
    let started = Instant::now();
    let windows = bytes / layout.size / WINDOW;
    for window in 0..windows {
        crowd.send(0, WINDOW as u64, Kind::Data)?;
        // What the server doesn't take yet follows, and answers are read.
        while crowd.hub.is_sending(0) {
            ensure!(
                started.elapsed() < TAKING_LIMIT,
                "the server took {window} of {windows} writes in {} s",
                TAKING_LIMIT.as_secs()
            );
            crowd.turn(LOOK)?;
        }
        crowd.turn(Duration::ZERO)?;
    }
    let after = steady(memory);
    let mut sample = Sample::new();
    if let (Some(before), Some(after)) = (before, after) {
        let grown = after.saturating_sub(before) as f64;
        sample.insert(Metric::MemoryPerConnection, grown / layout.receivers as f64);
        sample.insert(Metric::Memory, after as f64 / 1e6);
    }
    Ok(sample)
}

fn steady(memory: impl Fn() -> Option<u64>) -> Option<u64> {
    let started = Instant::now();
    let mut last = memory()?;
    let mut since = Instant::now();
    while since.elapsed() < STEADY && started.elapsed() < SETTLE_LIMIT {
        #[expect(
            clippy::disallowed_methods,
            reason = "topicbench waits in a thread of its own, in which nothing else runs"
        )]
        std::thread::sleep(LOOK);
        let now = memory()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Some(last)
}
