//! Publishing with an acknowledgement: how fast a server keeps what it is given,
//! and how soon it says so.

use super::closed::WARM_UP;
use super::publishers::Publishers;
use super::{Bounds, Target};
use crate::measure::{Meter, Metric, Sample, renamed};
use anyhow::Result;

/// Has `publishers` each keep `window` messages unacknowledged.
pub(super) fn run(
    target: Target,
    publishers: usize,
    window: u64,
    bounds: Bounds,
) -> Result<Sample> {
    let mut publishers = Publishers::gather(target, publishers)?;
    let warm_up = Bounds {
        time: bounds.time / WARM_UP,
        ..bounds
    };
    publishers.drive(window, warm_up)?;
    publishers.told.reset();
    let meter = Meter::start(target.pid);
    publishers.drive(window, bounds)?;
    let reading = meter.stop();
    let told = &publishers.told;
    let names = [
        (Metric::Throughput, Metric::Acks),
        (Metric::Cpu, Metric::CpuPerAck),
    ];
    let sample = reading.deliveries(told.acknowledged, &told.latencies);
    Ok(renamed(sample, &names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::fake::{Fake, acknowledgement};
    use std::time::Duration;

    fn run_against(fake: Fake) -> Result<Sample> {
        let bounds = Bounds {
            time: Duration::from_secs(60),
            messages: 100,
        };
        run(fake.start(), 1, 4, bounds)
    }

    fn complaint(ack: fn(&str, usize) -> String) -> String {
        let fake = Fake {
            ack,
            ..Fake::sound()
        };
        format!("{:#}", run_against(fake).unwrap_err())
    }

    #[test]
    fn a_server_that_acknowledges_everything_once_gives_figures() {
        let sample = run_against(Fake::sound()).unwrap();
        assert!(sample[&Metric::Acks] > 0.0 && sample[&Metric::P99] > 0.0);
        assert!(!sample.contains_key(&Metric::Throughput));
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
