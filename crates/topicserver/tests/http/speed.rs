//! What a delivery costs the server through each transport, in CPU time. Not run with the
//! other tests, because it only measures:
//! `cargo test --release -p topicserver --test http speed -- --ignored --nocapture`

use std::time::Instant;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::{Client, Process};

const RECEIVERS: usize = 1000;
const MESSAGES: usize = 300;
const TEXT: usize = 128;

/// What the last message ends with.
const MARK: &str = "the end of it all";

/// A way in, and what a receiver that takes it says first.
struct Transport {
    name: &'static str,
    hello: String,
}

fn transports(host: &str) -> Vec<Transport> {
    let get = format!("GET /lab HTTP/1.1\r\nhost: {host}\r\n");
    let frame = "{\"topics\":[\"lab\"],\"extended\":{}}";
    // A text message as a client sends it, masked with zeros.
    let length = char::from(0x80 | u8::try_from(frame.len()).unwrap());
    let websocket = format!("\u{81}{length}\0\0\0\0{frame}");
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    vec![
        Transport {
            name: "TCP",
            hello: format!("{frame}\n"),
        },
        Transport {
            name: "lines over HTTP",
            hello: format!("{get}\r\n"),
        },
        Transport {
            name: "Server-Sent Events",
            hello: format!("{get}accept: text/event-stream\r\n\r\n"),
        },
        Transport {
            name: "WebSocket",
            hello: format!("GET /-/ws HTTP/1.1\r\nhost: {host}\r\n{upgrade}{websocket}"),
        },
    ]
}

/// Reads until a text has come.
async fn read_until(stream: &mut TcpStream, mark: &[u8]) {
    let mut bytes = vec![0; 16 * 1024];
    let mut kept = 0;
    loop {
        let count = stream.read(&mut bytes[kept..]).await.unwrap();
        assert!(count > 0, "the connection ended");
        let there = kept + count;
        if memchr::memmem::find(&bytes[..there], mark).is_some() {
            return;
        }
        let rest = there.min(mark.len());
        bytes.copy_within(there - rest..there, 0);
        kept = rest;
    }
}

#[test]
#[ignore = "it only measures"]
fn a_delivery_through_each_door() {
    for round in 0..3 {
        let server = Process::start(&[]);
        let addr = server.v4();
        for transport in transports(&addr.to_string()) {
            let before_all = server.memory();
            let runtime = tokio::runtime::Runtime::new().unwrap();
            // Bytes of one character each: the mask and the length are no ASCII.
            let hello: Vec<u8> = transport
                .hello
                .chars()
                .map(|c| u8::try_from(c).unwrap())
                .collect();
            let receivers: Vec<_> = (0..RECEIVERS)
                .map(|_| {
                    let hello = hello.clone();
                    runtime.block_on(async move {
                        let mut stream = TcpStream::connect(addr).await.unwrap();
                        stream.write_all(&hello).await.unwrap();
                        read_until(&mut stream, b"registered").await;
                        stream
                    })
                })
                .collect();
            let memory = server.memory().saturating_sub(before_all) / RECEIVERS;
            let reading: Vec<_> = receivers
                .into_iter()
                .map(|mut stream| {
                    runtime.spawn(async move { read_until(&mut stream, MARK.as_bytes()).await })
                })
                .collect();
            let mut publisher = Client::connect(addr);
            publisher.register_extended(&["lab"], json!({}));
            let text = "x".repeat(TEXT);
            let (ticks, start) = (server.ticks(), Instant::now());
            for number in 1..MESSAGES {
                let id = format!("{}-{round}-{number}", transport.name);
                publisher.say_with_id("lab", &text, &id);
                publisher.expect_ack("lab", &id);
            }
            publisher.say("lab", &format!("{text}{MARK}"));
            for receiver in reading {
                runtime.block_on(receiver).unwrap();
            }
            let cpu = (server.ticks() - ticks) as f64 * 10_000.0;
            println!(
                "{:20} {:6.2} µs of CPU a delivery, {memory:6} bytes a receiver, {:?}",
                transport.name,
                cpu / (RECEIVERS * MESSAGES) as f64,
                start.elapsed(),
            );
        }
    }
}
