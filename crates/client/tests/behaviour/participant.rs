//! Clients of the scenarios, and what they have seen.

use std::time::Duration;

use client::{Client, Event, Events, Line, Name, Options, Request};
use tokio::sync::watch;
use topicserver::{Config, Server};
use wire::{TopicName, UserName};

use crate::secrets;

/// The longest that anything may take, on a machine that is busy with others.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a server within the test; its address.
pub(crate) fn serve(mut config: Config) -> String {
    config.bind = Some("127.0.0.1".parse().unwrap());
    if let Some(accounts) = &config.auth {
        secrets::watch_this_process();
        secrets::note_file(accounts);
    }
    let server = Server::bind(config).unwrap();
    let address = server.local_addr().to_string();
    tokio::spawn(server.run(std::future::pending()));
    address
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

pub(crate) fn name(name: &str) -> Name {
    Name::Preferred(UserName::new(name).unwrap())
}

pub(crate) fn line(name: &str, text: &str) -> Line {
    let text = text.to_owned();
    Line {
        topic: topic(name),
        text,
    }
}

pub(crate) fn numbers(first: usize, last: usize) -> Vec<String> {
    (first..=last).map(|number| number.to_string()).collect()
}

/// A client, and every event of its.
pub(crate) struct Participant {
    pub(crate) client: Client,
    seen: watch::Receiver<Vec<Event>>,
}

impl Participant {
    /// Connects and takes part in the topic `t`.
    pub(crate) async fn join(server: &str, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(server.parse().unwrap(), vec![topic("t")]);
        change(&mut options);
        secrets::shown(&format!("{options:?}"));
        let (client, events) = Client::connect(options).await.unwrap();
        Self::of(client, events)
    }

    pub(crate) fn of(client: Client, mut events: Events) -> Self {
        let (see, seen) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                secrets::shown(&format!("{event:?}"));
                see.send_modify(|seen| seen.push(event));
            }
        });
        Self { client, seen }
    }

    pub(crate) async fn publish_all(&self, texts: Vec<String>) {
        for text in texts {
            self.client.send(line("t", &text)).await.unwrap();
        }
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn answer<T>(
        &self,
        request: Request,
        read: impl Fn(&Event) -> Option<T>,
    ) -> T {
        self.ask(request).await.read(read).await
    }

    /// Asks, for an answer that is read later.
    pub(crate) async fn ask(&self, request: Request) -> Answer {
        let seen = self.seen.clone();
        let asked = seen.borrow().len();
        self.client.request(request).await.unwrap();
        Answer { seen, asked }
    }

    /// Waits for an event, which may have come already.
    pub(crate) async fn until(&self, is_it: impl Fn(&Event) -> bool) {
        self.until_seen(|seen| seen.iter().any(&is_it)).await;
    }

    pub(crate) async fn until_texts(&self, count: usize) {
        self.until_seen(|seen| texts(seen).count() >= count).await;
    }

    pub(crate) async fn until_delivered(&self, count: usize) {
        self.until_seen(|seen| delivered(seen).count() >= count)
            .await;
    }

    async fn until_seen(&self, is_enough: impl Fn(&[Event]) -> bool) {
        let mut seen = self.seen.clone();
        let waiting = seen.wait_for(|seen| is_enough(seen));
        if let Ok(seen) = tokio::time::timeout(LIMIT, waiting).await {
            seen.expect("the client has ended");
            return;
        }
        let seen = self.seen.borrow();
        panic!(
            "not within {LIMIT:?}: {:?}",
            &seen[seen.len().saturating_sub(20)..]
        );
    }

    pub(crate) fn has(&self, is_it: impl Fn(&Event) -> bool) -> bool {
        self.seen.borrow().iter().any(is_it)
    }

    pub(crate) fn count(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.seen
            .borrow()
            .iter()
            .filter(|event| is_it(event))
            .count()
    }

    pub(crate) fn find<T>(&self, read: impl Fn(&Event) -> Option<T>) -> Option<T> {
        self.seen.borrow().iter().find_map(read)
    }

    /// What others have said.
    pub(crate) fn texts(&self) -> Vec<String> {
        texts(&self.seen.borrow()).map(str::to_owned).collect()
    }

    /// What of our own the server has acknowledged.
    pub(crate) fn delivered(&self) -> Vec<String> {
        delivered(&self.seen.borrow()).map(str::to_owned).collect()
    }
}

/// The answer to a question: it comes after what was seen when that was asked.
pub(crate) struct Answer {
    seen: watch::Receiver<Vec<Event>>,
    asked: usize,
}

impl Answer {
    pub(crate) async fn read<T>(mut self, read: impl Fn(&Event) -> Option<T>) -> T {
        let answer = |seen: &[Event]| seen.iter().skip(self.asked).find_map(&read);
        let waiting = self.seen.wait_for(|seen| answer(seen).is_some());
        let seen = tokio::time::timeout(LIMIT, waiting).await.expect("in time");
        answer(&seen.unwrap()).unwrap()
    }
}

fn texts(seen: &[Event]) -> impl Iterator<Item = &str> {
    seen.iter().filter_map(|event| match event {
        Event::Message(message) => Some(message.text.as_str()),
        _ => None,
    })
}

fn delivered(seen: &[Event]) -> impl Iterator<Item = &str> {
    seen.iter().filter_map(|event| match event {
        Event::Delivered { line, .. } => Some(line.text.as_str()),
        _ => None,
    })
}
