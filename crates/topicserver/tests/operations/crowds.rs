//! Thousands of WebSockets and event streams on a server that ends: each leaves at a moment of its
//! own, comes back to the next server, and has every message once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, watch};
use tokio_tungstenite::tungstenite::Message;

use crate::common::{Client, Directory};

/// Readers of each kind.
const EACH: usize = 1_000;

/// Over how long the server closes its connections.
const SPREAD: Duration = Duration::from_secs(4);

/// The last message's number: some come before the end of the first server, some while it ends,
/// and some from the second one.
const LAST: u64 = 60;

/// Where the server is.
type Place = watch::Receiver<SocketAddr>;

/// What a reader has seen.
struct Seen {
    /// The number of the next message.
    next: u64,
    /// Everybody is there.
    everyone: Option<Arc<Barrier>>,
    /// When it left the first server.
    left: Option<Instant>,
}

impl Seen {
    fn new(everyone: Arc<Barrier>) -> Self {
        Self {
            next: 1,
            everyone: Some(everyone),
            left: None,
        }
    }

    /// Takes a frame. Every message is the one that comes next.
    async fn take(&mut self, frame: &Value) {
        assert!(frame["extended"]["gap"].is_null(), "{frame}");
        if frame["extended"]["registered"].is_object()
            && let Some(everyone) = self.everyone.take()
        {
            everyone.wait().await;
        }
        if let Some(text) = frame["message"]["text"].as_str() {
            assert_eq!(text, self.next.to_string());
            self.next += 1;
        }
    }

    /// When it left, as soon as it has everything.
    fn finished(&self) -> Option<Instant> {
        (self.next > LAST).then(|| self.left.unwrap())
    }
}

/// Connects to the server as soon as it answers.
async fn connect(place: &mut Place) -> TcpStream {
    loop {
        let address = *place.borrow_and_update();
        if let Ok(stream) = TcpStream::connect(address).await {
            return stream;
        }
        // It has ended, and the next one is not there yet.
        place.changed().await.unwrap();
    }
}

/// Reads as a browser's `EventSource` does.
async fn read_events(mut place: Place, mut seen: Seen) -> Instant {
    let mut last_id = None;
    let mut retry = 1_000;
    loop {
        let mut stream = connect(&mut place).await;
        let resume = last_id.iter().map(|id| format!("last-event-id: {id}\r\n"));
        let request = format!(
            "GET /t HTTP/1.0\r\nhost: localhost\r\naccept: text/event-stream\r\n{}\r\n",
            resume.collect::<String>()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let (field, value) = line.split_once(": ").unwrap_or_default();
            match field {
                "id" => last_id = Some(value.to_owned()),
                "retry" => retry = value.parse().unwrap(),
                "data" => seen.take(&serde_json::from_str(value).unwrap()).await,
                _ => {}
            }
            if let Some(left) = seen.finished() {
                return left;
            }
        }
        seen.left.get_or_insert_with(Instant::now);
        tokio::time::sleep(Duration::from_millis(retry)).await;
    }
}

/// Reads as a library does that is asked to come back.
async fn read_websocket(mut place: Place, mut seen: Seen) -> Instant {
    let mut resume = None;
    loop {
        let stream = connect(&mut place).await;
        let opened = tokio_tungstenite::client_async("ws://localhost/-/ws", stream).await;
        let Ok((mut socket, _)) = opened else {
            // It came in the last moment.
            place.changed().await.unwrap();
            continue;
        };
        let about = match &resume {
            Some(place) => json!({"resume": {"t": place}}),
            None => json!({}),
        };
        let registration = json!({"topics": ["t"], "extended": about}).to_string();
        let _ = socket.send(Message::text(registration)).await;
        let mut moment = Box::pin(tokio::time::sleep(Duration::MAX));
        loop {
            let next = tokio::select! {
                next = socket.next() => next,
                () = &mut moment => break,
            };
            let Some(Ok(Message::Text(text))) = next else {
                break;
            };
            let frame: Value = serde_json::from_str(&text).unwrap();
            let about = &frame["extended"];
            if let Some(within) = about["reconnect"]["within"].as_u64() {
                let wait = Duration::from_millis(getrandom::u64().unwrap() % within);
                moment.as_mut().reset(tokio::time::Instant::now() + wait);
            }
            if let Some(state) = about["registered"]["topics"].get("t")
                && resume.is_none()
            {
                resume = Some(json!({"epoch": state["epoch"], "seq": state["seq"]}));
            }
            seen.take(&frame).await;
            if let (Some(seq), Some(place)) = (about["seq"].as_u64(), &mut resume) {
                place["seq"] = seq.into();
            }
            if let Some(left) = seen.finished() {
                return left;
            }
        }
        seen.left.get_or_insert_with(Instant::now);
    }
}

/// Publishes the numbers up to this one; those without an acknowledgement again, over the next
/// connection. Returns the number that is next.
fn publish(client: &mut Client, mut next: u64, to: u64) -> u64 {
    while next <= to {
        let (id, text) = (format!("id-{next}"), next.to_string());
        client.say_with_id("t", &text, &id);
        loop {
            let Some(line) = client.next_line_or_reset() else {
                return next;
            };
            let frame: Value = serde_json::from_slice(&line).unwrap();
            if frame["extended"]["ack"]["id"] == *id {
                break;
            }
        }
        next += 1;
    }
    next
}

fn publisher(address: SocketAddr) -> Client {
    let mut client = Client::connect(address);
    client.register_extended(&["t"], json!({"client": "the publisher"}));
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_websockets_and_streams_lose_and_double_nothing_when_a_server_ends() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let data = Directory::new();
    let spread = SPREAD.as_secs().to_string();
    let options = ["--drain-spread", &spread];
    let mut server = data.serve(&options);
    let (moved, place) = watch::channel(server.v4());
    let everyone = Arc::new(Barrier::new(2 * EACH + 1));
    let seen = || Seen::new(everyone.clone());
    // By turns, because connections are closed in about the order in which they came.
    let (mut streams, mut sockets) = (Vec::new(), Vec::new());
    for _ in 0..EACH {
        streams.push(tokio::spawn(read_events(place.clone(), seen())));
        sockets.push(tokio::spawn(read_websocket(place.clone(), seen())));
    }
    everyone.wait().await;

    // It comes last, so it is among the last to be closed.
    let mut client = publisher(server.v4());
    let next = publish(&mut client, 1, LAST / 3);
    let began = Instant::now();
    server.signal("TERM");
    let next = publish(&mut client, next, LAST * 2 / 3);
    assert_eq!(server.wait().code(), Some(0));
    let server = data.serve(&options);
    moved.send(server.v4()).unwrap();
    publish(&mut publisher(server.v4()), next, LAST);

    for (kind, readers) in [("streams", streams), ("WebSockets", sockets)] {
        let mut left = Vec::new();
        for reader in readers {
            left.push(reader.await.unwrap().duration_since(began));
        }
        left.sort();
        let (early, late) = (left[EACH / 10], left[EACH * 9 / 10]);
        println!("{kind} left after {early:?} to {late:?}");
        assert!(late - early > SPREAD / 2, "{kind}: {early:?} to {late:?}");
    }
    println!("everybody has everything after {:?}", began.elapsed());
}
