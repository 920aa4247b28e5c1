//! One receiver that never reads again: what the others lose. Two servers of
//! the same kind, one with such a reader and one without, take turns many
//! times within the run, because two runs in a row differ by more than is
//! looked for.

use super::closed::drive;
use super::{Bounds, Target};
use crate::crowd::{Crowd, Layout};
use crate::measure::{Meter, Metric, Reading, Sample};
use anyhow::Result;
use std::time::Duration;

/// More than the sockets between server and receiver hold: by then the server
/// has had to decide what to do with the one who doesn't read.
const FILLING: u64 = 8 * 1024 * 1024;
const FILLING_LIMIT: Duration = Duration::from_secs(4);
/// Turns of each of the two.
const TURNS: u32 = 8;

/// One of the two, and what it has measured so far.
struct Half {
    crowd: Crowd,
    pid: Option<u32>,
    reading: Reading,
}

/// Measures `usual` with everybody reading against `burdened` with the last
/// receiver stalled.
pub(super) fn run(
    usual: Target,
    burdened: Target,
    layout: Layout,
    window: u64,
    bounds: Bounds,
) -> Result<Sample> {
    let mut usual = Half::new(usual, layout)?;
    let mut burdened = Half::new(burdened, layout)?;
    let last = burdened.crowd.last_member();
    burdened.crowd.hub.stop_reading(last)?;
    // Both are filled, not only the one that has to be: buffers grow with use.
    usual.fill(layout, window, bounds)?;
    burdened.fill(layout, window, bounds)?;
    let turn = Bounds {
        warm_up: Duration::ZERO,
        time: bounds.time / TURNS,
        messages: bounds.messages / u64::from(TURNS),
    };
    for _ in 0..TURNS {
        usual.take_turn(window, turn)?;
        burdened.take_turn(window, turn)?;
    }
    Ok(compared(&usual.figures()?, burdened.figures()?))
}

impl Half {
    fn new(target: Target, layout: Layout) -> Result<Self> {
        let mut crowd = target.gather(layout)?;
        // The last one isn't waited for where it reads either, so that both
        // halves count the same receivers.
        crowd.stop_counting_last();
        Ok(Self {
            crowd,
            pid: target.pid,
            reading: Reading::default(),
        })
    }

    /// Sends so much that everything is filled that could hide a reader who
    /// doesn't read.
    fn fill(&mut self, layout: Layout, window: u64, bounds: Bounds) -> Result<()> {
        let filling = Bounds {
            warm_up: Duration::ZERO,
            time: FILLING_LIMIT.min(bounds.time * 4),
            messages: FILLING / layout.size as u64,
        };
        drive(&mut self.crowd, window, filling)?;
        self.crowd.floor.reset();
        Ok(())
    }

    fn take_turn(&mut self, window: u64, bounds: Bounds) -> Result<()> {
        let meter = Meter::start(self.pid);
        drive(&mut self.crowd, window, bounds)?;
        self.reading.add(meter.stop());
        Ok(())
    }

    fn figures(&self) -> Result<Sample> {
        self.crowd.settle()?;
        let floor = &self.crowd.floor;
        Ok(self.reading.deliveries(floor.deliveries, &floor.latencies))
    }
}

/// The burdened half's figures, with what it keeps of the usual ones.
fn compared(usual: &Sample, mut burdened: Sample) -> Sample {
    let pairs = [
        (Metric::Throughput, Metric::ThroughputKept),
        (Metric::P99, Metric::P99Kept),
        (Metric::Cpu, Metric::CpuKept),
    ];
    for (metric, kept) in pairs {
        if let (Some(with), Some(without)) = (burdened.get(&metric), usual.get(&metric)) {
            burdened.insert(kept, with / without);
        }
    }
    burdened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_burdened_figure_in_parts_of_the_usual_one() {
        let usual = Sample::from([(Metric::Throughput, 200.0), (Metric::P99, 10.0)]);
        let burdened = Sample::from([(Metric::Throughput, 190.0), (Metric::P99, 11.0)]);
        let sample = compared(&usual, burdened);
        assert_eq!(sample[&Metric::ThroughputKept], 0.95);
        assert_eq!(sample[&Metric::P99Kept], 1.1);
        assert!(!sample.contains_key(&Metric::CpuKept));
    }
}
