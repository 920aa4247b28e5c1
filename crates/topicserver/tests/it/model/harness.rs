//! A server, those who talk on it, and the model that says what they must see.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::{Value, json};
use topicserver::Config;

use super::answers::Answers;
use super::reference::{Expected, IDS, KEPT, Message, Reference};
use super::test_client::{Event, Link, TestClient, WHO};
use super::{Draft, Start, Step};
use crate::common::{Client, Directory, LIMIT, TestServer, is_in_cluster};

/// What has happened in all conversations, so that it is seen to be something.
#[derive(Debug, Default)]
pub struct Counts {
    pub stored: Cell<u64>,
    pub repeated: Cell<u64>,
    /// Resumes that got exactly what was missed, and others.
    pub recovered: Cell<u64>,
    pub broken: Cell<u64>,
    pub gaps: Cell<u64>,
}

pub struct Harness<'a> {
    server: TestServer,
    /// In no topic: asks on behalf of those who can't.
    probes: Vec<Client>,
    directory: Option<Directory>,
    reference: Reference,
    clients: Vec<TestClient>,
    /// Connections so far.
    connections: u64,
    /// Texts so far.
    texts: u64,
    counts: &'a Counts,
}

fn count(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

fn serve(directory: Option<&Directory>) -> (TestServer, Vec<Client>) {
    let server = TestServer::with(Config {
        history_messages: usize::try_from(KEPT).unwrap(),
        max_ids: IDS,
        max_presence: 0,
        data: directory.map(|directory| directory.path().to_owned()),
        ..Config::default()
    });
    // One at each server.
    let count = if is_in_cluster() { 3 } else { 1 };
    let probes = (0..count).map(|_| server.extended(&[], json!({})).0);
    let probes = probes.collect();
    (server, probes)
}

impl<'a> Harness<'a> {
    pub fn new(is_stored: bool, counts: &'a Counts) -> Self {
        let directory = (is_stored && !is_in_cluster()).then(Directory::new);
        let (server, probes) = serve(directory.as_ref());
        Self {
            server,
            probes,
            directory,
            reference: Reference::new(is_stored),
            clients: (0..WHO.len()).map(TestClient::new).collect(),
            connections: 0,
            texts: 0,
            counts,
        }
    }

    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Register {
                client,
                topics,
                start,
            } => match WHO[*client].is_classic {
                true => self.register_classic(*client, topics),
                false => self.register(*client, topics, start),
            },
            // The log of a cluster would end with its servers.
            Step::Restart if is_in_cluster() => {}
            Step::Restart => self.restart(),
            Step::Publish { client, .. }
            | Step::Read { client }
            | Step::Leave { client, .. }
            | Step::Drop { client, .. }
            | Step::Finish { client } => {
                let count = self.clients.len();
                let mut clients = (*client..*client + count).map(|client| client % count);
                if let Some(client) = clients.find(|client| self.clients[*client].link.is_some()) {
                    self.act(client, step);
                }
            }
        }
    }

    /// Somebody who is connected does something.
    fn act(&mut self, client: usize, step: &Step) {
        match step {
            Step::Publish { messages, .. } => self.publish(client, messages),
            Step::Leave { topic, .. } => self.leave(client, topic),
            Step::Drop { after, .. } => {
                self.clients[client].read(*after);
                self.clients[client].link = None;
            }
            Step::Finish { .. } => {
                self.clients[client].link().client.finish_sending();
                self.clients[client].read_to_end(None, false);
            }
            _ => self.clients[client].read_all(),
        }
    }

    /// Everybody has seen everything.
    pub fn end(&mut self) {
        let here = self
            .clients
            .iter_mut()
            .filter(|client| client.link.is_some());
        here.for_each(TestClient::read_all);
    }

    fn connect(&mut self, client: usize) {
        if self.clients[client].link.is_none() {
            self.connections += 1;
            let connection = self.server.connect();
            let link = Link::new(connection, &WHO[client], self.connections);
            self.clients[client].link = Some(link);
        }
    }

    fn register_classic(&mut self, client: usize, topics: &[&'static str]) {
        self.connect(client);
        let link = self.clients[client].link();
        link.client.register(topics);
        for topic in topics {
            link.expected.entry(topic).or_default();
        }
        // Nobody may publish before it is registered.
        self.clients[client].read_all();
    }

    fn register(&mut self, client: usize, topics: &[&'static str], start: &Start) {
        self.connect(client);
        self.clients[client].read_all();
        let (options, wanted) = self.options(client, topics, start);
        let answer = self.registered(client, topics, &options);
        assert_eq!(answer["user"].as_str(), WHO[client].user, "{answer}");
        for topic in topics {
            let link = self.clients[client].link();
            link.expected.entry(topic).or_default();
        }
        let states = answer["topics"].as_object().unwrap();
        let names: BTreeSet<_> = topics.iter().copied().collect();
        assert!(states.keys().eq(&names), "{answer}");
        for name in names {
            self.begin(client, name, &states[name], wanted.get(name));
        }
    }

    /// The options of a registration, and per topic from what on it wants messages.
    fn options(
        &mut self,
        client: usize,
        topics: &[&'static str],
        start: &Start,
    ) -> (Value, BTreeMap<&'static str, Wanted>) {
        let (who, read) = (&WHO[client], &self.clients[client].read);
        let mut options = json!({});
        let mut wanted = BTreeMap::new();
        if let Some(user) = who.user {
            options["user"] = json!(user);
        }
        if let Some(key) = who.key {
            options["client"] = json!(key);
        }
        match start {
            Start::Nothing => {}
            Start::Last(last) => {
                options["last"] = json!(last);
                wanted.extend(topics.iter().map(|topic| (*topic, Wanted::Last(*last))));
            }
            Start::Resume(back) => {
                options["resume"] = json!({});
                for topic in topics {
                    if let Some((epoch, seq)) = read.get(topic) {
                        let seq = seq.saturating_sub(*back);
                        options["resume"][topic] = json!({"epoch": epoch, "seq": seq});
                        let epoch = epoch.clone();
                        wanted.insert(*topic, Wanted::After { epoch, seq });
                    }
                }
            }
        }
        (options, wanted)
    }

    /// Registers. Its name may be held for a moment by its last connection.
    fn registered(&mut self, client: usize, topics: &[&str], options: &Value) -> Value {
        let frame = json!({"topics": topics, "extended": options});
        let began = Instant::now();
        loop {
            let client = &mut self.clients[client];
            client.link().client.send(format!("{frame}\n").as_bytes());
            match client.event() {
                Event::Registered(answer) => return answer,
                Event::Error { code, .. } if code == "name-taken" => {
                    assert!(began.elapsed() < LIMIT, "the name isn't given back");
                }
                other => panic!("waiting for registered, got {other:?}"),
            }
        }
    }

    /// Checks what a registration was answered of a topic, and says what comes then.
    fn begin(&mut self, client: usize, name: &'static str, state: &Value, wanted: Option<&Wanted>) {
        let is_stored = self.reference.is_stored;
        let topic = self.reference.topic(name);
        let told = state["epoch"].as_str().unwrap().to_owned();
        let epoch = topic.epoch.get_or_insert(told.clone()).clone();
        assert_eq!(told, epoch, "the epoch of {name} has changed");
        let newest = topic.newest();
        assert_eq!(state["seq"], newest, "{name}: {state}");
        let (next, recovered) = match wanted {
            None => (newest + 1, None),
            Some(Wanted::Last(last)) => {
                let next = (newest + 1).saturating_sub(*last);
                (next.max(topic.first(is_stored)), None)
            }
            Some(Wanted::After { epoch: known, seq }) if *known == epoch && *seq <= newest => {
                (seq + 1, Some(seq + 1 >= topic.first(is_stored)))
            }
            Some(Wanted::After { .. }) => (topic.first(is_stored), Some(false)),
        };
        assert_eq!(state["recovered"].as_bool(), recovered, "{name}: {state}");
        match recovered {
            Some(true) => count(&self.counts.recovered),
            Some(false) => count(&self.counts.broken),
            None => {}
        }
        let client = &mut self.clients[client];
        client.read.insert(name, (epoch, next - 1));
        // Who asks for the last messages gets its own among them.
        let own = match wanted {
            Some(Wanted::Last(_)) => None,
            _ => Some(client.link().publisher.clone()),
        };
        let replay = topic.replay(next, own.as_ref(), is_stored);
        if let Some(Expected::Gap { .. }) = replay.front() {
            count(&self.counts.gaps);
        }
        let expected = &mut client.link().expected;
        expected.get_mut(name).unwrap().extend(replay);
    }

    fn publish(&mut self, client: usize, drafts: &[Draft]) {
        let (mut bytes, mut answers) = (Vec::new(), Answers::default());
        for draft in drafts {
            bytes.extend(self.publish_one(client, draft, &mut answers));
        }
        answers.topics.dedup();
        for topic in &answers.topics {
            let frame = json!({"extended": {"who": topic}});
            if !WHO[client].is_classic {
                bytes.extend(format!("{frame}\n").into_bytes());
            }
        }
        if WHO[client].is_classic {
            bytes.extend(b"{}\n");
        }
        let client = &mut self.clients[client];
        client.link().client.send(&bytes);
        while !answers.are_complete(client.who.is_classic) {
            answers.take(client.event());
        }
        if client.who.is_classic {
            // What it sent has been read; the topics may be at it still.
            for topic in &answers.topics {
                self.probes.iter_mut().for_each(|one| one.sync_topic(topic));
            }
        }
    }

    /// The frame, after the model has seen it.
    fn publish_one(&mut self, client: usize, draft: &Draft, answers: &mut Answers) -> Vec<u8> {
        let Draft { topic, id, is_same } = draft;
        self.texts += 1;
        let text = match (id, is_same) {
            (Some(id), true) => format!("same {id}"),
            _ => format!("text {}", self.texts),
        };
        let mut frame = json!({"message": {"topic": topic, "text": text}});
        match id {
            Some(id) => frame["extended"] = json!({"id": id.to_string()}),
            // What only the server says can't be forged.
            None if self.texts.is_multiple_of(2) => {
                frame["extended"] = json!({"seq": 99, "user": "eve"});
            }
            None => {}
        }
        let who = &WHO[client];
        let is_member = self.clients[client].link().expected.contains_key(topic);
        if is_member {
            let message = Message {
                seq: 0,
                text,
                user: who.user,
                publisher: self.clients[client].link().publisher.clone(),
            };
            let reference = self.reference.topic(topic);
            let (seq, new) = reference.publish(*id, &who.origin(), message);
            if let Some(id) = id {
                let acks = answers.acks.entry((*topic).to_owned()).or_default();
                match seq {
                    Some(seq) => acks.push_back((id.to_string(), seq)),
                    None => answers.refused.push(id.to_string()),
                }
            }
            match new {
                Some(message) => self.deliver(client, topic, &message),
                None => count(&self.counts.repeated),
            }
            if !answers.topics.contains(topic) {
                answers.topics.push(topic);
            }
        } else {
            answers.errors.push_back(id.map(|id| id.to_string()));
        }
        format!("{frame}\n").into_bytes()
    }

    /// Everybody in the topic but the publisher gets it.
    fn deliver(&mut self, from: usize, topic: &str, message: &Message) {
        count(&self.counts.stored);
        for (number, client) in self.clients.iter_mut().enumerate() {
            let link = client.link.as_mut().filter(|_| number != from);
            if let Some(expected) = link.and_then(|link| link.expected.get_mut(topic)) {
                expected.push_back(message.expected());
            }
        }
    }

    fn leave(&mut self, client: usize, topic: &'static str) {
        if WHO[client].is_classic {
            return;
        }
        // What it still gets from disk it wouldn't get.
        self.clients[client].read_all();
        let link = self.clients[client].link();
        link.ask(&json!({ "leave": [topic] }));
        let was_in = link.expected.remove(topic).is_some();
        match self.clients[client].event() {
            Event::Registered(answer) => {
                let left: Vec<_> = was_in.then_some(topic).into_iter().collect();
                let told = answer["left"].as_array().cloned().unwrap_or_default();
                assert_eq!(
                    (&answer["topics"], told),
                    (&json!({}), left.iter().map(|one| json!(one)).collect())
                );
            }
            other => panic!("waiting for registered, got {other:?}"),
        }
    }

    fn restart(&mut self) {
        self.server.stop();
        for client in self
            .clients
            .iter_mut()
            .filter(|client| client.link.is_some())
        {
            client.read_to_end(Some("shutting-down"), self.reference.is_stored);
        }
        for probe in &mut self.probes {
            probe.expect_extended_error("shutting-down");
            probe.expect_end();
        }
        // Nothing is left open that the server would wait for.
        self.probes
            .iter_mut()
            .for_each(|probe| probe.finish_sending());
        self.server.ended();
        self.reference.restart();
        (self.server, self.probes) = serve(self.directory.as_ref());
    }
}

/// From what on a registration wants a topic.
enum Wanted {
    Last(u64),
    After { epoch: String, seq: u64 },
}
