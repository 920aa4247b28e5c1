//! Two of three NATS servers are gone: each kind of client is told, nothing is delivered to any of
//! them, and all go on where they were when most NATS servers are back.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use crate::chats::Chat;
use crate::harness::LIMIT;
use crate::links::{Events, Link, Transport};
use crate::nats::{Nats, Setup, program};
use crate::servers::{COUNT, Cluster};
use crate::witness::{Outcome, request};

const TOPIC: &str = "T";

/// What ends the test.
const LAST: &str = "the last one";

/// What `chat` says when the log is away, and when it is there again.
const AWAY: &str = "doesn't reach";
const BACK: &str = "again";

/// The time after which a publisher is told that nothing is known of its message.
const TIMEOUT: [&str; 2] = ["--storage-timeout", "3"];

/// How a client gets what it gets.
enum Way {
    Frames(Link),
    Events(Events),
}

/// A client that goes on while the log is away.
struct Client {
    name: &'static str,
    is_extended: bool,
    way: Way,
    /// The messages that it got, in this order.
    texts: Vec<String>,
    /// What is where in the topic, of which it knows; its own messages too.
    places: BTreeMap<u64, String>,
}

impl Client {
    fn new(name: &'static str, is_extended: bool, way: Way) -> Self {
        Self {
            name,
            is_extended,
            way,
            texts: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// The next frame; messages are noted. `None`: nothing came for a while.
    fn next(&mut self) -> Option<Value> {
        let frame = match &mut self.way {
            Way::Frames(link) => link.frame()?,
            Way::Events(events) => events.next()?.frame,
        };
        let ack = &frame["extended"]["ack"];
        if frame["message"]["topic"] == TOPIC {
            let text = frame["message"]["text"].as_str().unwrap();
            self.texts.push(text.to_owned());
            self.note(&frame["extended"]["seq"], text);
        } else if ack["id"] == self.name {
            self.note(&ack["seq"], self.name);
        }
        Some(frame)
    }

    fn note(&mut self, seq: &Value, text: &str) {
        if let Some(seq) = seq.as_u64() {
            let before = self.places.insert(seq, text.to_owned());
            assert_eq!(before, None, "{} got {seq} twice", self.name);
        }
    }

    /// The first frame that is wanted.
    fn expect(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            if let Some(frame) = self.next().filter(&is_it) {
                return frame;
            }
        }
        let (name, texts) = (self.name, &self.texts);
        panic!("{name} waited {LIMIT:?} for {what}; it has {texts:?}");
    }

    fn expect_text(&mut self, text: &str) {
        if self.texts.iter().all(|one| one != text) {
            self.expect(text, |frame| frame["message"]["text"] == text);
        }
    }

    /// What says that the log is away, or is there again.
    fn expect_word(&mut self, code: &str) {
        match self.is_extended {
            true => drop(self.expect(code, |frame| frame["extended"]["notice"]["code"] == code)),
            false => self.expect_error(code),
        }
    }

    /// An error, about its message if it is an extended client.
    fn expect_error(&mut self, code: &str) {
        let (is_extended, name) = (self.is_extended, self.name);
        self.expect(code, |frame| {
            let (error, text) = (&frame["extended"]["error"], &frame["message"]["text"]);
            match is_extended {
                true => error["code"] == code && error["id"] == name,
                false => {
                    let begins = |text: &str| text.starts_with(&format!("{code}: "));
                    frame["message"]["topic"] == "error" && text.as_str().is_some_and(begins)
                }
            }
        });
    }

    /// Says its name, which is the id too.
    fn say(&mut self) {
        let message = json!({"topic": TOPIC, "text": self.name});
        let frame = match self.is_extended {
            true => json!({"extended": {"id": self.name}, "message": message}),
            false => json!({ "message": message }),
        };
        if let Way::Frames(link) = &mut self.way {
            link.send(&[frame]).unwrap();
        }
    }

    fn is_reader(&self) -> bool {
        matches!(self.way, Way::Events(_))
    }
}

/// One client of each kind, at different servers.
fn clients(cluster: &Cluster) -> Vec<Client> {
    let frames = |name, server, transport, is_extended| {
        let mut link = Link::connect(cluster.addr(server), transport).unwrap();
        match is_extended {
            true => drop(link.register(&[TOPIC], &json!({"client": name})).unwrap()),
            false => link.send(&[json!({"topics": [TOPIC]})]).unwrap(),
        }
        Client::new(name, is_extended, Way::Frames(link))
    };
    let events = Events::open(cluster.addr(2), &[TOPIC], "").unwrap();
    vec![
        frames("classic", 0, Transport::Tcp, false),
        frames("TCP", 1, Transport::Tcp, true),
        frames("WebSocket", 2, Transport::WebSocket, true),
        frames("classic WebSocket", 0, Transport::WebSocket, false),
        Client::new("events", true, Way::Events(events.unwrap())),
    ]
}

/// Asks the server at which nobody else publishes by requests.
fn ask(cluster: &Cluster, method: &str, path: &str, body: &str) -> (u16, Value) {
    match request(cluster.addr(0), method, path, body) {
        Outcome::Answered(status, body) => (status, body),
        other => panic!("{method} {path}: {other:?}"),
    }
}

/// Publishes until it is stored.
fn post_until_stored(cluster: &Cluster, text: &str) -> u64 {
    let began = Instant::now();
    let id: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let path = format!("/{TOPIC}?id={id}&user=curl");
    loop {
        match ask(cluster, "POST", &path, text) {
            (200, body) => return body["seq"].as_u64().unwrap(),
            (503, _) => assert!(began.elapsed() < LIMIT, "{text} isn't stored"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn without_most_nats_servers_everybody_is_told_and_goes_on_afterwards() {
    let Some(program) = program() else {
        return;
    };
    let nats = Nats::in_memory(&program, Setup::flushing(COUNT)).unwrap();
    let mut cluster = Cluster::on(nats, &TIMEOUT);
    let mut clients = clients(&cluster);
    let mut chat = Chat::start(&cluster.addrs(), TOPIC, &["--last", "1000000"]);
    meet(&cluster, &mut clients);
    if let Some(chat) = &chat {
        chat.expect_text(TOPIC, "hello 1");
    }
    for gone in [1, 2] {
        cluster.nats.servers[gone].kill();
    }
    is_away(&cluster, &mut clients, chat.as_mut());
    let late = comes_late(&cluster);
    for gone in [1, 2] {
        cluster.nats.servers[gone].start();
    }
    cluster.nats.wait();
    if let Some(late) = late {
        late.expect_notice("joined");
        late.end();
    }
    is_back(&cluster, &mut clients, chat);
}

/// A `chat` that is started while most NATS servers are gone. It is refused, and doesn't give up.
fn comes_late(cluster: &Cluster) -> Option<Chat> {
    let late = Chat::start(&cluster.addrs(), TOPIC, &[])?;
    late.expect_notice("is lost: no-quorum");
    Some(late)
}

/// Publishes until everybody gets it: the classic clients have joined then.
fn meet(cluster: &Cluster, clients: &mut [Client]) {
    let began = Instant::now();
    let mut sent = 0;
    for client in clients.iter_mut() {
        while client.texts.is_empty() {
            assert!(began.elapsed() < LIMIT, "{} gets nothing", client.name);
            sent += 1;
            post_until_stored(cluster, &format!("hello {sent}"));
            client.next();
        }
    }
    let last = format!("hello {sent}");
    for client in clients.iter_mut() {
        client.expect_text(&last);
    }
}

/// Most NATS servers are gone: what everybody is told, and that nothing comes.
fn is_away(cluster: &Cluster, clients: &mut [Client], chat: Option<&mut Chat>) {
    let before: Vec<_> = clients.iter().map(|one| one.texts.len()).collect();
    for client in clients.iter_mut() {
        client.expect_word("no-quorum");
        client.say();
    }
    if let Some(chat) = chat {
        chat.say("chat");
        chat.expect_notice(AWAY);
    }
    for client in clients.iter_mut().filter(|client| !client.is_reader()) {
        client.expect_error("no-quorum");
    }
    let path = format!("/{TOPIC}?id=curl&user=curl");
    let (status, body) = ask(cluster, "POST", &path, "curl");
    let code = body["error"]["code"].as_str();
    assert_eq!((status, code), (503, Some("no-quorum")), "{body}");
    for path in [
        "/T?poll=1&last=1",
        "/other?poll=1&last=1",
        "/other?poll=1&before=9",
    ] {
        let (status, body) = ask(cluster, "GET", path, "");
        let code = body["error"]["code"].as_str();
        assert_eq!((status, code), (503, Some("no-quorum")), "{path}: {body}");
    }
    let (status, body) = ask(cluster, "GET", "/-/ready", "");
    assert_eq!(
        (status, &body["because"][0]),
        (503, &json!("no-quorum")),
        "{body}"
    );
    let mut late = Client::new(
        "late",
        true,
        Way::Frames(Link::connect(cluster.addr(1), Transport::Tcp).unwrap()),
    );
    if let Way::Frames(link) = &mut late.way {
        link.send(&[json!({"topics": ["another"], "extended": {}})])
            .unwrap();
    }
    late.expect("a refusal", |frame| {
        frame["extended"]["error"]["code"] == "no-quorum"
    });
    for (client, before) in clients.iter().zip(before) {
        assert_eq!(
            client.texts.len(),
            before,
            "{} got {:?}",
            client.name,
            client.texts
        );
    }
}

/// Most NATS servers are back: everybody goes on, and sends again what wasn't answered.
fn is_back(cluster: &Cluster, clients: &mut [Client], chat: Option<Chat>) {
    for client in clients.iter_mut().filter(|client| client.is_extended) {
        client.expect_word("quorum");
        client.say();
    }
    let curl = post_until_stored(cluster, "curl");
    assert_eq!(post_until_stored(cluster, "curl"), curl, "it is there once");
    for client in clients.iter_mut() {
        let (name, places) = (client.name, client.places.len());
        if client.is_extended && !client.is_reader() {
            client.expect("an acknowledgement", |frame| {
                frame["extended"]["ack"]["id"] == name
            });
            assert!(client.places.len() > places);
        }
    }
    let has_chat = chat.is_some();
    if let Some(chat) = chat {
        chat.expect_notice(BACK);
        chat.end();
    }
    post_until_stored(cluster, LAST);
    for client in clients.iter_mut() {
        client.expect_text(LAST);
    }
    check(clients, has_chat);
}

/// All have got the same, in one order, and what was sent again is there once.
fn check(clients: &[Client], has_chat: bool) {
    let reader = clients.iter().find(|client| client.is_reader()).unwrap();
    let numbers: Vec<_> = reader.places.keys().copied().collect();
    let last = *numbers.last().unwrap();
    assert!(
        numbers
            .iter()
            .copied()
            .eq(last + 1 - numbers.len() as u64..=last),
        "{numbers:?}"
    );
    for client in clients {
        for (place, text) in &client.places {
            let other = reader.places.get(place);
            assert!(
                other.is_none_or(|other| other == text),
                "{}: {place}",
                client.name
            );
        }
        // Nobody gets what it says itself.
        let others = reader.texts.iter().filter(|text| **text != client.name);
        let others: Vec<_> = others.collect();
        let missed = others.len().saturating_sub(client.texts.len());
        let same = client.texts.iter().rev().take(others.len()).rev();
        assert!(
            same.eq(others[missed..].iter().copied()),
            "{} got {:?}",
            client.name,
            client.texts
        );
    }
    for (text, times) in [
        ("TCP", 1),
        ("WebSocket", 1),
        ("curl", 1),
        ("chat", usize::from(has_chat)),
    ] {
        let count = reader.texts.iter().filter(|one| *one == text).count();
        assert_eq!(count, times, "{text}");
    }
}
