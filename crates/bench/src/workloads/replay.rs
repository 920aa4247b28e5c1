//! Reading back: one reader that comes late and wants all that a topic has kept.

use super::closed::STILLNESS;
use super::publishers::{Load, Publishers, topic};
use super::{Bounds, Target};
use crate::hub::Hub;
use crate::measure::{Meter, Metric, Reading, Sample, renamed};
use crate::payload::read_stamp;
use crate::protocols::journal::{Position, Reader};
use crate::protocols::shown;
use crate::receipts::ensure_after;
use crate::stats::Latencies;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// Unacknowledged messages of the publisher that fills the topic.
const FILLING: u64 = 1000;

/// Fills a topic with `messages`, and has fresh readers read all of them until
/// the time of `bounds` is over: at least one.
pub(super) fn run(target: Target, messages: u64, bounds: Bounds) -> Result<Sample> {
    let mut publishers = Publishers::gather(target, Load::new(1, FILLING))?;
    let filling = Bounds {
        warm_up: Duration::ZERO,
        time: Duration::MAX,
        messages,
    };
    publishers.drive(filling).context("filling the topic")?;
    let mut reading = Reading::default();
    let mut replayed = 0;
    while replayed == 0 || reading.seconds < bounds.time.as_secs_f64() {
        reading.add(read_back(target, messages)?);
        replayed += messages;
    }
    let names = [
        (Metric::Throughput, Metric::Replayed),
        (Metric::Cpu, Metric::CpuPerReplayed),
    ];
    let sample = reading.deliveries(replayed, &Latencies::new()?);
    Ok(renamed(sample, &names))
}

/// What one reader has read.
struct Progress {
    reader: Box<dyn Reader>,
    /// Messages that have arrived.
    arrived: u64,
    last: Option<Position>,
    /// What asks the server for more.
    request: Vec<u8>,
}

/// Reads the topic from its beginning to its end, over a separate connection.
fn read_back(target: Target, messages: u64) -> Result<Reading> {
    let journal = target.journal()?;
    let mut hub = Hub::new(journal, target.address)?;
    let member = hub.connect()?;
    let mut progress = Progress {
        reader: journal.reader(&topic(0), messages),
        arrived: 0,
        last: None,
        request: Vec::new(),
    };
    let meter = Meter::start(target.pid);
    progress.reader.begin(&mut progress.request);
    let mut heard = Instant::now();
    while progress.arrived < messages {
        if !progress.request.is_empty() {
            hub.send(member, &progress.request)?;
            progress.request.clear();
        }
        let before = progress.arrived;
        hub.turn(STILLNESS, &mut |_, _, arrival| progress.enter(arrival))?;
        if progress.arrived > before {
            heard = Instant::now();
        }
        ensure!(
            heard.elapsed() < STILLNESS,
            "nothing has arrived for {} s: {before} of {messages} messages were read back",
            STILLNESS.as_secs()
        );
    }
    let reading = meter.stop();
    ensure!(
        progress.arrived == messages,
        "{} messages were read back, and {messages} are there",
        progress.arrived
    );
    Ok(reading)
}

impl Progress {
    /// Checks that what has arrived is the next message, if it is one.
    fn enter(&mut self, arrival: &[u8]) -> Result<()> {
        let Some((position, payload)) = self.reader.take(arrival, &mut self.request)? else {
            return Ok(());
        };
        let stamp = read_stamp(payload)
            .with_context(|| format!("this is not what was published: {}", shown(payload)))?;
        ensure!(
            stamp.sequence == self.arrived,
            "message {} was read back where {} should be",
            stamp.sequence,
            self.arrived
        );
        ensure_after(position, self.last)?;
        self.last = Some(position);
        self.arrived += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::fake::Fake;

    fn run_against(copies: fn(usize) -> usize) -> Result<Sample> {
        let fake = Fake {
            copies,
            ..Fake::sound()
        };
        let bounds = Bounds {
            warm_up: Duration::ZERO,
            time: Duration::ZERO,
            messages: u64::MAX,
        };
        run(fake.start(), 3000, bounds)
    }

    fn complaint(copies: fn(usize) -> usize) -> String {
        format!("{:#}", run_against(copies).unwrap_err())
    }

    #[test]
    fn a_replay_of_every_message_once_gives_figures() {
        let sample = run_against(|_| 1).unwrap();
        assert!(sample[&Metric::Replayed] > 0.0);
    }

    #[test]
    fn a_replay_that_loses_or_doubles_a_message_fails_the_run() {
        let lost = complaint(|sequence| usize::from(sequence != 2000));
        assert!(lost.contains("sequence number 2001 after 1999"), "{lost}");
        let doubled = complaint(|sequence| 1 + usize::from(sequence == 2000));
        assert!(
            doubled.contains("sequence number 2000 after 2000"),
            "{doubled}"
        );
    }
}
