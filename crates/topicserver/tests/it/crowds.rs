//! Many connections: their limits, and those that come and vanish.

#[cfg(target_os = "linux")]
use std::net::Ipv4Addr;

use topicserver::Config;

use crate::common::{Bystanders, Client, TestServer, eventually, message};

/// A client that has found a place, once there is one.
#[track_caller]
fn joins_eventually(connect: impl Fn() -> Client) -> Client {
    eventually("a place to become free", || {
        let mut client = connect();
        client.try_send(b"{}");
        let line = client.next_line_or_reset()?;
        let line = String::from_utf8(line).unwrap();
        if line.contains("unknown-frame") {
            return Some(client);
        }
        assert!(line.contains("too-many-connections"), "{line}");
        None
    })
}

#[test]
fn one_connection_too_many_is_told_and_closed_and_places_are_given_back() {
    let server = TestServer::with(Config {
        max_connections: 4,
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let third = server.join(&["t"]);
    let fourth = server.join(&["t"]);
    for _ in 0..3 {
        let mut refused = server.connect();
        let why = refused.expect_error("too-many-connections");
        assert!(why.contains('4'), "{why}");
        refused.expect_end();
        bystanders.talk();
    }
    drop(third);
    let _third = joins_eventually(|| server.connect());
    fourth.reset();
    let _fourth = joins_eventually(|| server.connect());
    server.connect().expect_error("too-many-connections");
    bystanders.talk();
}

#[test]
fn a_refused_peer_learns_why_though_it_has_begun_to_send() {
    let server = TestServer::with(Config {
        max_connections: 1,
        ..Config::default()
    });
    let _first = server.join(&["t"]);
    for _ in 0..20 {
        let mut refused = server.connect();
        refused.try_send(&message("t", "x").repeat(100));
        refused.expect_error("too-many-connections");
        refused.expect_end();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn one_address_cant_take_everyones_place() {
    let server = TestServer::with(Config {
        max_connections_per_address: 3,
        ..Config::default()
    });
    let addr = server.addr();
    let from = |last| move || Client::connect_from(Ipv4Addr::new(127, 0, 0, last).into(), addr);
    let mut bystanders = Bystanders::on(&server);
    let third = server.join(&["t"]);
    let mut refused = from(1)();
    let why = refused.expect_error("too-many-connections");
    assert!(why.contains('3') && why.contains("address"), "{why}");
    refused.expect_end();

    // Another address has places of its own.
    let mut others: Vec<_> = (0..3).map(|_| from(2)()).collect();
    for other in &mut others {
        other.join(&["t"]);
    }
    from(2)().expect_error("too-many-connections");
    bystanders.talk();

    // A place that becomes free is for who had it.
    drop(third);
    let _third = joins_eventually(from(1));
    from(2)().expect_error("too-many-connections");
    bystanders.talk();
}

#[test]
fn a_disconnected_peer_gives_its_place_back() {
    let server = TestServer::with(Config {
        max_connections: 3,
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let mut bad = joins_eventually(|| server.connect());
    bad.send(b"nonsense");
    bad.expect_error("not-json");
    bad.expect_end();
    // Even if it never closes its own end.
    let _next = joins_eventually(|| server.connect());
    bystanders.talk();
}

#[test]
fn half_a_frame_and_then_a_reset_harms_nobody() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let mut receiver = server.join(&["t"]);
    for round in 0..50 {
        let mut half = server.join(&["t"]);
        half.send(b"{\"message\":{\"topic\":\"t\",\"te");
        half.reset();
        let mut other = server.join(&["t"]);
        other.say("t", &round.to_string());
        receiver.expect("t", &round.to_string());
    }
    bystanders.talk();
}

#[test]
fn three_hundred_connections_that_come_and_vanish_harm_nobody() {
    let server = TestServer::with(Config {
        max_connections: 302,
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    for round in 0..3 {
        let mut crowd: Vec<_> = (0..300)
            .map(|_| joins_eventually(|| server.connect()))
            .collect();
        for client in &mut crowd {
            client.register(&["bystanders", "t"]);
            client.send(b"{\"message\":{\"topic\":\"bys");
        }
        bystanders.talk();
        for (number, client) in crowd.into_iter().enumerate() {
            if number % 2 == 0 {
                client.reset();
            } else {
                drop(client);
            }
            if number % 50 == round {
                bystanders.talk();
            }
        }
        bystanders.talk();
    }
}

#[test]
fn a_reset_while_messages_are_on_their_way_harms_nobody() {
    let server = TestServer::start();
    let mut publisher = server.join(&["t"]);
    let mut receiver = server.join(&["t"]);
    let text = "x".repeat(1_000);
    for round in 0..30 {
        let going: Vec<_> = (0..5).map(|_| server.join(&["t"])).collect();
        let first = format!("{round} {text}");
        publisher.send(&message("t", &first).repeat(50));
        going.into_iter().for_each(Client::reset);
        publisher.send(&message("t", &first).repeat(50));
        for _ in 0..100 {
            receiver.expect("t", &first);
        }
    }
}

#[test]
fn five_hundred_receivers_all_get_everything() {
    let server = TestServer::start();
    let mut publisher = server.join(&["t"]);
    let mut receivers: Vec<_> = (0..500).map(|_| server.join(&["t"])).collect();
    for number in 0..20 {
        publisher.say("t", &number.to_string());
    }
    for receiver in &mut receivers {
        for number in 0..20 {
            receiver.expect("t", &number.to_string());
        }
    }
}
