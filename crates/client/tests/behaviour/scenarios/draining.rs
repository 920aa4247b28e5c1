//! A server that ends slowly, and the many clients that go to the next one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Client, Event, Events, Options};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, oneshot};
use tokio::task::JoinHandle;
use topicserver::{Config, Ended, Server};

use crate::participant::{Participant, line, numbers, topic};

const CLIENTS: usize = 2_000;

/// Over how long the server closes its connections.
const SPREAD: Duration = Duration::from_secs(4);

/// How long everybody may take to go, on a machine that has more to do than this.
const LONGEST: Duration = Duration::from_secs(120);

/// A server within the test, which can be asked to end.
struct Ending {
    address: String,
    port: u16,
    end: oneshot::Sender<()>,
    serving: JoinHandle<Ended>,
}

impl Ending {
    fn start(port: u16, data: Option<&Path>) -> Self {
        let server = Server::bind(Config {
            bind: Some("127.0.0.1".parse().unwrap()),
            port,
            data: data.map(Into::into),
            drain_spread: SPREAD,
            // A busy machine takes longer than a server would wait.
            drain_timeout: LONGEST,
            ..Config::default()
        })
        .unwrap();
        let (end, ended) = oneshot::channel();
        let address = server.local_addr();
        Self {
            address: address.to_string(),
            port: address.port(),
            end,
            serving: tokio::spawn(server.run(async {
                let _ = ended.await;
            })),
        }
    }
}

/// A directory that goes with the test.
struct Data(PathBuf);

impl Data {
    fn new(name: &str) -> Self {
        let name = format!("client-{name}-{}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn connect(address: &str) -> (Client, Events) {
    let mut options = Options::new(address.parse().unwrap(), vec![topic("t")]);
    options.wait = true;
    Client::connect(options).await.unwrap()
}

/// Waits until the client has joined, again or for the first time.
async fn joins(events: &mut Events, is_again: bool) {
    while let Some(event) = events.next().await {
        if matches!(event, Event::Joined { again, .. } if again == is_again) {
            return;
        }
    }
    panic!("the client has ended");
}

/// The next server is there already, at the same address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_arrive_at_the_next_server_over_the_time() {
    // Both ends of all of them, and those of the next server.
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let old = Ending::start(0, None);
    let everyone = Arc::new(Barrier::new(CLIENTS + 1));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, everyone) = (old.address.clone(), everyone.clone());
            tokio::spawn(async move {
                let (client, mut events) = connect(&address).await;
                joins(&mut events, false).await;
                everyone.wait().await;
                joins(&mut events, true).await;
                let arrived = Instant::now();
                drop(client);
                arrived
            })
        })
        .collect();
    everyone.wait().await;
    let began = Instant::now();
    old.end.send(()).unwrap();
    // The port is free as soon as nobody is accepted any more.
    let new = loop {
        let is_free = TcpListener::bind(&old.address).await.is_ok();
        if is_free {
            break Ending::start(old.port, None);
        }
        tokio::task::yield_now().await;
    };
    let mut arrivals = Vec::new();
    for client in clients {
        arrivals.push(client.await.unwrap().duration_since(began));
    }
    assert_eq!(old.serving.await.unwrap(), Ended::Drained);
    arrivals.sort();
    // A busy machine delays some, and they come together then. But nobody comes early.
    for tenth in 1..=10 {
        let arrived = arrivals.partition_point(|at| *at < SPREAD / 10 * tenth);
        let most = CLIENTS / 10 * tenth as usize + CLIENTS / 20;
        assert!(arrived < most, "{arrived} in {tenth} tenths of the time");
    }
    drop(new);
}

/// The same server comes back when it has ended. What is said meanwhile is there for everybody,
/// once and in its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s20_a_server_that_drains_loses_and_doubles_nothing() {
    const RECEIVERS: usize = 500;
    const LINES: usize = 300;
    let data = Data::new("drained");
    let old = Ending::start(0, Some(&data.0));
    let everyone = Arc::new(Barrier::new(RECEIVERS + 1));
    let receivers: Vec<_> = (0..RECEIVERS)
        .map(|_| {
            let (address, everyone) = (old.address.clone(), everyone.clone());
            tokio::spawn(async move {
                let (client, mut events) = connect(&address).await;
                joins(&mut events, false).await;
                everyone.wait().await;
                let mut texts = Vec::new();
                while texts.last().is_none_or(|text| text != "end") {
                    match events.next().await.expect("the client has ended") {
                        Event::Message(message) => texts.push(message.text),
                        Event::Gap { .. } | Event::Incomplete(_) => panic!("something is lost"),
                        _ => {}
                    }
                }
                drop(client);
                texts
            })
        })
        .collect();
    everyone.wait().await;
    let publisher = Participant::join(&old.address, |_| {}).await;
    let sending = {
        let client = publisher.client.clone();
        tokio::spawn(async move {
            for text in numbers(1, LINES) {
                client.send(line("t", &text)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            client.send(line("t", "end")).await.unwrap();
        })
    };
    publisher.until_delivered(20).await;
    old.end.send(()).unwrap();
    assert_eq!(old.serving.await.unwrap(), Ended::Drained);
    let new = Ending::start(old.port, Some(&data.0));
    sending.await.unwrap();
    publisher.until_delivered(LINES + 1).await;
    let expected: Vec<_> = numbers(1, LINES)
        .into_iter()
        .chain(["end".into()])
        .collect();
    for receiver in receivers {
        assert_eq!(receiver.await.unwrap(), expected);
    }
    drop(new);
}

/// A server names two others: one where nobody is, and one that is there.
#[tokio::test]
async fn a_client_goes_where_it_is_sent_and_back_if_nobody_is_there() {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let other = Ending::start(0, None);
    let nowhere = {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        free.local_addr().unwrap().to_string()
    };
    let answer = async |servers: Vec<&str>| -> TcpStream {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut registration = String::new();
        stream.read_line(&mut registration).await.unwrap();
        let registered = r#"{"extended":{"registered":{"topics":{"t":{"epoch":"e","seq":0}}}}}"#;
        let servers: Vec<_> = servers.iter().map(|server| format!("{server:?}")).collect();
        let hint = format!(
            r#"{{"extended":{{"reconnect":{{"within":50,"servers":[{}]}}}}}}"#,
            servers.join(",")
        );
        let mut stream = stream.into_inner();
        let answer = format!("{registered}\n{hint}\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let (first, client) = tokio::join!(
        answer(vec![nowhere.as_str()]),
        Participant::join(&address, |_| {})
    );
    // Nobody is there, so it comes back.
    let second = answer(vec![nowhere.as_str(), other.address.as_str()]).await;
    drop(first);
    let there = Participant::join(&other.address, |_| {}).await;
    let joins = |event: &Event| matches!(event, Event::Registered { .. });
    while client.count(joins) < 3 {
        tokio::task::yield_now().await;
    }
    there.publish_all(vec!["hello".into()]).await;
    client.until_texts(1).await;
    assert_eq!(client.texts(), ["hello"]);
    drop(second);
}
