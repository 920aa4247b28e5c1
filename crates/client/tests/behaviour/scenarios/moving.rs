//! Several addresses of one service, and servers that name others.
//!
//! A server that is killed, and another one that takes over its data on another port, are to a
//! client what several servers of one service are.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use client::{Client, ClientError, Event, Options};
use tokio::net::TcpListener as Listener;

use crate::network::Network;
use crate::participant::{Participant, numbers, topic};
use crate::server::Killable;

/// An address of this machine where nobody is, and its port.
fn nowhere() -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address.to_string(), address.port().to_string())
}

fn is_lost(event: &Event) -> bool {
    matches!(event, Event::Gap { .. } | Event::Incomplete(_))
}

fn is_at(address: &str) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Connected { server } if server.to_string() == address)
}

#[tokio::test]
async fn s21_where_a_server_dies_the_next_address_loses_and_doubles_nothing() {
    let mut server = Killable::start("s21");
    let (second, port) = nowhere();
    let both = format!("{},{second}", server.address);
    let reader = Participant::join(&both, |_| {}).await;
    let writer = Participant::join(&both, |_| {}).await;
    writer.publish_all(numbers(1, 500)).await;
    writer.until_delivered(100).await;
    server.kill();
    writer.publish_all(numbers(501, 1000)).await;
    server.start_elsewhere(&port);
    writer.until_delivered(1000).await;
    reader.until_texts(1000).await;
    assert_eq!(reader.texts(), numbers(1, 1000));
    assert!(!reader.has(is_lost));
    for client in [&reader, &writer] {
        assert!(client.has(is_at(&second)));
    }
}

#[tokio::test]
async fn s22_a_client_goes_where_a_server_has_named_another_one() {
    for is_asked in [true, false] {
        let mut server = Killable::start(if is_asked { "s22a" } else { "s22b" });
        let (second, port) = nowhere();
        let others = if is_asked {
            String::new()
        } else {
            format!("{second:?}")
        };
        let network = Network::naming(&server.address, &others).await;
        let reader = Participant::join(&network.address, |_| {}).await;
        let writer = Participant::join(&network.address, |_| {}).await;
        writer.publish_all(numbers(1, 100)).await;
        writer.until_delivered(100).await;
        reader.until_texts(100).await;
        if is_asked {
            network.tell(&format!(
                r#"{{"extended":{{"reconnect":{{"within":200,"servers":["{second}"]}}}}}}"#
            ));
        }
        writer.publish_all(numbers(101, 200)).await;
        server.kill();
        server.start_elsewhere(&port);
        writer.publish_all(numbers(201, 300)).await;
        writer.until_delivered(300).await;
        reader.until_texts(300).await;
        assert_eq!(reader.texts(), numbers(1, 300));
        assert!(!reader.has(is_lost));
        for client in [&reader, &writer] {
            assert!(client.has(is_at(&second)));
        }
    }
}

/// One address where nobody is, and one that accepts nothing: its queue is full.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn addresses_where_nobody_is_cost_a_moment_and_back_off_comes_after_a_round() {
    let server = Killable::start("dead-addresses");
    let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    silent.bind(&any.into()).unwrap();
    silent.listen(0).unwrap();
    let silent: TcpListener = silent.into();
    let full = silent.local_addr().unwrap();
    let connect = || std::net::TcpStream::connect_timeout(&full, Duration::from_millis(200)).ok();
    let _waiting: Vec<_> = std::iter::from_fn(connect).take(8).collect();
    let (dead, _) = nowhere();
    let all = format!("{full},{dead},{}", server.address);
    for _ in 0..5 {
        let began = Instant::now();
        let client = Participant::join(&all, |_| {}).await;
        assert!(
            began.elapsed() < Duration::from_secs(9),
            "{:?}",
            began.elapsed()
        );
        assert!(!client.has(|event| matches!(event, Event::Retrying { .. })));
    }
}

#[tokio::test]
async fn where_none_can_be_reached_each_one_is_told() {
    let ((one, _), (other, _)) = (nowhere(), nowhere());
    let options = || {
        let servers = format!("{one},{other}").parse().unwrap();
        Options::new(servers, vec![topic("t")])
    };
    let error = Client::connect(options()).await.err().unwrap();
    assert!(matches!(&error, ClientError::Unreachable(errors) if errors.len() == 2));
    let text = error.to_string();
    assert!(text.contains(&one) && text.contains(&other), "{text}");
    // Who waits tries them in turns, and pauses after each round.
    let mut patient = options();
    patient.wait = true;
    let (client, mut events) = Client::start(patient).unwrap();
    let mut kinds = Vec::new();
    while kinds.len() < 6 {
        match events.next().await.unwrap() {
            Event::Unreachable(_) => kinds.push("next"),
            Event::Retrying { error, .. } => {
                assert!(error.is_some());
                kinds.push("pause");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kinds, ["next", "pause", "next", "pause", "next", "pause"]);
    drop(client);
}

/// A server that refuses for good ends the client; nobody tries the same at the next one.
#[tokio::test]
async fn a_refusal_for_good_is_the_services_and_ends_it() {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

    let (one, other) = (
        Listener::bind("127.0.0.1:0").await.unwrap(),
        Listener::bind("127.0.0.1:0").await.unwrap(),
    );
    let address = |listener: &Listener| listener.local_addr().unwrap().to_string();
    let both = format!("{},{}", address(&one), address(&other));
    let asked = tokio::spawn(async move {
        let mut count = 0;
        loop {
            let accepted = tokio::select! {
                accepted = one.accept() => accepted,
                accepted = other.accept() => accepted,
                () = tokio::time::sleep(Duration::from_secs(3)) => return count,
            };
            count += 1;
            let mut stream = BufReader::new(accepted.unwrap().0);
            stream.read_line(&mut String::new()).await.unwrap();
            let mut stream = stream.into_inner();
            let refusal = r#"{"extended":{"error":{"code":"protected","text":"no"}}}"#;
            stream
                .write_all(format!("{refusal}\n").as_bytes())
                .await
                .unwrap();
        }
    });
    let mut options = Options::new(both.parse().unwrap(), vec![topic("t")]);
    options.wait = true;
    let error = Client::connect(options).await.err().unwrap();
    assert!(error.to_string().contains("protected"), "{error}");
    assert_eq!(asked.await.unwrap(), 1);
}

#[tokio::test]
async fn s23_what_people_should_know_of_a_server_is_told() {
    let server = Killable::start("s23");
    let network = Network::before(&server.address).await;
    let reader = Participant::join(&network.address, |_| {}).await;
    let writer = Participant::join(&server.address, |_| {}).await;
    writer.publish_all(numbers(1, 1)).await;
    reader.until_texts(1).await;
    let is_notice = |event: &Event| matches!(event, Event::Notice(_));
    let told = ["none are taken", "they are again"];
    for (code, text) in ["no-quorum", "quorum"].into_iter().zip(told) {
        network.tell(&format!(
            r#"{{"extended":{{"notice":{{"code":"{code}","text":"{text}"}}}}}}"#
        ));
        reader
            .until(|event| matches!(event, Event::Notice(said) if said == text))
            .await;
    }
    assert_eq!(reader.count(is_notice), told.len());
    reader.publish_all(vec!["own".into()]).await;
    reader.until_delivered(1).await;
    writer.publish_all(numbers(2, 2)).await;
    reader.until_texts(2).await;
    assert_eq!(reader.texts(), numbers(1, 2));
}

/// What a server refuses that nobody has chosen is no end: the client goes back to its own.
#[tokio::test]
async fn a_named_server_that_refuses_is_left() {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

    let server = Killable::start("named-refuses");
    let strange = Listener::bind("127.0.0.1:0").await.unwrap();
    let there = strange.local_addr().unwrap().to_string();
    let network = Network::before(&server.address).await;
    let client = Participant::join(&network.address, |_| {}).await;
    network.tell(&format!(
        r#"{{"extended":{{"reconnect":{{"within":1,"servers":["{there}"]}}}}}}"#
    ));
    let mut stream = BufReader::new(strange.accept().await.unwrap().0);
    stream.read_line(&mut String::new()).await.unwrap();
    let mut stream = stream.into_inner();
    let refusal = r#"{"extended":{"error":{"code":"protected","text":"no"}}}"#;
    stream
        .write_all(format!("{refusal}\n").as_bytes())
        .await
        .unwrap();
    let is_back = |event: &Event| matches!(event, Event::Registered { .. });
    while client.count(is_back) < 2 {
        tokio::task::yield_now().await;
    }
    client.publish_all(numbers(1, 1)).await;
    client.until_delivered(1).await;
}
