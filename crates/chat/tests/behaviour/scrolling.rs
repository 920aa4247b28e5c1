//! Reading back, further than what is kept on this side.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use topicserver::Config;

use crate::person::Person;
use crate::pictures::{Other, joined};
use crate::server::{Running, start_server_with};
use crate::uninterrupted::read_some;

/// Messages of somebody else.
const MESSAGES: usize = 5_000;
/// Rows of the window.
const ROWS: usize = 200;
/// Messages in a page.
const PAGE: usize = 200;

/// A way to the server that remembers what the server sends.
struct Tap {
    address: String,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn new(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let (server, kept) = (server.to_owned(), Arc::clone(&sent));
        thread::spawn(move || {
            for client in listener.incoming().map(Result::unwrap) {
                let server = TcpStream::connect(&server).unwrap();
                let (to, from) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || relay(from, to, |_| {}));
                let kept = Arc::clone(&kept);
                thread::spawn(move || {
                    relay(server, client, |bytes| kept.lock().unwrap().extend(bytes));
                });
            }
        });
        Self { address, sent }
    }

    /// The messages in each page that the server has sent.
    fn pages(&self) -> Vec<usize> {
        let sent = self.sent.lock().unwrap();
        let lines = sent.split(|byte| *byte == b'\n');
        let pages = lines.filter_map(|line| {
            let frame: serde_json::Value = serde_json::from_slice(line).ok()?;
            Some(frame["extended"]["history"]["messages"].as_array()?.len())
        });
        pages.collect()
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, mut watch: impl FnMut(&[u8])) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = read_some(&mut from, &mut bytes) {
        watch(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

fn deep() -> Config {
    Config {
        history_messages: 2 * MESSAGES,
        history_bytes: 64 * 1024 * 1024,
        ..Config::default()
    }
}

/// An empty directory for the history.
fn directory() -> PathBuf {
    let name = format!("scrolling-{}", std::process::id());
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    directory
}

/// Somebody who has said very much.
fn chatterbox(server: &str) -> Other {
    let mut bob = Other::named("bob", server, "t");
    for number in 0..MESSAGES {
        bob.says("t", &format!("number {number}."));
    }
    bob.is_done();
    bob
}

/// The numbers that are seen, from the top.
fn numbers(picture: &str) -> Vec<usize> {
    let number = |line: &str| {
        let (_, rest) = line.split_once("t:number ")?;
        rest.split('.').next()?.parse().ok()
    };
    picture.lines().filter_map(number).collect()
}

/// Waits for a picture, drawn to its end, whose numbers begin so: all of them.
fn reads_from(person: &Person, first: usize) -> Vec<usize> {
    let is_whole = |picture: &str| {
        let numbers = numbers(picture);
        let is_last = numbers.last() == Some(&(MESSAGES - 1));
        let begins = numbers.first() == Some(&first) && numbers.len() > ROWS - 8;
        let follows = numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        follows && numbers.contains(&first) && (begins || is_last)
    };
    let what = format!("numbers from {first} on");
    numbers(&person.waits_for(&what, is_whole))
}

#[test]
fn five_thousand_older_messages_come_in_pages_each_once_and_in_order() {
    let server = start_server_with(&deep());
    let mut bob = chatterbox(&server);
    let tap = Tap::new(&server);
    let person = joined(
        ROWS as u16,
        60,
        &tap.address,
        &["--last", "20", "--no-sides"],
    );
    person.sees("number 4999.");
    for text in ["own one", "own two"] {
        person.types(&format!("{text}\r"));
        person.sees_above(&format!("t:{text}"), ">");
    }
    bob.says("t", "still live");
    person.sees("still live");
    person.presses_until("\u{1b}[H", "t:number 0.");
    let mut seen = reads_from(&person, 0);
    while seen.last() != Some(&(MESSAGES - 1)) {
        person.types("\u{1b}[6~");
        // One row is seen on both.
        seen = reads_from(&person, *seen.last().unwrap());
    }
    person.types("\u{1b}[F");
    let end = person.sees_above("still live", ">");
    for text in ["own one", "own two", "still live"] {
        assert_eq!(end.matches(&format!("t:{text}")).count(), 1, "{end}");
    }
    let pages = tap.pages();
    assert!(pages.iter().all(|count| *count <= PAGE), "{pages:?}");
    assert_eq!(pages.iter().sum::<usize>(), MESSAGES - 20);
}

#[test]
fn as_many_as_are_wanted_are_fetched() {
    let server = start_server_with(&deep());
    let _bob = chatterbox(&server);
    let tap = Tap::new(&server);
    let person = joined(ROWS as u16, 60, &tap.address, &["--no-sides"]);
    // What was said before is fetched although nothing is here yet.
    person.types("/last 2400\r");
    person.presses_until("\u{1b}[H", "number 2600.");
    assert_eq!(tap.pages()[..3], [1000, 1000, 400]);
}

#[test]
fn what_was_asked_for_over_a_lost_connection_comes_over_the_next_one() {
    let server = Running::start(&Config {
        data: Some(directory()),
        ..deep()
    });
    let bob = chatterbox(&server.address);
    let person = joined(24, 60, &server.address, &["--last", "20", "--no-sides"]);
    person.sees("number 4999.");
    drop(bob);
    let server = server.stop();
    person.sees("is lost");
    person.presses_until("\u{1b}[5~", "fetching older messages");
    let _server = server.start_again();
    person.sees("again");
    person.presses_until("\u{1b}[H", "number 4780.");
}
