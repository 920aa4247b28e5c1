//! Passwords by every door, who guesses them, and what checking them costs.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use topicserver::Config;

use crate::accounts::{Accounts, GUESS, KEPT, PASSWORD, token};
use crate::common::{Client, TestServer, message};
use crate::frames::{Frames, Transport};
use crate::requests::Http;

/// What is kept of a password that nobody knows, as the program makes it: 19 MiB, two
/// passes.
const SLOW: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRvZjE2Ynl0$\
                    4xt4KEZZAdQZtI5TfUuPQqN8oHfO4YmQEJgPxVJ2WY8";

fn accounts() -> Accounts {
    let token = token("ci").1;
    Accounts::new(&format!(
        "[users.alice]\npassword = \"{KEPT}\"\nallow = [\"read write who list *\"]\n\
         {token}user = \"alice\"\n"
    ))
}

fn basic(user: &str, password: &str) -> String {
    let text = STANDARD.encode(format!("{user}:{password}"));
    format!("authorization: Basic {text}")
}

fn auth(user: &str, password: &str) -> Value {
    json!({"user": user, "password": password})
}

#[test]
fn a_password_opens_every_door() {
    let accounts = accounts();
    let server = accounts.serve();
    for transport in [Transport::Tcp, Transport::WebSocket] {
        // In the registration, with messages right behind it.
        let mut frames = Frames::to(&server, transport);
        let auth = auth("alice", PASSWORD);
        frames.send(json!({"topics": ["lab"], "extended": {"auth": auth}}));
        frames.send(json!({"message": {"topic": "lab", "text": "hi"}, "extended": {"id": "1"}}));
        let authenticated = &frames.frame()["extended"]["authenticated"];
        assert_eq!(*authenticated, json!({"user": "alice"}));
        assert!(frames.frame()["extended"]["registered"].is_object());
        assert!(frames.frame()["extended"]["ack"].is_object());
        // As a frame of its own.
        let mut frames = Frames::to(&server, transport);
        frames.send(json!({"extended": {"auth": auth}}));
        assert_eq!(frames.frame()["extended"]["authenticated"]["user"], "alice");
        frames.send(json!({"extended": {"who": "lab"}}));
        assert!(frames.frame()["extended"]["members"].is_object());
    }
    let mut http = Http::to(&server);
    let answer = http.post("/lab", &[&basic("alice", PASSWORD)], b"hi");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_wrong_password_is_refused_and_the_connection_goes_on() {
    let accounts = accounts();
    let server = accounts.serve();
    let wrong = PASSWORD.to_uppercase();
    for (user, password) in [("alice", &*wrong), ("bob", PASSWORD)] {
        let mut frames = Frames::to(&server, Transport::Tcp);
        let auth = auth(user, password);
        frames.send(json!({"topics": ["lab"], "extended": {"auth": auth}}));
        let error = frames.frame()["extended"]["error"].clone();
        assert_eq!(error["code"], "unauthenticated");
        assert_eq!(error["text"], "the name or the password is wrong");
        // It hasn't registered.
        frames.send(json!({"message": {"topic": "lab", "text": "x"}, "extended": {"id": "1"}}));
        let error = &frames.frame()["extended"]["error"];
        assert_eq!(error["code"], "not-registered");
        let mut http = Http::to(&server);
        let answer = http.post("/lab", &[&basic(user, password)], b"hi");
        answer.expect_problem(401, "unauthenticated");
    }
}

#[test]
fn who_guesses_is_slowed_by_every_door_and_others_are_not() {
    let accounts = accounts();
    let server = accounts.serve();
    let post = |from: &str, password: &str| {
        let mut http = Http::from(from.parse().unwrap(), &server);
        http.post("/lab", &[&basic("alice", password)], b"hi")
    };
    for _ in 0..10 {
        post("127.0.0.2", GUESS).expect_problem(401, "unauthenticated");
    }
    let answer = post("127.0.0.2", GUESS);
    answer.expect_problem(429, "too-many-attempts");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.json()["error"]["retry_after"], 1);
    assert_eq!(answer.header("www-authenticate"), None);
    // The right one would have to wait, too, or it would be told from the others.
    post("127.0.0.2", PASSWORD).expect_problem(429, "too-many-attempts");
    let mut client = Client::connect_from("127.0.0.2".parse().unwrap(), server.addr());
    let auth = auth("alice", GUESS);
    client.send(format!("{{\"extended\":{{\"auth\":{auth}}}}}\n").as_bytes());
    let error = client.expect_extended_error("too-many-attempts");
    assert!(error["text"].as_str().unwrap().contains(" s"), "{error}");
    client.finish_sending();
    client.expect_end();
    // From elsewhere, and as somebody else, nothing is slowed.
    assert_eq!(post("127.0.0.3", PASSWORD).status, 200);
    let mut http = Http::from("127.0.0.2".parse().unwrap(), &server);
    let answer = http.post("/lab", &[&basic("bob", GUESS)], b"hi");
    answer.expect_problem(401, "unauthenticated");
    // A token is none of this.
    let mut http = Http::from("127.0.0.2".parse().unwrap(), &server);
    let answer = http.post("/lab", &[&basic("alice", &token("ci").0)], b"hi");
    assert_eq!(answer.status, 200);
}

/// How long a refusal takes.
fn refusal(server: &TestServer, user: &str, number: usize) -> Duration {
    // Nobody guesses that often from one address without being slowed.
    let from = format!("127.2.0.{}", number + 1);
    let mut http = Http::from(from.parse().unwrap(), server);
    let header = basic(user, &format!("{GUESS} {number}"));
    let start = Instant::now();
    let answer = http.post("/lab", &[&header], b"hi");
    let time = start.elapsed();
    answer.expect_problem(401, "unauthenticated");
    time
}

/// Rounds after which times are compared for the first time.
const FIRST_ROUNDS: usize = 25;

/// Rounds after which they must be alike: an account takes a hundred wrong passwords at once.
const MOST_ROUNDS: usize = 90;

/// Other work of the machine only adds to the time of a check. So the lower quartiles are
/// compared, which are nearest to what a check takes, and more rounds are made while they differ.
/// If two checks really differ, more rounds don't make them alike.
#[test]
fn the_time_does_not_tell_whether_there_is_such_a_user() {
    let accounts = Accounts::new(&format!(
        "[users.alice]\npassword = \"{SLOW}\"\n[users.bob]\n"
    ));
    let server = accounts.serve();
    // One with a password, one without, and one that there isn't: in turn, and each as often
    // the first as the last.
    let users = ["alice", "bob", "nobody"];
    let mut times = users.map(|_| Vec::new());
    for number in 0..MOST_ROUNDS {
        for turn in 0..users.len() {
            let which = (number + turn) % users.len();
            times[which].push(refusal(&server, users[which], number));
        }
        if number + 1 >= FIRST_ROUNDS && are_alike(quartiles(&times)) {
            break;
        }
    }
    let (quartiles, rounds) = (quartiles(&times), times[0].len());
    println!("{users:?} {quartiles:?} after {rounds} rounds");
    assert!(are_alike(quartiles), "{quartiles:?} after {rounds} rounds");
    // Something was computed, not only looked up.
    let short = quartiles.iter().min().unwrap();
    assert!(*short > Duration::from_millis(5), "{quartiles:?}");
}

/// The times than which a quarter is shorter.
fn quartiles(times: &[Vec<Duration>; 3]) -> [Duration; 3] {
    times.clone().map(|mut times| {
        times.sort();
        times[times.len() / 4]
    })
}

fn are_alike(times: [Duration; 3]) -> bool {
    let (short, long) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    *long < *short * 3 / 2
}

/// A login at an account of its own, from an address of its own.
fn log_in(server: &TestServer, number: usize) -> u16 {
    let from = format!("127.1.{}.{}", number / 200, 1 + number % 200);
    let mut http = Http::from(from.parse().unwrap(), server);
    let header = basic(&format!("user{number}"), GUESS);
    let answer = http.post("/lab", &[&header], b"hi");
    let is_told = answer.header("retry-after").is_some();
    assert_eq!(is_told, answer.status != 401, "{answer:?}");
    answer.status
}

#[test]
fn two_hundred_logins_at_once_are_served_or_told_to_try_later() {
    let accounts = Accounts::new(&format!("[users.alice]\npassword = \"{SLOW}\"\n"));
    let server = Arc::new(accounts.serve());
    let start = Arc::new(Barrier::new(201));
    let logins: Vec<_> = (0..200)
        .map(|number| {
            let (server, start) = (server.clone(), start.clone());
            std::thread::spawn(move || {
                start.wait();
                log_in(&server, number)
            })
        })
        .collect();
    start.wait();
    let start = Instant::now();
    let answers: Vec<_> = logins
        .into_iter()
        .map(|login| login.join().unwrap())
        .collect();
    let time = start.elapsed();
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    println!(
        "{} checked in {time:?}, {:.0} logins/s; {} told to try later",
        count(401),
        count(401) as f64 / time.as_secs_f64(),
        count(503)
    );
    assert_eq!(count(401) + count(503), 200, "{answers:?}");
    // Those that found a place to wait, at least.
    assert!(count(401) >= 64, "{answers:?}");
}

/// Bytes that a server occupies when so many logins come at once, beyond what it did before.
#[cfg(target_os = "linux")]
fn memory_of_logins(count: usize) -> usize {
    use crate::common::Process;
    let accounts = Accounts::new(&format!("[users.alice]\npassword = \"{SLOW}\"\n"));
    let path = accounts.path();
    let process = Process::start(&["--auth", path.to_str().unwrap()]);
    let addr = process.v4();
    let ask = |number: usize| {
        let mut http = Http::at(addr);
        http.post("/lab", &[&basic(&format!("user{number}"), GUESS)], b"hi")
            .status
    };
    let before = process.memory();
    std::thread::scope(|scope| {
        let logins: Vec<_> = (0..count).map(|n| scope.spawn(move || ask(n))).collect();
        let highest = std::iter::from_fn(|| {
            let is_over = logins
                .iter()
                .all(std::thread::ScopedJoinHandle::is_finished);
            std::thread::sleep(Duration::from_millis(5));
            (!is_over).then(|| process.memory())
        });
        let highest = highest.max().unwrap_or(0);
        highest.max(process.memory()).saturating_sub(before)
    })
}

#[cfg(target_os = "linux")]
#[test]
fn two_hundred_logins_at_once_take_the_memory_of_one_for_each_core() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let allowed = (cores * 19 + 10) * 1024 * 1024;
    let taken = memory_of_logins(200);
    println!("{} MiB for {cores} cores", taken / 1024 / 1024);
    assert!(taken <= allowed, "{taken} of {allowed}");
}

#[test]
fn others_are_served_while_passwords_are_checked() {
    let accounts = Accounts::new(&format!(
        "[everyone]\nallow = [\"read write lobby\"]\n[users.alice]\npassword = \"{SLOW}\"\n"
    ));
    let server = accounts.serve();
    let mut one = server.join(&["lobby"]);
    let mut other = server.join(&["lobby"]);
    let mut logins: Vec<_> = (0..20)
        .map(|number| {
            let mut frames = Frames::to(&server, Transport::Tcp);
            let auth = auth("alice", &format!("{GUESS} {number}"));
            frames.send(json!({"extended": {"auth": auth}}));
            frames
        })
        .collect();
    for number in 0..100 {
        one.send(&message("lobby", &number.to_string()));
        other.expect("lobby", &number.to_string());
    }
    for frames in &mut logins {
        let code = frames.frame()["extended"]["error"]["code"].clone();
        let is_refused = code == "unauthenticated" || code == "too-many-attempts";
        assert!(is_refused, "{code}");
    }
}
