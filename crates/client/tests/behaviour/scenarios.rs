//! The scenarios of `clients/scenarios.md`, by their numbers.

use std::time::Duration;

use client::{Client, Event, Events, HistoryPage, Line, Options, Request};
use tokio::time::timeout;
use wire::TopicName;

use crate::server::Killable;

const LIMIT: Duration = Duration::from_secs(60);
/// Messages of others, and of the client's own.
const OTHERS: usize = 4_990;
const OWN: usize = 10;
/// Messages in a page.
const PAGE: u64 = 200;

fn topic() -> TopicName {
    TopicName::new("s13").unwrap()
}

async fn connects(server: &Killable) -> (Client, Events) {
    let options = Options::new(server.address.parse().unwrap(), vec![topic()]);
    Client::connect(options).await.unwrap()
}

async fn publishes(client: &Client, count: usize, what: &str) {
    for number in 0..count {
        let text = format!("{what} {number}");
        let topic = topic();
        client.send(Line { topic, text }).await.unwrap();
    }
}

/// Waits until that many lines were delivered.
async fn are_delivered(events: &mut Events, mut count: usize) {
    while count > 0 {
        let event = timeout(LIMIT, events.next()).await.unwrap();
        count -= usize::from(matches!(event.unwrap(), Event::Delivered { .. }));
    }
}

async fn asks(client: &Client, before: Option<u64>) {
    let request = Request::History {
        topic: topic(),
        before,
        limit: PAGE,
    };
    client.request(request).await.unwrap();
}

async fn gets_page(events: &mut Events) -> HistoryPage {
    loop {
        match timeout(LIMIT, events.next()).await.unwrap().unwrap() {
            Event::History(page) => return page,
            Event::HistoryFailed { error, .. } => panic!("{error}"),
            Event::Ended(outcome) => panic!("{outcome:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn s13_older_messages_come_in_pages() {
    let mut server = Killable::start("s13");
    let (bob, events) = connects(&server).await;
    drop(events);
    publishes(&bob, OTHERS, "bob").await;
    bob.finish().await.unwrap();
    let (client, mut events) = connects(&server).await;
    publishes(&client, OWN, "own").await;
    are_delivered(&mut events, OWN).await;
    let (mut texts, mut before) = (Vec::new(), None);
    loop {
        asks(&client, before).await;
        if texts.len() == 1_000 {
            // What was asked for is asked for again, whether it came or not.
            server.kill();
            server.start_again();
        }
        let page = gets_page(&mut events).await;
        assert!(page.messages.len() as u64 <= PAGE);
        before = page.messages.first().and_then(|first| first.envelope.seq);
        let older = page.messages.into_iter().map(|message| message.text);
        texts.splice(..0, older);
        if !page.has_older {
            break;
        }
    }
    let others = (0..OTHERS).map(|number| format!("bob {number}"));
    let own = (0..OWN).map(|number| format!("own {number}"));
    assert!(others.chain(own).eq(texts));
    asks(&client, before).await;
    let page = gets_page(&mut events).await;
    assert!(page.messages.is_empty() && !page.has_older);
}
