//! Somebody who talks: the connection, if there is one, what must still be read
//! from it, and how far each topic was read.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::reference::{Expected, Origin, Publisher};
use crate::common::Client;

/// What somebody says of itself.
pub struct Who {
    pub is_classic: bool,
    pub user: Option<&'static str>,
    pub key: Option<&'static str>,
}

/// One of each kind.
pub const WHO: [Who; 4] = [
    Who {
        is_classic: false,
        user: Some("alice"),
        key: Some("k"),
    },
    Who {
        is_classic: false,
        user: Some("bob"),
        key: None,
    },
    Who {
        is_classic: false,
        user: None,
        key: None,
    },
    Who {
        is_classic: true,
        user: None,
        key: None,
    },
];

/// A place for one client after another.
pub struct TestClient {
    pub who: &'static Who,
    pub link: Option<Link>,
    /// Topic → epoch and number of what was read last.
    pub read: BTreeMap<&'static str, (String, u64)>,
}

/// A connection.
pub struct Link {
    pub client: Client,
    pub publisher: Publisher,
    /// Of each topic that it is in.
    pub expected: BTreeMap<&'static str, VecDeque<Expected>>,
    /// Number and time of the message of each topic that came last.
    times: BTreeMap<&'static str, (u64, u64)>,
}

/// What came that isn't a topic's.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Registered(Value),
    Ack { topic: String, id: String, seq: u64 },
    Members(String),
    Pong,
    Error { code: String, id: Option<String> },
}

impl Who {
    pub fn origin(&self) -> Origin {
        match (self.key, self.user) {
            (Some(key), _) => Origin::Key(key),
            (None, Some(user)) => Origin::User(user),
            (None, None) => Origin::Address,
        }
    }
}

impl Link {
    pub fn new(client: Client, who: &Who, number: u64) -> Self {
        let publisher = match who.key {
            _ if who.is_classic => Publisher::Classic,
            Some(key) => Publisher::Key(key),
            None => Publisher::Connection(number),
        };
        Self {
            client,
            publisher,
            expected: BTreeMap::new(),
            times: BTreeMap::new(),
        }
    }

    /// How many frames must still come.
    pub fn count_expected(&self) -> usize {
        self.expected.values().map(VecDeque::len).sum()
    }

    pub fn ask(&mut self, extended: &Value) {
        let frame = json!({ "extended": extended });
        self.client.send(format!("{frame}\n").as_bytes());
    }
}

impl TestClient {
    pub fn new(number: usize) -> Self {
        Self {
            who: &WHO[number],
            link: None,
            read: BTreeMap::new(),
        }
    }

    pub fn link(&mut self) -> &mut Link {
        self.link.as_mut().unwrap()
    }

    /// The next event. What comes of topics before must be what was expected.
    pub fn event(&mut self) -> Event {
        loop {
            let frame = self.link().client.frame();
            if let Some(event) = self.take(&frame) {
                return event;
            }
        }
    }

    /// Reads so many of the frames that must come.
    pub fn read(&mut self, count: usize) {
        for _ in 0..count.min(self.link().count_expected()) {
            let frame = self.link().client.frame();
            let event = self.take(&frame);
            assert_eq!(event, None, "where something of a topic should have come");
        }
    }

    /// Reads all that must come; then there may be nothing more.
    pub fn read_all(&mut self) {
        self.read(usize::MAX);
        if self.who.is_classic {
            self.link().client.send(b"{}");
            let code = "unknown-frame".to_owned();
            assert_eq!(self.event(), Event::Error { code, id: None });
        } else {
            self.link().ask(&json!({"ping": 1}));
            assert_eq!(self.event(), Event::Pong);
        }
        assert_eq!(self.link().count_expected(), 0);
    }

    /// Reads to the end of the connection. What is read from disk for this client
    /// may be cut off.
    pub fn read_to_end(&mut self, last: Option<&str>, may_be_cut: bool) {
        let mut told = None;
        while let Some(line) = self.link().client.next_line() {
            let frame = serde_json::from_slice(&line).unwrap();
            assert_eq!(told, None, "after the farewell: {frame}");
            told = self.take(&frame);
        }
        let farewell = last.map(|code| Event::Error {
            code: code.to_owned(),
            id: None,
        });
        assert_eq!(told, farewell);
        let may_be_cut = may_be_cut && !self.who.is_classic;
        assert!(may_be_cut || self.link().count_expected() == 0);
        self.link = None;
    }

    /// Checks a frame of a topic; gives back what isn't one.
    fn take(&mut self, frame: &Value) -> Option<Event> {
        let extended = &frame["extended"];
        let gap = &extended["gap"];
        let topic = [&gap["topic"], &frame["message"]["topic"]]
            .into_iter()
            .find_map(Value::as_str);
        let topic = match topic {
            Some(topic) if topic != "error" => topic,
            _ => return Some(event(frame)),
        };
        let link = self.link.as_mut().unwrap();
        let (&topic, expected) = link
            .expected
            .iter_mut()
            .find(|(name, _)| **name == topic)
            .unwrap_or_else(|| panic!("of a topic that it isn't in: {frame}"));
        let expected = expected.pop_front();
        let expected = expected.unwrap_or_else(|| panic!("nothing more of {topic}, got {frame}"));
        let (got, seq) = match &expected {
            Expected::Gap { to, .. } => {
                let number = |name: &str| gap[name].as_u64().unwrap_or_default();
                let (from, until) = (number("from"), number("to"));
                (Expected::Gap { from, to: until }, *to)
            }
            Expected::Message { seq, user, .. } => {
                let text = frame["message"]["text"].as_str().unwrap_or_default();
                let text = text.to_owned();
                let (seq, user) = (*seq, *user);
                if self.who.is_classic {
                    assert!(extended.is_null(), "{frame}");
                } else {
                    let time = extended["time"].as_u64().unwrap_or_default();
                    let mut envelope = json!({"seq": seq, "time": time});
                    if let Some(user) = user {
                        envelope["user"] = json!(user);
                    }
                    assert_eq!(*extended, envelope, "{frame}");
                    let last = link.times.insert(topic, (seq, time)).unwrap_or_default();
                    let is_later = seq > last.0;
                    assert!(is_later && time >= last.1 || !is_later && time <= last.1);
                }
                (Expected::Message { seq, text, user }, seq)
            }
        };
        assert_eq!(got, expected, "{frame}");
        if let Some((_, read)) = self.read.get_mut(topic) {
            *read = seq;
        }
        None
    }
}

fn event(frame: &Value) -> Event {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let Some((name, value)) = frame["extended"]
        .as_object()
        .and_then(|all| all.iter().next())
    else {
        let told = frame["message"]["text"].as_str().unwrap_or_default();
        let (code, _) = told.split_once(": ").unwrap_or_else(|| panic!("{frame}"));
        let code = code.to_owned();
        return Event::Error { code, id: None };
    };
    match name.as_str() {
        "registered" => Event::Registered(value.clone()),
        "ack" => Event::Ack {
            topic: text(&value["topic"]).unwrap(),
            id: text(&value["id"]).unwrap(),
            seq: value["seq"].as_u64().unwrap(),
        },
        "members" => Event::Members(text(&value["topic"]).unwrap()),
        "pong" => Event::Pong,
        "error" => Event::Error {
            code: text(&value["code"]).unwrap(),
            id: text(&value["id"]),
        },
        _ => panic!("unexpected: {frame}"),
    }
}
