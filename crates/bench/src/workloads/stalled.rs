//! One receiver that never reads again: what the others lose. Both halves run
//! on the same connections, one after the other, because two processes differ
//! by more than is looked for.

use super::closed::{drive, measure};
use super::{Bounds, Target};
use crate::crowd::Layout;
use crate::measure::{Metric, Sample};
use anyhow::Result;
use std::time::Duration;

/// More than the sockets between server and receiver hold: by then the server
/// has had to decide what to do with the one who doesn't read.
const FILLING: u64 = 8 * 1024 * 1024;
const FILLING_LIMIT: Duration = Duration::from_secs(4);

/// Measures with everybody reading, then with the last receiver stalled.
pub(super) fn run(target: Target, layout: Layout, window: u64, bounds: Bounds) -> Result<Sample> {
    let mut crowd = target.gather(layout)?;
    // It isn't waited for in the first half either, so that both halves count
    // the same receivers.
    let stalled = crowd.stop_counting_last();
    let without = measure(&mut crowd, target.pid, window, bounds)?;
    crowd.hub.stop_reading(stalled)?;
    let filling = Bounds {
        time: FILLING_LIMIT.min(bounds.time * 4),
        messages: FILLING / layout.size as u64,
    };
    drive(&mut crowd, window, filling)?;
    let mut sample = measure(&mut crowd, target.pid, window, bounds)?;
    let change = |metric| Some(sample.get(&metric)? / without.get(&metric)?);
    let kept = [
        (Metric::ThroughputKept, change(Metric::Throughput)),
        (Metric::P99Kept, change(Metric::P99)),
    ];
    for (metric, value) in kept {
        if let Some(value) = value {
            sample.insert(metric, value);
        }
    }
    Ok(sample)
}
