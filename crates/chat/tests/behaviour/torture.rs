//! Much more arrives than anybody reads, while somebody types.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::person::Person;
use crate::server::start_server;

/// Messages that arrive in a second.
const RATE: u32 = 2_000;
/// From one key to the next.
const KEY_EVERY: Duration = Duration::from_millis(100);
/// Enough of them to tell the 99th of a hundred.
const KEYS: usize = 100;
/// Enough of them to say that it is so.
const MORE_KEYS: usize = 300;
/// Runs of which the middle one counts.
const RUNS: usize = 5;

/// Sends `RATE` messages a second, until it is told to stop: how many there were.
fn flood(server: &str, stop: &AtomicBool) -> usize {
    let mut peer = Peer::new(TcpStream::connect(server).unwrap());
    peer.sends(b"{\"topics\":[\"t\"],\"extended\":{\"user\":\"bob\"}}");
    let began = Instant::now();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = (began.elapsed().as_secs_f64() * f64::from(RATE)) as usize;
        let mut lines = String::new();
        while count < due {
            lines += &format!(
                "{{\"message\":{{\"topic\":\"t\",\"text\":\"number {count} of very many\"}}}}\n"
            );
            count += 1;
        }
        peer.sends(lines.as_bytes());
        std::thread::sleep(Duration::from_millis(5));
    }
    peer.says("t", "the last one");
    peer.shuts_down();
    peer.rest();
    count
}

/// How quickly keys were shown, and what that took.
struct Echo {
    /// Messages that arrived meanwhile.
    messages: usize,
    median: Duration,
    /// 99 of 100 took no longer.
    p99: Duration,
    worst: Duration,
    /// What `chat` used of the processors.
    cores: f64,
}

impl std::fmt::Display for Echo {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (median, p99, worst) = (self.median, self.p99, self.worst);
        write!(
            to,
            "{} messages: echo {median:?} (median), {p99:?} (99 %), {worst:?} (worst), {:.3} cores",
            self.messages, self.cores
        )
    }
}

/// Types so many keys, ten in a second, while very much arrives.
fn measure_echo(keys: usize) -> Echo {
    let server = start_server();
    let person = Person::sits_at(24, 80, &["-topic", &server, "t"]);
    person.sees("in t: ");
    let stop = AtomicBool::new(false);
    let (messages, mut echoes, cores) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&server, &stop));
        person.sees("of very many");
        let used = person.processor_time();
        let began = Instant::now();
        let (typed, echoes) = type_keys(&person, keys);
        let used = person.processor_time() - used;
        let cores = used.as_secs_f64() / began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let picture = person.sees_above("the last one", &typed);
        for line in picture.lines().filter(|line| line.contains("number")) {
            let is_whole = line.contains("  t:number ") && line.ends_with(" of very many");
            assert!(is_whole, "a torn line: {line:?}");
        }
        (flood.join().unwrap(), echoes, cores)
    });
    echoes.sort();
    Echo {
        messages,
        median: echoes[keys / 2],
        p99: echoes[keys * 99 / 100 - 1],
        worst: echoes[keys - 1],
        cores,
    }
}

/// Types so many keys, each when it is time: the line that is there at the end, and how long
/// each took to be seen.
fn type_keys(person: &Person, keys: usize) -> (String, Vec<Duration>) {
    let mut typed = String::from("> ");
    let mut echoes = Vec::new();
    for (number, key) in ('a'..='z').cycle().take(keys).enumerate() {
        if number % 50 == 0 && number > 0 {
            person.types("\u{15}");
            typed.truncate(2);
        }
        typed.push(key);
        let pressed = Instant::now();
        person.types(&key.to_string());
        person.sees_last(&typed);
        echoes.push(pressed.elapsed());
        std::thread::sleep(KEY_EVERY.saturating_sub(pressed.elapsed()));
    }
    (typed, echoes)
}

#[test]
fn a_person_types_on_while_two_thousand_messages_a_second_arrive() {
    let echo = measure_echo(KEYS);
    eprintln!("{echo}");
    // What is measured here depends on who else is at work on this machine; that it
    // is of the right order doesn't.
    assert!(echo.median < Duration::from_millis(250), "{echo}");
}

/// `cargo test --release -p natter-chat --test behaviour -- --ignored --nocapture echo`, on a quiet
/// machine.
#[test]
#[ignore = "it measures: it wants a release build and a quiet machine"]
fn the_echo_of_a_key_takes_less_than_20_ms_and_half_a_core() {
    let mut runs: Vec<Echo> = (0..RUNS).map(|_| measure_echo(MORE_KEYS)).collect();
    runs.iter().for_each(|run| eprintln!("{run}"));
    runs.sort_by_key(|run| run.p99);
    let p99 = runs[RUNS / 2].p99;
    runs.sort_by(|one, other| one.cores.total_cmp(&other.cores));
    let cores = runs[RUNS / 2].cores;
    runs.sort_by_key(|run| run.median);
    let median = runs[RUNS / 2].median;
    eprintln!("medians of {RUNS} runs: p50 {median:?}, p99 {p99:?}, {cores:.3} cores");
    assert!(p99 < Duration::from_millis(20) && cores < 0.5);
}

#[test]
fn somebody_who_has_scrolled_up_reads_on_while_very_much_arrives() {
    let server = start_server();
    let person = Person::sits_at(24, 80, &["-topic", &server, "t", "--no-bell"]);
    person.sees("in t: ");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&server, &stop));
        person.sees("number 3");
        person.presses_until("\u{1b}[5~", "new ↓");
        let read = |picture: &str| -> Vec<String> {
            let rows = picture.lines().filter(|row| row.contains("number"));
            rows.map(Into::into).collect()
        };
        let before = read(&person.sees("new ↓"));
        let counted = |picture: &str| -> u32 {
            let count = picture
                .split(" new ↓")
                .next()
                .and_then(|text| text.rsplit(' ').next());
            count.and_then(|count| count.parse().ok()).unwrap_or(0)
        };
        let picture = person.waits_for("much more", |picture| counted(picture) > 1_000);
        assert_eq!(read(&picture), before);
        stop.store(true, Ordering::Relaxed);
        flood.join().unwrap();
        person.presses_until("\u{1b}[F", "the last one");
    });
}
