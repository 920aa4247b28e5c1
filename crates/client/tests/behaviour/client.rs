//! What the handles of a client promise.

use std::time::Duration;

use client::{Client, ClientError, Event, Events, Line, Name, Options, Request, SendError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use wire::{TopicName, UserName};

const LIMIT: Duration = Duration::from_secs(30);

fn topic() -> TopicName {
    TopicName::new("t").unwrap()
}

fn line(text: &str) -> Line {
    Line {
        topic: topic(),
        text: text.into(),
    }
}

/// A server that the test plays itself.
struct Played(TcpListener);

impl Played {
    async fn new() -> (Self, Options) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut options = Options::new(address.parse().unwrap(), vec![topic()]);
        options.reconnect = false;
        (Self(listener), options)
    }

    /// Accepts a client and answers its registration.
    async fn registers(&self) -> BufReader<TcpStream> {
        let mut stream = self.accepts().await;
        let answer = r#"{"extended":{"registered":{"topics":{"t":{"epoch":"e","seq":0}}}}}"#;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    }

    async fn accepts(&self) -> BufReader<TcpStream> {
        let (stream, _) = self.0.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        assert!(reads(&mut stream).await.contains("\"topics\":[\"t\"]"));
        stream
    }
}

/// The next line that the client sends.
async fn reads(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let read = stream.read_line(&mut line);
    tokio::time::timeout(LIMIT, read).await.unwrap().unwrap();
    line
}

/// Acknowledges a line that the client has sent.
async fn acknowledges(stream: &mut BufReader<TcpStream>, line: &str, seq: u64) {
    let frame: serde_json::Value = serde_json::from_str(line).unwrap();
    let id = &frame["extended"]["id"];
    let ack = format!(r#"{{"extended":{{"ack":{{"id":{id},"topic":"t","seq":{seq}}}}}}}"#);
    stream.write_all(ack.as_bytes()).await.unwrap();
}

/// A registered client, and the server's side of its connection.
async fn connected(options: Options, server: &Played) -> (Client, Events, BufReader<TcpStream>) {
    let (client, stream) = tokio::join!(Client::connect(options), server.registers());
    let (client, events) = client.unwrap();
    (client, events, stream)
}

#[tokio::test]
async fn connecting_returns_why_it_failed() {
    let (server, mut options) = Played::new().await;
    options.name = Name::Required(UserName::new("alice").unwrap());
    let refuses = async {
        let mut stream = server.accepts().await;
        let taken = r#"{"extended":{"error":{"code":"name-taken","text":"alice is here"}}}"#;
        stream.write_all(taken.as_bytes()).await.unwrap();
        stream
    };
    let (client, _stream) = tokio::join!(Client::connect(options.clone()), refuses);
    assert!(matches!(client, Err(ClientError::NameTaken(name)) if name.as_str() == "alice"));
    drop(server);
    let client = Client::connect(options).await;
    assert!(matches!(client, Err(ClientError::Dial(_))));
}

#[tokio::test]
async fn finishing_waits_for_every_acknowledgement() {
    let (server, options) = Played::new().await;
    let (client, events, mut stream) = connected(options, &server).await;
    drop(events);
    client.send(line("one")).await.unwrap();
    let finishing = tokio::spawn(client.finish());
    let one = reads(&mut stream).await;
    assert!(one.contains("one") && !finishing.is_finished());
    acknowledges(&mut stream, &one, 1).await;
    // The client closes its side when everything is acknowledged, and no sooner.
    assert_eq!(reads(&mut stream).await, "");
    drop(stream);
    let finished = finishing.await.unwrap().unwrap();
    assert_eq!(finished.refused, 0);
}

#[tokio::test]
async fn what_was_not_acknowledged_is_counted_also_what_was_never_taken() {
    let (server, options) = Played::new().await;
    let (client, mut events, stream) = connected(options, &server).await;
    for text in ["one", "two"] {
        client.send(line(text)).await.unwrap();
    }
    drop(stream);
    let outcome = loop {
        if let Event::Ended(outcome) = events.next().await.expect("an end") {
            break outcome;
        }
    };
    let error = outcome.unwrap_err();
    assert!(matches!(&error, ClientError::Lost { .. }), "{error:?}");
    assert!(error.to_string().ends_with("2 lines are left"), "{error}");
    assert!(events.next().await.is_none());
    assert_eq!(
        client.send(line("late")).await,
        Err(SendError::Ended(line("late")))
    );
    assert!(client.request(Request::Topics).await.is_err());
}

#[tokio::test]
async fn a_full_queue_gives_a_line_back_and_takes_it_when_there_is_room() {
    let (server, options) = Played::new().await;
    let (client, events, mut stream) = connected(options, &server).await;
    drop(events);
    let text = "x".repeat(10_000);
    let mut sent = 0;
    let full = loop {
        match client.try_send(line(&text)) {
            Ok(()) => sent += 1,
            // The task takes what was sent, until its queue is full.
            Err(SendError::Full(back)) => {
                let waiting = client.reserve();
                if tokio::time::timeout(Duration::from_millis(300), waiting)
                    .await
                    .is_err()
                {
                    break back;
                }
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(full, line(&text));
    // Bounded: unsent and unacknowledged, 256 KiB each, and what is between.
    assert!((40..60).contains(&sent), "{sent}");
    let sending = client.send(full);
    let reading = async {
        for seq in 1..=sent {
            let line = reads(&mut stream).await;
            acknowledges(&mut stream, &line, seq).await;
        }
        reads(&mut stream).await
    };
    let (sent, last) = tokio::join!(sending, reading);
    sent.unwrap();
    assert!(last.contains(&text));
}

#[tokio::test]
async fn a_line_that_fits_into_no_frame_is_given_back() {
    let (server, mut options) = Played::new().await;
    options.max_frame = 1024;
    let (client, _events, _stream) = connected(options, &server).await;
    let long = line(&"x".repeat(2000));
    assert_eq!(
        client.try_send(long.clone()),
        Err(SendError::TooLong(long.clone()))
    );
    assert_eq!(
        client.send(long.clone()).await,
        Err(SendError::TooLong(long))
    );
}

#[tokio::test]
async fn a_reservation_that_is_cancelled_sends_nothing_and_loses_nothing() {
    let (server, options) = Played::new().await;
    let (client, _events, mut stream) = connected(options, &server).await;
    for _ in 0..100 {
        tokio::select! {
            biased;
            () = std::future::ready(()) => {}
            permit = client.reserve() => drop(permit),
        }
    }
    client
        .reserve()
        .await
        .unwrap()
        .send(vec![line("one"), line("two")]);
    for text in ["one", "two"] {
        assert!(reads(&mut stream).await.contains(text));
    }
}

#[tokio::test]
async fn a_program_that_reads_no_events_slows_the_server_and_loses_none() {
    const MESSAGES: u64 = 20_000;
    let (server, options) = Played::new().await;
    let (client, mut events, stream) = connected(options, &server).await;
    let (mut read, mut write) = stream.into_inner().into_split();
    let sending = tokio::spawn(async move {
        let text = "x".repeat(1000);
        for seq in 1..=MESSAGES {
            let frame = format!(
                "{{\"extended\":{{\"seq\":{seq}}},\"message\":{{\"topic\":\"t\",\"text\":\"{text}\"}}}}\n"
            );
            write.write_all(frame.as_bytes()).await.unwrap();
        }
        write
    });
    // Twenty megabytes don't fit into sockets and queues.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!sending.is_finished());
    let mut next = 1;
    while next <= MESSAGES {
        if let Event::Message(message) = events.next().await.expect("more") {
            assert_eq!(message.envelope.seq, Some(next));
            next += 1;
        }
    }
    let write = sending.await.unwrap();
    drop((client, events));
    // With both handles dropped, the client hangs up.
    let mut sink = tokio::io::sink();
    let hung_up = tokio::io::copy(&mut read, &mut sink);
    tokio::time::timeout(LIMIT, hung_up).await.unwrap().unwrap();
    drop(write);
}
