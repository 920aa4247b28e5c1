//! The examples do what they say, while their server is killed and comes back.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use client::{Client, Event, Line, Options, Presence};
use wire::TopicName;

use crate::server::{Killable, Speaks};

/// The longest that anything may take, on a machine that is busy with others.
const LIMIT: Duration = Duration::from_secs(60);

/// A running example. Dropping it ends it.
struct Example {
    child: Child,
    output: Receiver<String>,
    errors: Receiver<String>,
}

impl Example {
    fn run(name: &str, server: &Killable) -> Self {
        let this = std::env::current_exe().unwrap();
        let folder = this.parent().unwrap().parent().unwrap().join("examples");
        let mut child = Command::new(folder.join(name))
            .args([&server.address, "t"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = lines(child.stdout.take().unwrap());
        let errors = lines(child.stderr.take().unwrap());
        Self {
            child,
            output,
            errors,
        }
    }

    /// Waits until it says that on standard error.
    fn says(&self, line: &str) {
        while self.errors.recv_timeout(LIMIT).unwrap() != line {}
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (to, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if to.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    lines
}

#[test]
fn every_published_line_reaches_a_subscriber_once_though_the_server_is_killed() {
    let server = Killable::start("publish");
    publish_and_kill(server, "disconnected: the other side closed it");
}

#[test]
fn every_published_line_reaches_a_subscriber_once_over_tls_too() {
    let server = Killable::speaking("publish-tls", Speaks::Tls);
    publish_and_kill(server, "disconnected: it was cut off");
}

fn publish_and_kill(mut server: Killable, end: &str) {
    const HALF: usize = 1000;
    let subscriber = Example::run("subscribe", &server);
    subscriber.says("joined");
    let mut publisher = Example::run("publish", &server);
    let mut input = publisher.child.stdin.take().unwrap();
    let mut write = move |numbers: std::ops::Range<usize>| {
        for number in numbers {
            writeln!(input, "{number}").unwrap();
        }
    };
    write(0..HALF);
    let mut next = 0;
    let mut reads_up_to = |end: usize| {
        while next < end {
            let line = subscriber.output.recv_timeout(LIMIT).unwrap();
            assert_eq!(line, next.to_string());
            next += 1;
        }
    };
    reads_up_to(HALF / 4);
    server.kill();
    subscriber.says(end);
    write(HALF..2 * HALF);
    // The end of the input.
    drop(write);
    server.start_again();
    reads_up_to(2 * HALF);
    assert!(publisher.child.wait().unwrap().success());
}

#[tokio::test]
async fn a_bot_answers_before_and_after_its_server_was_killed() {
    let mut server = Killable::start("echo");
    let topic = TopicName::new("t").unwrap();
    let mut options = Options::new(server.address.parse().unwrap(), vec![topic.clone()]);
    options.presence = Presence::Follow;
    let (client, mut events) = Client::connect(options).await.unwrap();
    let _bot = Example::run("echo_bot", &server);
    for text in ["before", "after"] {
        until(&mut events, |event| match event {
            Event::UserJoined { user, .. } => user == "echo",
            Event::Members { users, .. } => users.iter().any(|person| person.user == "echo"),
            _ => false,
        })
        .await;
        let line = Line {
            topic: topic.clone(),
            text: format!("!echo {text}"),
        };
        client.send(line).await.unwrap();
        let is_answer =
            |event: &Event| matches!(event, Event::Message(message) if message.text == text);
        until(&mut events, is_answer).await;
        server.kill();
        let is_lost = |event: &Event| matches!(event, Event::Disconnected { .. });
        until(&mut events, is_lost).await;
        server.start_again();
    }
}

async fn until(events: &mut client::Events, is_it: impl Fn(&Event) -> bool) {
    let wait = async {
        while let Some(event) = events.next().await {
            if is_it(&event) {
                return;
            }
        }
        panic!("the client has ended");
    };
    tokio::time::timeout(LIMIT, wait).await.expect("in time");
}
