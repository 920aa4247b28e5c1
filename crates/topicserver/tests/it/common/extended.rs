//! What an extended client says and hears.

use serde_json::{Value, json};

use super::{Client, TestServer};

/// A message as an extended connection gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub topic: String,
    pub text: String,
    pub seq: Option<u64>,
    pub user: Option<String>,
    pub time: u64,
}

impl TestServer {
    /// An extended client, registered, and what it was answered.
    pub fn extended(&self, topics: &[&str], options: Value) -> (Client, Value) {
        let mut client = self.connect();
        let answer = client.register_extended(topics, options);
        (client, answer)
    }
}

impl Client {
    /// Registers as an extended client; the answer's `registered`.
    #[track_caller]
    pub fn register_extended(&mut self, topics: &[&str], options: Value) -> Value {
        self.send(format!("{}\n", json!({"topics": topics, "extended": options})).as_bytes());
        self.expect_event("registered")
    }

    /// Sends a frame with nothing but `extended`.
    pub fn ask(&mut self, extended: Value) {
        self.send(format!("{}\n", json!({ "extended": extended })).as_bytes());
    }

    /// Says something that is to be acknowledged.
    pub fn say_with_id(&mut self, topic: &str, text: &str, id: &str) {
        let frame = json!({
            "extended": {"id": id},
            "message": {"topic": topic, "text": text},
        });
        self.send(format!("{frame}\n").as_bytes());
    }

    /// The next frame.
    #[track_caller]
    pub fn frame(&mut self) -> Value {
        let line = self.line();
        serde_json::from_slice(&line)
            .unwrap_or_else(|error| panic!("no JSON: {error}: {}", String::from_utf8_lossy(&line)))
    }

    /// The next frame must be this event of the server's.
    #[track_caller]
    pub fn expect_event(&mut self, name: &str) -> Value {
        let frame = self.frame();
        match &frame["extended"][name] {
            Value::Null => panic!("waiting for {name}, got {frame}"),
            event => event.clone(),
        }
    }

    /// The next frame must be an error of this code, in the extended form.
    #[track_caller]
    pub fn expect_extended_error(&mut self, code: &str) -> Value {
        let error = self.expect_event("error");
        assert_eq!(error["code"], code, "{error}");
        assert!(!error["text"].as_str().unwrap().is_empty());
        error
    }

    /// The next frame must acknowledge this; the sequence number.
    #[track_caller]
    pub fn expect_ack(&mut self, topic: &str, id: &str) -> u64 {
        let ack = self.expect_event("ack");
        assert_eq!(ack["id"], id, "{ack}");
        assert_eq!(ack["topic"], topic, "{ack}");
        ack["seq"].as_u64().unwrap()
    }

    /// The next frame must be a message with an envelope, first.
    #[track_caller]
    pub fn delivered(&mut self) -> Delivered {
        let line = self.line();
        let shown = String::from_utf8_lossy(&line);
        assert!(line.starts_with(b"{\"extended\":{"), "{shown}");
        let frame: Value = serde_json::from_slice(&line).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let missing = || panic!("no message: {shown}");
        Delivered {
            topic: text(&frame["message"]["topic"]).unwrap_or_else(missing),
            text: text(&frame["message"]["text"]).unwrap_or_else(missing),
            seq: frame["extended"]["seq"].as_u64(),
            user: text(&frame["extended"]["user"]),
            time: frame["extended"]["time"].as_u64().unwrap(),
        }
    }

    /// The next frame must be this message, with this number.
    #[track_caller]
    pub fn expect_delivered(&mut self, topic: &str, text: &str, seq: u64) {
        let got = self.delivered();
        let got = (got.topic.as_str(), got.text.as_str(), got.seq);
        assert_eq!(got, (topic, text, Some(seq)));
    }

    /// Returns when everything that was sent before has been handled and all that
    /// was answered before has been read, which must be nothing.
    #[track_caller]
    pub fn sync_extended(&mut self) {
        self.ask(json!({"ping": "sync"}));
        assert_eq!(self.expect_event("pong"), "sync");
    }

    /// Returns when everything that this client published to a topic before has
    /// been handed on: what a topic is asked, it answers in its order.
    #[track_caller]
    pub fn sync_topic(&mut self, topic: &str) {
        self.ask(json!({ "who": topic }));
        self.expect_event("members");
    }
}
