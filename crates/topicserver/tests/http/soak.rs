//! The long run: rounds of load through all transports, with clients that come and go, read
//! slowly, are killed, or leave half a request. After each round everybody is gone, and the
//! server must be as it was: memory, descriptors and the processor time of doing nothing
//! must not creep: of the rounds after a warm-up, the last half is compared with the first.
//!
//! `scripts/soak [MINUTES]` runs it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::common::{Client, Directory, Process, eventually, read_some};
use crate::requests::Http;

/// How long a round's load lasts.
const LOAD: Duration = Duration::from_secs(8);

/// How long the server has nothing to do after it, while that is measured.
const REST: Duration = Duration::from_secs(2);

/// The part of the rounds before memory is full of what may be kept: those aren't compared.
const WARM_UP_PART: usize = 3;

/// From so many minutes on the history is on disk. The database's tables in memory grow for
/// longer than a short run takes, to 64 MiB and more.
const MINUTES_FOR_DISK: f64 = 20.0;

/// By how much more memory there may be in the last half of the rounds than in the first:
/// the allocator's own unevenness.
const MEMORY_SLACK: f64 = 1.10;

/// The share of a processor that a server takes that has nothing to do, at most.
const IDLE: f64 = 0.02;

/// How long a client waits for more.
const PATIENCE: Duration = Duration::from_millis(200);

const TOPICS: [&str; 2] = ["a", "b"];

/// What the server is after a round.
struct Measured {
    memory: f64,
    descriptors: usize,
    idle: f64,
}

#[test]
#[ignore = "long: scripts/soak runs it"]
fn nothing_creeps() {
    let minutes = std::env::var("SOAK_MINUTES");
    let minutes: f64 = minutes.map_or(3.0, |minutes| minutes.parse().unwrap());
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let directory = Directory::new();
    // Small limits, so that what is kept is full after the warm-up.
    let options = [
        ["--id-window", "5"],
        ["--history-messages", "200"],
        ["--keep-messages", "20000"],
        ["--write-timeout", "3"],
        ["--name-grace", "1"],
    ];
    let server = match minutes >= MINUTES_FOR_DISK {
        true => directory.serve(options.as_flattened()),
        false => Process::start(options.as_flattened()),
    };
    let mut rounds = Vec::new();
    while Instant::now() < end {
        round(server.v4());
        let measured = rest(&server);
        println!(
            "round {}: {:.1} MB, {} descriptors, {:.4} of a processor at rest",
            rounds.len() + 1,
            measured.memory / 1e6,
            measured.descriptors,
            measured.idle,
        );
        rounds.push(measured);
    }
    check(&rounds[rounds.len() / WARM_UP_PART..]);
}

fn check(rounds: &[Measured]) {
    assert!(
        rounds.len() >= 6,
        "too few rounds to compare: take more minutes"
    );
    let (first, last) = rounds.split_at(rounds.len() / 2);
    let memory = |rounds: &[Measured]| median(rounds.iter().map(|one| one.memory).collect());
    let idle = |rounds: &[Measured]| median(rounds.iter().map(|one| one.idle).collect());
    let (before, after) = (memory(first), memory(last));
    assert!(
        after <= before * MEMORY_SLACK + 2e6,
        "memory: {before} to {after}"
    );
    let most = |rounds: &[Measured]| rounds.iter().map(|one| one.descriptors).max();
    // The database opens a few files more or less.
    assert!(
        most(last) <= most(first).map(|most| most + 8),
        "descriptors"
    );
    assert!(
        idle(last) <= IDLE.max(idle(first) * 1.5),
        "at rest: {}",
        idle(last)
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Waits until everybody is gone, and measures.
fn rest(server: &Process) -> Measured {
    eventually("everybody to be gone", || {
        let health = Http::at(server.v4()).get("/-/health", &[]).json();
        (health["connections"].as_u64() == Some(1)).then_some(())
    });
    let before = server.ticks();
    std::thread::sleep(REST);
    let ticks = (server.ticks() - before) as f64;
    Measured {
        memory: server.memory() as f64,
        descriptors: server.descriptors(),
        idle: ticks / 100.0 / REST.as_secs_f64(),
    }
}

/// One round of load, by a few of everything.
fn round(addr: SocketAddr) {
    let is_over = AtomicBool::new(false);
    let is_on = || !is_over.load(SeqCst);
    std::thread::scope(|scope| {
        for topic in TOPICS {
            let repeat = |act: fn(SocketAddr, &str)| {
                move || {
                    while is_on() {
                        act(addr, topic);
                    }
                }
            };
            for act in [
                classic, extended, post, poll, stream, events, websocket, stalled, abandoned,
            ] {
                scope.spawn(repeat(act));
            }
        }
        std::thread::sleep(LOAD);
        is_over.store(true, SeqCst);
    });
}

fn classic(addr: SocketAddr, topic: &str) {
    let frames: String = (0..20)
        .map(|number| {
            let text = format!("classic {number}");
            format!("{}\n", json!({"message": {"topic": topic, "text": text}}))
        })
        .collect();
    talk(addr, &format!("{{\"topics\":[\"{topic}\"]}}\n{frames}"));
}

/// Says something and hears for a moment what comes.
fn talk(addr: SocketAddr, text: &str) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut bytes = [0; 4096];
    for _ in 0..50 {
        if read_some(&mut stream, &mut bytes).is_ok_and(|count| count > 0) {
            continue;
        }
        return;
    }
}

fn extended(addr: SocketAddr, topic: &str) {
    let mut client = Client::connect(addr);
    let key = format!("k{}", random());
    let options = json!({"user": key, "client": key, "last": 50});
    let frame = json!({"topics": [topic], "extended": options});
    client.send(format!("{frame}\n").as_bytes());
    for number in 0..100 {
        client.say_with_id(topic, &format!("extended {number}"), &number.to_string());
    }
    while let Some(line) = client.next_line_or_reset() {
        if line.windows(10).any(|part| part == b"\"id\":\"99\",") {
            break;
        }
    }
    // Killed.
    client.reset();
}

fn post(addr: SocketAddr, topic: &str) {
    let mut http = Http::at(addr);
    for _ in 0..20 {
        let id = random();
        let path = format!("/{topic}?user=cron&id={id}");
        assert_eq!(http.post(&path, &[], b"posted").status, 200);
    }
}

fn poll(addr: SocketAddr, topic: &str) {
    let answer = Http::at(addr).get(&format!("/{topic}?poll=1&last=100"), &[]);
    assert_eq!(answer.status, 200);
}

fn stream(addr: SocketAddr, topic: &str) {
    talk(
        addr,
        &format!("GET /{topic}?last=50 HTTP/1.1\r\nhost: {addr}\r\n\r\n"),
    );
}

fn events(addr: SocketAddr, topic: &str) {
    let accept = "accept: text/event-stream";
    talk(
        addr,
        &format!("GET /{topic} HTTP/1.1\r\nhost: {addr}\r\n{accept}\r\n\r\n"),
    );
}

fn websocket(addr: SocketAddr, topic: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let tcp = tokio::net::TcpStream::connect(addr).await.unwrap();
        let url = format!("ws://{addr}/-/ws");
        let (mut socket, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
        let registration = json!({"topics": [topic], "extended": {"last": 20}});
        let say = json!({"message": {"topic": topic, "text": "over a WebSocket"}});
        for frame in [registration, say.clone(), say] {
            socket.send(Message::text(frame.to_string())).await.unwrap();
        }
        for _ in 0..20 {
            let _ = tokio::time::timeout(PATIENCE, socket.next()).await;
        }
    });
}

/// Reads nothing, for a while.
fn stalled(addr: SocketAddr, topic: &str) {
    let mut client = Client::connect_narrow(addr);
    client.register(&[topic]);
    let mut http = Http::at(addr);
    http.ask("GET", &format!("/{topic}?last=200"), &[], b"");
    std::thread::sleep(Duration::from_millis(700));
}

/// Leaves half of what it began.
fn abandoned(addr: SocketAddr, topic: &str) {
    let halves = [
        "{\"topics\":[\"half\"".to_owned(),
        format!("POST /{topic} HTTP/1.1\r\nhost: {addr}\r\ncontent-length: 100\r\n\r\nhalf"),
        format!("GET /{topic} HT"),
        "G".to_owned(),
    ];
    let open: Vec<_> = halves
        .iter()
        .map(|half| {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(half.as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(50));
    drop(open);
}

fn random() -> u64 {
    getrandom::u64().unwrap()
}
