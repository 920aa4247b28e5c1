//! Publishing with an acknowledgement: how fast a server keeps what it is given,
//! and how soon it says so.

use super::publishers::{Load, Publishers};
use super::{Bounds, Target};
use crate::measure::{Meter, Metric, Sample, renamed};
use crate::proc;
use anyhow::Result;

/// Has the load's publishers keep their messages unacknowledged until the bounds
/// are reached.
pub(super) fn run(target: Target, load: Load, bounds: Bounds) -> Result<Sample> {
    let mut publishers = Publishers::gather(target, load)?;
    if !bounds.warm_up.is_zero() {
        publishers.drive(bounds.warming_up())?;
    }
    publishers.told.reset();
    let meter = Meter::start(target.pid);
    publishers.drive(bounds)?;
    let reading = meter.stop();
    let told = &publishers.told;
    let names = [
        (Metric::Throughput, Metric::Acks),
        (Metric::Cpu, Metric::CpuPerAck),
    ];
    let sample = reading.deliveries(told.acknowledged, &told.latencies);
    let mut sample = renamed(sample, &names);
    sample.insert(
        Metric::LongestPause,
        told.pauses.longest.as_secs_f64() * 1e3,
    );
    if let Some(text) = load.text {
        let megabytes = told.acknowledged as f64 * text as f64 / 1e6;
        sample.insert(Metric::Kept, megabytes / reading.seconds);
    }
    let peak = target.pid.and_then(proc::peak_memory);
    sample.extend(peak.map(|bytes| (Metric::PeakMemory, bytes as f64 / 1e6)));
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::fake::{Fake, acknowledgement};
    use crate::workloads::length::count;
    use crate::workloads::{Asked, Shape, Workload};
    use std::time::Duration;

    fn run_against(fake: Fake) -> Result<Sample> {
        let bounds = Bounds {
            warm_up: Duration::from_secs(60),
            time: Duration::from_secs(60),
            messages: 100,
        };
        run(fake.start(), Load::new(1, 4), bounds)
    }

    fn complaint(ack: fn(&str, usize) -> String) -> String {
        let fake = Fake {
            ack,
            ..Fake::sound()
        };
        format!("{:#}", run_against(fake).unwrap_err())
    }

    #[test]
    fn a_publisher_sends_to_its_topics_in_turn() {
        let load = Load {
            topics: 20,
            text: Some(300),
            ..Load::new(1, 4)
        };
        let bounds = Bounds {
            warm_up: Duration::ZERO,
            time: Duration::from_secs(60),
            messages: 100,
        };
        // Of a hundred messages, the last of topic 7 is its number 4.
        let fake = Fake {
            ack: |id, sequence| acknowledgement(id, sequence).repeat(1 + usize::from(id == "p7-4")),
            ..Fake::sound()
        };
        let text = format!("{:#}", run(fake.start(), load, bounds).unwrap_err());
        assert!(text.contains("message 4 was acknowledged twice"), "{text}");
        let sample = run(Fake::sound().start(), load, bounds).unwrap();
        let kept = sample[&Metric::Acks] * 300.0 / 1e6;
        assert!((sample[&Metric::Kept] / kept - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_server_that_acknowledges_everything_once_gives_figures() {
        let sample = run_against(Fake::sound()).unwrap();
        assert!(sample[&Metric::Acks] > 0.0 && sample[&Metric::P99] > 0.0);
        assert!(!sample.contains_key(&Metric::Throughput));
    }

    /// One publisher's run, judged by a workload that allows no longer pause.
    fn judged(fake: Fake, longest_pause: Duration) -> (Sample, Result<()>) {
        let workload = Workload {
            // The one before is read before the next one is withheld.
            shape: Shape::Acks(Load::new(1, 1)),
            longest_pause: Some(longest_pause),
            length: count(100),
            ..Workload::named("publish-ack-64-sustained").unwrap()
        };
        let sample = workload.run(&[fake.start()], Asked::Nothing).unwrap();
        let verdict = workload.judge(&sample);
        (sample, verdict)
    }

    /// How long the fake server of these tests stands still.
    const WITHHELD: Duration = Duration::from_millis(50);

    #[test]
    fn a_server_that_withholds_an_acknowledgement_fails_the_run_and_the_pause_is_told() {
        let withholding = Fake {
            ack: |id, sequence| {
                if id == "p0-40" {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "topicbench waits in a thread of its own, in which nothing else runs"
                    )]
                    std::thread::sleep(WITHHELD);
                }
                acknowledgement(id, sequence)
            },
            ..Fake::sound()
        };
        let (sample, verdict) = judged(withholding, WITHHELD / 5);
        assert!(sample[&Metric::LongestPause] >= 50.0, "{sample:?}");
        let text = verdict.unwrap_err().to_string();
        assert!(text.contains("nothing was acknowledged for"), "{text}");
        assert!(text.contains("allows 10 ms"), "{text}");
    }

    #[test]
    fn a_server_that_goes_on_acknowledging_passes_with_its_longest_pause() {
        let (sample, verdict) = judged(Fake::sound(), Duration::from_secs(60));
        verdict.unwrap();
        assert!(sample[&Metric::LongestPause] > 0.0);
    }

    #[test]
    fn a_pause_in_the_warm_up_counts_too() {
        let withholding = Fake {
            ack: |id, sequence| {
                if id == "p0-0" {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "topicbench waits in a thread of its own, in which nothing else runs"
                    )]
                    std::thread::sleep(WITHHELD);
                }
                acknowledgement(id, sequence)
            },
            ..Fake::sound()
        };
        let sample = run_against(withholding).unwrap();
        assert!(sample[&Metric::LongestPause] >= 50.0, "{sample:?}");
    }

    #[test]
    fn a_server_that_doubles_an_acknowledgement_fails_the_run() {
        let text = complaint(|id, sequence| {
            acknowledgement(id, sequence).repeat(1 + usize::from(id == "p0-40"))
        });
        assert!(text.contains("message 40 was acknowledged twice"), "{text}");
    }

    #[test]
    fn a_server_that_leaves_an_acknowledgement_out_fails_the_run() {
        let text = complaint(|id, sequence| {
            acknowledgement(id, sequence).repeat(usize::from(id != "p0-40"))
        });
        assert!(
            text.contains("messages 40 to 40 were not acknowledged"),
            "{text}"
        );
    }

    #[test]
    fn a_server_that_gives_a_number_again_fails_the_run() {
        let text = complaint(|id, sequence| acknowledgement(id, sequence.min(40)));
        assert!(
            text.contains("a message has the position (40, 0)"),
            "{text}"
        );
    }

    #[test]
    fn an_error_in_the_place_of_an_acknowledgement_fails_the_run() {
        let text = complaint(|_, _| {
            "{\"extended\":{\"error\":{\"code\":\"storage-full\",\"text\":\"\"}}}\n".to_owned()
        });
        assert!(text.contains("storage-full"), "{text}");
    }
}
