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
    use crate::contender::{System, Variant};
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    /// A server of one connection that acknowledges each message with what `ack`
    /// makes of its id and its number in the topic.
    fn server(ack: impl Fn(&str, u64) -> String + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || -> std::io::Result<()> {
            let mut peer = listener.accept()?.0;
            let lines = BufReader::new(peer.try_clone()?).lines();
            for (sequence, line) in (0..).zip(lines) {
                let frame: serde_json::Value = serde_json::from_str(&line?)?;
                let answer = match frame["extended"]["id"].as_str() {
                    Some(id) => ack(id, sequence),
                    None => "{\"extended\":{\"registered\":{\"topics\":{}}}}\n".to_owned(),
                };
                peer.write_all(answer.as_bytes())?;
            }
            Ok(())
        });
        address
    }

    fn acknowledgement(id: &str, sequence: u64) -> String {
        format!(
            "{{\"extended\":{{\"ack\":{{\"id\":\"{id}\",\"topic\":\"t-0\",\"seq\":{sequence}}}}}}}\n"
        )
    }

    fn run_against(address: SocketAddr) -> Result<Sample> {
        let target = Target::new(System::Natter, Variant::Usual, address, None);
        let bounds = Bounds {
            time: Duration::from_secs(60),
            messages: 100,
        };
        run(target, 1, 4, bounds)
    }

    fn complaint(ack: impl Fn(&str, u64) -> String + Send + 'static) -> String {
        format!("{:#}", run_against(server(ack)).unwrap_err())
    }

    #[test]
    fn a_server_that_acknowledges_everything_once_gives_figures() {
        let sample = run_against(server(acknowledgement)).unwrap();
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
