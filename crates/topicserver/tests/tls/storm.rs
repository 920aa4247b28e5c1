//! Everybody comes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Process, eventually};
use crate::server;

/// Clients that come at once.
const CROWD: usize = 2_000;

/// Threads by which they come.
const THREADS: usize = 50;

const RECEIVERS: usize = 100;

/// How long messages take to the last of all receivers, while something goes on.
fn delays(server: &Process, mut goes_on: impl FnMut() -> bool) -> Vec<Duration> {
    let mut publisher = server.join(&["t"]);
    let mut receivers: Vec<_> = (0..RECEIVERS).map(|_| server.join(&["t"])).collect();
    let mut delays = Vec::new();
    while goes_on() {
        let sent = Instant::now();
        publisher.say("t", "x");
        for receiver in &mut receivers {
            receiver.expect("t", "x");
        }
        delays.push(sent.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    delays.sort_unstable();
    delays
}

fn print(what: &str, delays: &[Duration]) {
    let at = |part: f64| delays[((delays.len() - 1) as f64 * part) as usize];
    println!(
        "{what}: {} messages, p50 {:?}, p99 {:?}, longest {:?}",
        delays.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// Prints figures: `cargo nextest run --release --run-ignored all -E 'test(handshakes_at_once)'
/// --no-capture`.
#[test]
#[ignore = "takes a quiet machine"]
fn two_thousand_handshakes_at_once_delay_messages_a_little() {
    let server = Process::start(&["--tls-self-signed"]);
    let start = Instant::now();
    let calm = delays(&server, || start.elapsed() < Duration::from_secs(3));
    print("calm", &calm);
    let addr = server.v4();
    let done = Arc::new(AtomicBool::new(false));
    let crowd = {
        let done = done.clone();
        std::thread::spawn(move || {
            let start = Instant::now();
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    std::thread::spawn(move || {
                        let join = |_| server::join(addr, "other");
                        (0..CROWD / THREADS).map(join).collect::<Vec<_>>()
                    })
                })
                .collect();
            let clients: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
            println!("{CROWD} clients were there after {:?}", start.elapsed());
            done.store(true, Ordering::SeqCst);
            clients
        })
    };
    let busy = delays(&server, || !done.load(Ordering::SeqCst));
    print("with 2,000 handshakes", &busy);
    drop(crowd.join().unwrap());
}
