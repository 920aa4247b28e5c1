//! Handshakes that come in pieces, break off, or are none.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::common::uninterrupted::uninterrupted;
use crate::common::{Bystanders, Client, LIMIT, TestServer, read_some, registration};
use crate::server;

/// A client's end before its first byte is sent.
fn client() -> ClientConnection {
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::new(server::config()), name).unwrap()
}

/// What it says first.
fn hello() -> Vec<u8> {
    let mut hello = Vec::new();
    client().write_tls(&mut hello).unwrap();
    assert!(hello.len() > 200);
    hello
}

/// Reads until the server closes; false if it doesn't.
fn is_closed(socket: &mut impl Read) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match read_some(socket, &mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    let server = server::optional();
    let mut bystanders = Bystanders::on(&server);
    let mut socket = server::socket(server.addr());
    let mut client = client();
    while client.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        for byte in bytes {
            socket.write_all(&[byte]).unwrap();
            std::thread::yield_now();
        }
        if client.is_handshaking() {
            uninterrupted(|| client.read_tls(&mut socket)).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    client.writer().write_all(&registration(&["t"])).unwrap();
    client.writer().write_all(b"{}").unwrap();
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    for byte in bytes {
        socket.write_all(&[byte]).unwrap();
    }
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") {
        uninterrupted(|| client.read_tls(&mut socket)).unwrap();
        client.process_new_packets().unwrap();
        let mut some = [0; 1024];
        if let Ok(count) = read_some(&mut client.reader(), &mut some) {
            answer.extend(&some[..count]);
        }
    }
    assert!(String::from_utf8(answer).unwrap().contains("unknown-frame"));
    bystanders.talk();
}

#[test]
fn a_handshake_cut_at_any_byte_ends_its_connection_only() {
    let server = server::optional();
    let mut bystanders = Bystanders::on(&server);
    let hello = hello();
    for end in 1..hello.len() {
        let mut socket = server::socket(server.addr());
        socket.write_all(&hello[..end]).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        assert!(is_closed(&mut socket), "{end}");
    }
    bystanders.talk();
}

#[test]
fn the_second_flight_cut_at_any_byte_ends_its_connection_only() {
    let server = server::optional();
    let mut bystanders = Bystanders::on(&server);
    for end in 0.. {
        let mut socket = server::socket(server.addr());
        let mut client = client();
        let mut flights = Vec::new();
        while client.is_handshaking() {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            flights.push(bytes);
            if flights.len() == 2 {
                break;
            }
            socket.write_all(&flights[0]).unwrap();
            while client.is_handshaking() && !client.wants_write() {
                uninterrupted(|| client.read_tls(&mut socket)).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        if flights.len() < 2 {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            flights.push(bytes);
        }
        if end == flights[1].len() {
            break;
        }
        socket.write_all(&flights[1][..end]).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        assert!(is_closed(&mut socket), "{end}");
    }
    bystanders.talk();
}

#[test]
fn garbage_after_the_first_byte_ends_its_connection_only() {
    let server = server::optional();
    let mut bystanders = Bystanders::on(&server);
    let hello = hello();
    let run = |bytes: &[u8]| {
        let mut socket = server::socket(server.addr());
        // The server may hang up before it has everything.
        let _ = socket.write_all(bytes);
        let _ = socket.shutdown(Shutdown::Write);
        assert!(is_closed(&mut socket), "{bytes:?}");
    };
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&prop::collection::vec(any::<u8>(), 0..600), |mut bytes| {
            bytes.insert(0, 0x16);
            run(&bytes);
            Ok(())
        })
        .unwrap();
    let change = (1..hello.len(), any::<u8>());
    runner
        .run(&change, |(at, byte)| {
            let mut changed = hello.clone();
            changed[at] = byte;
            run(&changed);
            Ok(())
        })
        .unwrap();
    // A record that says it is longer than any, and one in tiny pieces without an end.
    run(b"\x16\x03\x01\xff\xff\x01\x00\xff\xff");
    run(&[&b"\x16\x03\x01\x00\x01\x01".repeat(20_000)[..]].concat());
    bystanders.talk();
}

#[test]
fn a_handshake_that_isnt_finished_has_a_deadline() {
    let server = server::with(|config| {
        config.tls.handshake_timeout = Duration::from_millis(300);
        config.tls.max_handshakes = 1;
    });
    let hello = hello();
    let mut late: Vec<_> = [1, 3, 5, 100, hello.len()]
        .into_iter()
        .map(|end| {
            let mut socket = server::socket(server.addr());
            socket.write_all(&hello[..end]).unwrap();
            socket
        })
        .collect();
    // They wait, and keep nobody out meanwhile.
    server::join(server.addr(), "t");
    let start = Instant::now();
    for socket in &mut late {
        assert!(is_closed(socket));
    }
    assert!(start.elapsed() < LIMIT / 2);
}

#[test]
fn a_client_that_offers_only_another_protocol_is_refused() {
    let server = server::optional();
    let end = |protocols: &[&[u8]]| {
        let mut config = server::config();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        server::end_with(server.addr(), config)
    };
    for known in [
        &[&b"natter/1"[..]][..],
        &[b"http/1.1"],
        &[b"h2", b"http/1.1"],
        &[],
    ] {
        assert!(end(known).is_ok(), "{known:?}");
    }
    for alien in [&[&b"h2"[..]][..], &[b"ftp"], &[b"smtp", b"imap"]] {
        let error = end(alien).err().unwrap().to_string();
        assert!(error.contains("NoApplicationProtocol"), "{error}");
    }
}

#[test]
fn the_oldest_version_is_the_one_that_is_configured() {
    let only_12 = || {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(crate::common::tls::verifier())
            .with_no_client_auth()
    };
    let server = server::optional();
    assert!(server::end_with(server.addr(), only_12()).is_ok());
    let server = server::with(|config| config.tls.min_version = topicserver::TlsVersion::Tls13);
    let error = server::end_with(server.addr(), only_12()).err().unwrap();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    server::join(server.addr(), "t");
}

#[test]
fn a_handshake_within_tls_is_no_json() {
    let server = server::optional();
    let mut client = server::connect(server.addr());
    client.send(&hello());
    client.expect_error("not-json");
    client.expect_end();
}

#[test]
fn a_connection_in_a_handshake_is_counted_and_given_back() {
    let server = server::with(|config| {
        config.max_connections = 2;
        config.tls.handshake_timeout = Duration::from_secs(3600);
    });
    let mut first = server::socket(server.addr());
    first.write_all(&hello()[..50]).unwrap();
    let second = server::join(server.addr(), "t");
    Client::connect(server.addr()).expect_error("too-many-connections");
    drop(first);
    crate::common::eventually("the place to be free", || {
        let mut client = Client::connect(server.addr());
        client.send(b"{}");
        let (_, text) = client.message();
        text.starts_with("unknown-frame").then_some(())
    });
    drop(second);
}

#[test]
fn a_server_that_ends_doesnt_wait_for_handshakes() {
    let mut server = server::with(|config| {
        config.tls.handshake_timeout = Duration::from_secs(3600);
        config.drain_timeout = Duration::from_secs(3600);
    });
    let mut unfinished = server::socket(server.addr());
    unfinished.write_all(&hello()[..50]).unwrap();
    let mut client = server::join(server.addr(), "t");
    server.stop();
    client.expect_error("shutting-down");
    client.expect_end();
    drop(client);
    assert!(is_closed(&mut unfinished));
    assert_eq!(server.ended(), topicserver::Ended::Drained);
}
