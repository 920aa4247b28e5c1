//! The same frames, one a text message.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use topicserver::{Config, Ended};

use crate::common::{Bystanders, LIMIT, TestServer, eventually};
use crate::requests::Http;

/// A WebSocket that waits for what it expects, but not for ever.
pub struct Socket {
    runtime: Runtime,
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    fn to(server: &TestServer) -> Self {
        Self::at(server.addr())
    }

    pub fn at(addr: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let stream = runtime.block_on(async {
            let tcp = TcpStream::connect(addr).await.unwrap();
            let url = format!("ws://{addr}/-/ws");
            tokio_tungstenite::client_async(url, tcp).await.unwrap().0
        });
        Self { runtime, stream }
    }

    fn join(server: &TestServer, topic: &str, options: Value) -> Self {
        let mut socket = Self::to(server);
        socket.send(json!({"topics": [topic], "extended": options}));
        assert!(socket.frame()["extended"]["registered"].is_object());
        socket
    }

    pub fn send(&mut self, frame: Value) {
        self.send_message(Message::text(frame.to_string()));
    }

    fn send_message(&mut self, message: Message) {
        self.runtime.block_on(self.stream.send(message)).unwrap();
    }

    /// The next message but pings.
    fn message(&mut self) -> Message {
        let next = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(message)) => return message,
                    other => panic!("no message: {other:?}"),
                }
            }
        };
        let next = self
            .runtime
            .block_on(async { tokio::time::timeout(LIMIT, next).await });
        next.expect("nothing came")
    }

    #[track_caller]
    pub fn frame(&mut self) -> Value {
        match self.message() {
            Message::Text(text) => {
                assert!(!text.contains('\n'), "{text}");
                serde_json::from_str(&text).unwrap()
            }
            other => panic!("waiting for a frame, got {other:?}"),
        }
    }

    #[track_caller]
    fn expect_close(&mut self, code: u16, reason: &str) {
        match self.message() {
            Message::Close(Some(CloseFrame {
                code: told,
                reason: why,
            })) => {
                assert_eq!((u16::from(told), why.as_str()), (code, reason));
            }
            other => panic!("waiting for the end, got {other:?}"),
        }
    }
}

fn say(topic: &str, text: &str, id: &str) -> Value {
    json!({"extended": {"id": id}, "message": {"topic": topic, "text": text}})
}

#[test]
fn a_websocket_takes_part_like_every_connection() {
    let server = TestServer::start();
    let mut classic = server.join(&["lab"]);
    let mut alice = Socket::join(&server, "lab", json!({"user": "alice"}));
    let mut bob = Socket::join(&server, "lab", json!({"user": "bob"}));
    assert_eq!(alice.frame()["extended"]["joined"]["user"], "bob");
    alice.send(say("lab", "h\u{e9}llo", "1"));
    assert_eq!(alice.frame()["extended"]["ack"]["seq"], 1);
    classic.expect("lab", "h\u{e9}llo");
    let heard = bob.frame();
    assert_eq!(heard["message"]["text"], "h\u{e9}llo");
    assert_eq!(heard["extended"]["user"], "alice");
    classic.say("lab", "hi");
    assert_eq!(alice.frame()["message"]["text"], "hi");
    let text = Message::binary(say("lab", "in bytes", "2").to_string());
    bob.send_message(text);
    classic.expect("lab", "in bytes");
}

#[test]
fn a_classic_registration_makes_a_classic_session() {
    let server = TestServer::start();
    let mut socket = Socket::to(&server);
    socket.send(json!({"topics": ["lab"]}));
    socket.send(json!({}));
    assert_eq!(socket.frame()["message"]["topic"], "error");
    server.join(&["lab"]).say("lab", "hi");
    let frame = socket.frame();
    assert_eq!(frame["message"]["text"], "hi");
    assert!(frame.get("extended").is_none());
}

#[test]
fn who_comes_back_gets_what_he_missed() {
    let server = TestServer::start();
    let mut sender = server.join(&["lab"]);
    let mut socket = Socket::join(&server, "lab", json!({"client": "k"}));
    sender.say("lab", "one");
    assert_eq!(socket.frame()["extended"]["seq"], 1);
    drop(socket);
    sender.say("lab", "two");
    sender.sync();
    let mut socket = Socket::to(&server);
    let epoch = Http::to(&server).get("/lab?poll=1", &[]);
    let registered: Value = serde_json::from_str(epoch.text().lines().next().unwrap()).unwrap();
    let epoch = &registered["extended"]["registered"]["topics"]["lab"]["epoch"];
    let resume = json!({"lab": {"epoch": epoch, "seq": 1}});
    socket.send(json!({"topics": ["lab"], "extended": {"client": "k", "resume": resume}}));
    let state = socket.frame()["extended"]["registered"]["topics"]["lab"].clone();
    assert_eq!(state["recovered"], true);
    assert_eq!(socket.frame()["message"]["text"], "two");
}

#[test]
fn what_cant_be_read_is_told_and_closed() {
    let server = TestServer::start();
    let mut bystanders = Bystanders::on(&server);
    let mut socket = Socket::join(&server, "lab", json!({}));
    socket.send_message(Message::text("nonsense"));
    assert_eq!(socket.frame()["extended"]["error"]["code"], "not-json");
    socket.expect_close(1008, "not-json");

    let mut socket = Socket::join(&server, "lab", json!({}));
    socket.send_message(Message::text("x".repeat(70_000)));
    assert_eq!(socket.frame()["extended"]["error"]["code"], "too-long");
    socket.expect_close(1009, "too-long");

    let answer = Http::to(&server).get("/-/ws", &[]);
    answer.expect_problem(400, "bad-request");
    bystanders.talk();
}

#[test]
fn a_peer_that_never_registers_is_told_and_closed() {
    let server = TestServer::with(Config {
        registration_timeout: Duration::from_secs(2),
        ..Config::default()
    });
    let mut socket = Socket::to(&server);
    assert_eq!(socket.frame()["message"]["topic"], "error");
    socket.expect_close(1008, "registration-timeout");
}

#[test]
fn the_end_of_the_server_is_told() {
    let mut server = TestServer::start();
    let mut socket = Socket::join(&server, "lab", json!({}));
    server.stop();
    assert_eq!(socket.frame()["extended"]["error"]["code"], "shutting-down");
    socket.expect_close(1012, "shutting-down");
    assert_eq!(server.ended(), Ended::Drained);
}

#[test]
fn who_closes_has_left() {
    let server = TestServer::start();
    let mut alice = Socket::join(&server, "lab", json!({"user": "alice"}));
    let mut bob = Socket::join(&server, "lab", json!({"user": "bob"}));
    alice.frame();
    bob.send_message(Message::Close(None));
    assert_eq!(alice.frame()["extended"]["left"]["user"], "bob");
    drop(alice);
    let is_empty = || {
        let who = Http::to(&server).get("/-/topics/lab/who", &[]).json();
        (who["members"]["count"] == 0).then_some(())
    };
    eventually("everyone to have left", is_empty);
}

#[test]
fn who_answers_no_ping_is_gone() {
    let server = TestServer::with(Config {
        ping_interval: Duration::from_millis(50),
        ..Config::default()
    });
    let mut there = Socket::join(&server, "lab", json!({"user": "there"}));
    // Nobody reads on this one, so nobody answers.
    let _silent = Socket::join(&server, "lab", json!({"user": "silent"}));
    assert_eq!(there.frame()["extended"]["joined"]["user"], "silent");
    assert_eq!(there.frame()["extended"]["left"]["user"], "silent");
}

#[test]
fn a_websocket_that_doesnt_read_is_caught_up_and_delays_nobody() {
    let server = TestServer::with(Config {
        max_outbox: 64 * 1024,
        history_messages: 100_000,
        history_bytes: 64 * 1024 * 1024,
        ..Config::default()
    });
    let mut bystanders = Bystanders::on(&server);
    let mut socket = Socket::join(&server, "lab", json!({}));
    let mut sender = server.join(&["lab"]);
    let text = "x".repeat(1000);
    for number in 0..8_000 {
        sender.say("lab", &format!("{number} {text}"));
    }
    sender.sync();
    bystanders.talk();
    for number in 0..8_000 {
        assert_eq!(socket.frame()["extended"]["seq"], number + 1);
    }
}
