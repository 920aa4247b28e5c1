//! Closed loop: a publisher sends its next messages when the former ones have
//! arrived at every receiver. The load is what the server can bear.

use super::Bounds;
use crate::crowd::Crowd;
use crate::measure::{Meter, Sample};
use crate::payload::Kind;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Nothing arriving for so long, while something should, fails the run.
pub(super) const STILLNESS: Duration = Duration::from_secs(10);

/// Warms up, then measures.
pub(crate) fn measure(
    crowd: &mut Crowd,
    pid: Option<u32>,
    window: u64,
    bounds: Bounds,
) -> Result<Sample> {
    drive(crowd, window, bounds.warming_up())?;
    crowd.floor.reset();
    let meter = Meter::start(pid);
    drive(crowd, window, bounds)?;
    let reading = meter.stop();
    crowd.settle()?;
    Ok(reading.deliveries(crowd.floor.deliveries, &crowd.floor.latencies))
}

/// Keeps every publisher busy until the bounds are reached and all has arrived.
pub(crate) fn drive(crowd: &mut Crowd, window: u64, bounds: Bounds) -> Result<()> {
    let started = Instant::now();
    let mut left = bounds.messages;
    crowd.floor.ready.clear();
    for lane in 0..crowd.floor.lanes.len() {
        crowd.send(lane, window, Kind::Data)?;
    }
    let mut busy = crowd.floor.lanes.len();
    let mut ready = Vec::new();
    while busy > 0 {
        await_arrivals(crowd)?;
        std::mem::swap(&mut ready, &mut crowd.floor.ready);
        for lane in ready.drain(..) {
            if left < window || started.elapsed() >= bounds.time {
                busy -= 1;
                continue;
            }
            left -= window;
            crowd.send(lane, window, Kind::Data)?;
        }
    }
    Ok(())
}

/// Returns when something has arrived.
pub(super) fn await_arrivals(crowd: &mut Crowd) -> Result<()> {
    let before = crowd.floor.deliveries;
    let started = Instant::now();
    while crowd.floor.deliveries == before {
        crowd.turn(STILLNESS)?;
        ensure!(
            started.elapsed() < STILLNESS,
            "nothing has arrived for {} s: {} deliveries are missing",
            STILLNESS.as_secs(),
            crowd.floor.outstanding()
        );
    }
    Ok(())
}
