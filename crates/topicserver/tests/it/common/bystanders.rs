//! Two people who talk while others misbehave.

use super::{Client, TestServer};
use std::net::SocketAddr;

/// A conversation in a topic of its own.
pub struct Bystanders {
    left: Client,
    right: Client,
    said: u32,
}

impl Bystanders {
    const TOPIC: &'static str = "bystanders";

    pub fn on(server: &TestServer) -> Self {
        Self::at(server.addr())
    }

    /// Begins a conversation.
    pub fn at(addr: SocketAddr) -> Self {
        let join = || {
            let mut client = Client::connect(addr);
            client.join(&[Self::TOPIC]);
            client
        };
        let mut bystanders = Self {
            left: join(),
            right: join(),
            said: 0,
        };
        bystanders.talk();
        bystanders
    }

    /// Each says something, and the other must hear just that.
    #[track_caller]
    pub fn talk(&mut self) {
        self.said += 1;
        let question = format!("question {}", self.said);
        self.left.say(Self::TOPIC, &question);
        self.right.expect(Self::TOPIC, &question);
        let answer = format!("answer {}", self.said);
        self.right.say(Self::TOPIC, &answer);
        self.left.expect(Self::TOPIC, &answer);
    }
}
