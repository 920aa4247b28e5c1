//! Open loop: messages leave at fixed times whether or not earlier ones have
//! arrived, and each latency counts from the time at which the message should
//! have left, so that a stall is charged to all whom it delays.

use super::closed::await_arrivals;
use super::{Bounds, Target};
use crate::crowd::{Crowd, Layout};
use crate::hub::Clock;
use crate::measure::{Meter, Sample};
use crate::payload::{Kind, Stamp, Template};
use crate::protocols::Codec;
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A thread that sleeps wakes up to so much late; the rest is spent watching
/// the clock.
const TIMER_SLACK: Duration = Duration::from_micros(80);
/// A publisher whose socket takes nothing for so long fails the run.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Seconds of the load before anything is counted.
const WARM_UP: f64 = 0.25;

/// Sends at `per_second` for the time of `bounds`.
pub(super) fn run(
    target: Target,
    layout: Layout,
    per_second: u64,
    bounds: Bounds,
) -> Result<Sample> {
    let mut crowd = target.gather(layout)?;
    let count = |seconds: f64| ((seconds * per_second as f64) as u64).clamp(1, bounds.messages);
    drive(&mut crowd, per_second, count(WARM_UP))?;
    crowd.floor.reset();
    let meter = Meter::start(target.pid);
    drive(&mut crowd, per_second, count(bounds.time.as_secs_f64()))?;
    let reading = meter.stop();
    crowd.settle()?;
    Ok(reading.deliveries(crowd.floor.deliveries, &crowd.floor.latencies))
}

fn drive(crowd: &mut Crowd, per_second: u64, messages: u64) -> Result<()> {
    let lane = &crowd.floor.lanes[0];
    let publisher = Publisher {
        stream: crowd.hub.writer(lane.member)?,
        codec: crowd.hub.codec,
        clock: crowd.hub.clock,
        topic: lane.topic.clone(),
        template: lane.template.clone(),
        first: lane.sequence,
        messages,
        period: Duration::from_secs(1) / u32::try_from(per_second).context("the rate")?,
    };
    crowd.floor.expect(0, messages);
    let thread = std::thread::spawn(move || publisher.publish());
    while crowd.floor.outstanding() > 0 {
        await_arrivals(crowd)?;
    }
    match thread.join() {
        Ok(result) => result,
        Err(_) => bail!("the publisher's thread panicked"),
    }
}

/// The thread that keeps the times.
struct Publisher {
    stream: TcpStream,
    codec: &'static dyn Codec,
    clock: Clock,
    topic: String,
    template: Template,
    /// The first sequence number to send.
    first: u64,
    messages: u64,
    period: Duration,
}

impl Publisher {
    fn publish(mut self) -> Result<()> {
        let (start, began) = (Instant::now(), self.clock.now());
        let mut bytes = Vec::new();
        let mut intended = Duration::ZERO;
        for sequence in self.first..self.first + self.messages {
            sleep_until(start + intended);
            let stamp = Stamp {
                kind: Kind::Data,
                lane: 0,
                sequence,
                time: began + u64::try_from(intended.as_nanos())?,
            };
            bytes.clear();
            let payload = self.template.stamped(stamp);
            self.codec.publish(&self.topic, payload, &mut bytes);
            write_all(&mut self.stream, &bytes)?;
            intended += self.period;
        }
        Ok(())
    }
}

fn sleep_until(time: Instant) {
    let left = time.saturating_duration_since(Instant::now());
    if left > TIMER_SLACK {
        #[expect(
            clippy::disallowed_methods,
            reason = "topicbench waits in a thread of its own, in which nothing else runs"
        )]
        std::thread::sleep(left - TIMER_SLACK);
    }
    while Instant::now() < time {
        std::hint::spin_loop();
    }
}

/// Writes to a socket that doesn't block because its other handle mustn't.
fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) -> Result<()> {
    let started = Instant::now();
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if started.elapsed() > WRITE_LIMIT {
                    bail!(
                        "the server has read nothing for {} s",
                        WRITE_LIMIT.as_secs()
                    );
                }
                #[expect(
                    clippy::disallowed_methods,
                    reason = "topicbench waits in a thread of its own, in which nothing else runs"
                )]
                std::thread::sleep(TIMER_SLACK);
            }
            Err(error) => return Err(error).context("publishing"),
        }
    }
    Ok(())
}
