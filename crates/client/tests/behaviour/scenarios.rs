//! `clients/scenarios.md`, one test each. Those of the other libraries have the same numbers.

mod draining;
mod moving;
mod secure;

use client::{Client, ClientError, Event, Finished, History, Line, Name, Options, Presence};
use client::{Disconnect, Request, SendError};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use topicserver::Config;
use wire::TopicName;

use crate::network::Network;
use crate::participant::{Participant, line, name, numbers, serve, topic};
use crate::server::Killable;

fn texts_are(participant: &Participant, expected: &[String]) {
    assert_eq!(participant.texts(), expected);
}

#[tokio::test]
async fn s1_each_message_arrives_once_in_order_and_is_acknowledged() {
    let server = serve(Config::default());
    let reader = Participant::join(&server, |_| {}).await;
    let writer = Participant::join(&server, |options| options.name = name("writer")).await;
    writer.publish_all(numbers(1, 200)).await;
    writer.until_delivered(200).await;
    assert_eq!(writer.delivered(), numbers(1, 200));
    let has_another_number = |event: &Event| match event {
        Event::Delivered { line, seq } => line.text != seq.unwrap_or(0).to_string(),
        _ => false,
    };
    assert!(!writer.has(has_another_number));
    reader.until_texts(200).await;
    texts_are(&reader, &numbers(1, 200));
}

#[tokio::test]
async fn s2_a_server_that_is_killed_loses_and_doubles_nothing() {
    let mut server = Killable::start("s2");
    let reader = Participant::join(&server.address, |_| {}).await;
    let writer = Participant::join(&server.address, |_| {}).await;
    writer.publish_all(numbers(1, 500)).await;
    writer.until_delivered(100).await;
    server.kill();
    writer.publish_all(numbers(501, 1000)).await;
    server.start_again();
    writer.until_delivered(1000).await;
    reader.until_texts(1000).await;
    texts_are(&reader, &numbers(1, 1000));
}

#[tokio::test]
async fn s3_what_was_missed_comes_exactly_then_what_is_live() {
    let server = serve(Config::default());
    let network = Network::before(&server).await;
    let reader = Participant::join(&network.address, |_| {}).await;
    let writer = Participant::join(&server, |_| {}).await;
    writer.publish_all(numbers(1, 20)).await;
    reader.until_texts(20).await;
    reader.publish_all(vec!["own".to_owned()]).await;
    reader.until_delivered(1).await;
    network.cut();
    reader
        .until(|event| matches!(event, Event::Disconnected { .. }))
        .await;
    writer.publish_all(numbers(21, 40)).await;
    writer.until_delivered(40).await;
    network.mend();
    reader
        .until(|event| matches!(event, Event::Joined { again: true, .. }))
        .await;
    writer.publish_all(numbers(41, 50)).await;
    reader.until_texts(50).await;
    texts_are(&reader, &numbers(1, 50));
    assert!(!reader.has(|event| matches!(event, Event::Incomplete(_) | Event::Gap { .. })));
}

#[tokio::test]
async fn s4_what_the_history_has_dropped_is_told() {
    let server = serve(Config {
        history_messages: 10,
        ..Config::default()
    });
    let network = Network::before(&server).await;
    let reader = Participant::join(&network.address, |_| {}).await;
    let writer = Participant::join(&server, |_| {}).await;
    writer.publish_all(numbers(1, 1)).await;
    reader.until_texts(1).await;
    network.cut();
    reader
        .until(|event| matches!(event, Event::Disconnected { .. }))
        .await;
    writer.publish_all(numbers(2, 100)).await;
    writer.until_delivered(100).await;
    network.mend();
    reader.until_texts(11).await;
    let gap = reader.find(|event| match event {
        Event::Gap { count, .. } => Some(*count),
        _ => None,
    });
    assert_eq!(gap, Some(89));
    let rest = [numbers(1, 1), numbers(91, 100)].concat();
    texts_are(&reader, &rest);
}

#[tokio::test]
async fn s5_a_server_that_has_lost_its_data_is_told_apart() {
    let mut server = Killable::start("s5");
    let reader = Participant::join(&server.address, |_| {}).await;
    let writer = Participant::join(&server.address, |_| {}).await;
    writer.publish_all(numbers(1, 5)).await;
    reader.until_texts(5).await;
    // What isn't acknowledged would be sent again.
    writer.until_delivered(5).await;
    server.kill();
    server.forget();
    server.start_again();
    reader
        .until(|event| matches!(event, Event::Incomplete(_)))
        .await;
    writer.publish_all(vec!["anew".to_owned()]).await;
    reader.until_texts(6).await;
    texts_are(&reader, &[numbers(1, 5), vec!["anew".to_owned()]].concat());
}

#[tokio::test]
async fn s6_a_line_that_is_sent_twice_under_its_id_is_delivered_once() {
    let server = serve(Config::default());
    let reader = Participant::join(&server, |_| {}).await;
    let network = Network::before(&server).await;
    let writer = Participant::join(&network.address, |_| {}).await;
    // The server has the line, and its acknowledgement is lost.
    network.hold();
    writer.publish_all(vec!["once".to_owned()]).await;
    reader.until_texts(1).await;
    network.cut();
    writer
        .until(|event| matches!(event, Event::Disconnected { .. }))
        .await;
    network.mend();
    writer.until_delivered(1).await;
    writer.publish_all(vec!["end".to_owned()]).await;
    reader.until_texts(2).await;
    texts_are(&reader, &["once".to_owned(), "end".to_owned()]);
}

#[tokio::test]
async fn s7_a_line_that_fits_into_no_frame_is_refused_before_it_is_sent() {
    let server = serve(Config::default());
    let writer = Participant::join(&server, |_| {}).await;
    let long = line("t", &"\u{e4}".repeat(33_000));
    let refused = writer.client.send(long.clone()).await;
    assert_eq!(refused, Err(SendError::TooLong(long)));
    writer.publish_all(vec!["short".to_owned()]).await;
    writer.until_delivered(1).await;
}

#[tokio::test]
async fn s8_what_only_this_server_finds_too_long_is_refused_alone() {
    let mut config = Config::default();
    config.frame_limits.max_frame = 2000;
    let server = serve(config);
    let reader = Participant::join(&server, |_| {}).await;
    let writer = Participant::join(&server, |_| {}).await;
    writer.publish_all(numbers(1, 20)).await;
    writer.publish_all(vec!["x".repeat(3000)]).await;
    writer.publish_all(numbers(21, 40)).await;
    writer.until_delivered(40).await;
    let refused = writer.find(|event| match event {
        Event::LineRefused { line, error } => Some((line.text.len(), error.code.clone())),
        _ => None,
    });
    assert_eq!(refused, Some((3000, "too-long".to_owned())));
    reader.until_texts(40).await;
    texts_are(&reader, &numbers(1, 40));
}

#[tokio::test]
async fn s9_a_bad_topic_does_not_take_the_others_down() {
    let server = serve(Config::default());
    for bad in ["", "a\tb", &"x".repeat(256), &"\u{e4}".repeat(128)] {
        assert!(TopicName::new(bad).is_err(), "{bad:?}");
    }
    // A topic may be joined before the server has answered for the others.
    let options = Options::new(server.parse().unwrap(), vec![topic("t")]);
    let (client, events) = Client::start(options).unwrap();
    let client = Participant::of(client, events);
    client
        .client
        .request(Request::Join(topic("u")))
        .await
        .unwrap();
    for topic in ["t", "u"] {
        client.until(|event| is_joined(event, topic)).await;
        client.client.send(line(topic, "x")).await.unwrap();
    }
    client.until_delivered(2).await;
}

fn is_joined(event: &Event, topic: &str) -> bool {
    let is_it = |name: &TopicName| name.as_str() == topic;
    matches!(event, Event::Joined { topics, .. } if topics.iter().any(is_it))
}

#[tokio::test]
async fn s10_one_topic_too_many_is_refused_and_the_others_stay() {
    let server = serve(Config {
        max_topics: 3,
        ..Config::default()
    });
    let network = Network::before(&server).await;
    let client = Participant::join(&network.address, |_| {}).await;
    for topic_name in ["2", "3", "4"] {
        let join = Request::Join(topic(topic_name));
        client.client.request(join).await.unwrap();
    }
    let refused = |event: &Event| match event {
        Event::JoinRefused { topic, error } => Some((topic.to_string(), error.code.clone())),
        _ => None,
    };
    client.until(|event| refused(event).is_some()).await;
    assert_eq!(
        client.find(refused),
        Some(("4".to_owned(), "too-many-topics".to_owned()))
    );
    network.cut();
    client
        .until(|event| matches!(event, Event::Disconnected { .. }))
        .await;
    network.mend();
    client
        .until(|event| matches!(event, Event::Joined { topics, again: true } if topics.len() == 3))
        .await;
    client.client.send(line("3", "x")).await.unwrap();
    client.until_delivered(1).await;
}

#[tokio::test]
async fn s11_a_taken_name_is_an_error() {
    let server = serve(Config::default());
    let anna = |options: &mut Options| {
        let Name::Preferred(name) = name("anna") else {
            return;
        };
        options.name = Name::Required(name);
    };
    let _first = Participant::join(&server, anna).await;
    let mut options = Options::new(server.parse().unwrap(), vec![topic("t")]);
    anna(&mut options);
    let second = Client::connect(options).await;
    assert!(matches!(second, Err(ClientError::NameTaken(name)) if name.as_str() == "anna"));
}

#[tokio::test]
async fn s12_a_name_is_kept_until_the_other_one_is_granted() {
    let server = serve(Config::default());
    let _bert = Participant::join(&server, |options| options.name = name("bert")).await;
    let carl = Participant::join(&server, |options| options.name = name("carl")).await;
    let rename = |to: &str| match name(to) {
        Name::Preferred(name) => Request::Rename(name),
        _ => unreachable!(),
    };
    carl.client.request(rename("bert")).await.unwrap();
    carl.until(|event| matches!(event, Event::ServerError(error) if error.code == "name-taken"))
        .await;
    let writer = Participant::join(&server, |_| {}).await;
    writer.publish_all(numbers(1, 50)).await;
    carl.client.request(rename("dora")).await.unwrap();
    writer.publish_all(numbers(51, 100)).await;
    carl.until(
        |event| matches!(event, Event::Registered { user: Some(user), .. } if user == "dora"),
    )
    .await;
    carl.until_texts(100).await;
    texts_are(&carl, &numbers(1, 100));
}

#[tokio::test]
async fn s13_older_messages_come_in_pages() {
    /// Messages of others, and of the client's own; and in a page.
    const OTHERS: usize = 4_990;
    const OWN: usize = 10;
    const PAGE: u64 = 200;
    let mut server = Killable::start("s13");
    let bob = Participant::join(&server.address, |_| {}).await;
    bob.publish_all(numbers(1, OTHERS)).await;
    bob.until_delivered(OTHERS).await;
    let client = Participant::join(&server.address, |_| {}).await;
    client.publish_all(numbers(OTHERS + 1, OTHERS + OWN)).await;
    client.until_delivered(OWN).await;
    let (mut texts, mut before) = (Vec::new(), None);
    loop {
        let asked = Request::History {
            topic: topic("t"),
            before,
            limit: PAGE,
        };
        let answer = client.ask(asked).await;
        if texts.len() == 1_000 {
            // What was asked for is asked for again, whether it came or not.
            server.kill();
            server.start_again();
        }
        let page = answer
            .read(|event| match event {
                Event::History(page) => Some(page.clone()),
                Event::HistoryFailed { error, .. } => panic!("{error}"),
                _ => None,
            })
            .await;
        assert!(page.messages.len() as u64 <= PAGE);
        let Some(first) = page.messages.first() else {
            assert!(!page.has_older);
            break;
        };
        before = first.envelope.seq;
        let older = page.messages.into_iter().map(|message| message.text);
        texts.splice(..0, older);
    }
    assert_eq!(texts, numbers(1, OTHERS + OWN));
}

#[tokio::test]
async fn s14_who_is_there_and_who_comes_and_goes() {
    let server = serve(Config::default());
    let fritz = Participant::join(&server, |options| {
        options.name = name("fritz");
        options.presence = Presence::Follow;
    })
    .await;
    let gerd = Participant::join(&server, |options| options.name = name("gerd")).await;
    fritz
        .until(|event| matches!(event, Event::UserJoined { user, .. } if user == "gerd"))
        .await;
    let count = fritz
        .answer(Request::Who(topic("t")), |event| match event {
            Event::Members { count, .. } => Some(*count),
            _ => None,
        })
        .await;
    assert_eq!(count, 2);
    let user = |user: &str| Request::Lookup(user.parse().unwrap());
    let found = fritz.answer(user("gerd"), |event| match event {
        Event::Found { ip, .. } => Some(ip.clone()),
        _ => None,
    });
    assert_eq!(found.await, "127.0.0.1");
    let code = fritz.answer(user("nobody"), |event| match event {
        Event::ServerError(error) => Some(error.code.clone()),
        _ => None,
    });
    assert_eq!(code.await, "unknown-user");
    let topics = fritz.answer(Request::Topics, |event| match event {
        Event::Topics(topics) => Some(topics.clone()),
        _ => None,
    });
    assert!(topics.await.iter().any(|topic| topic.name == "t"));
    gerd.client
        .request(Request::Leave(topic("t")))
        .await
        .unwrap();
    fritz
        .until(|event| matches!(event, Event::UserLeft { user, .. } if user == "gerd"))
        .await;
}

#[tokio::test]
async fn s15_closing_waits_for_every_acknowledgement() {
    let server = serve(Config::default());
    let writer = Participant::join(&server, |_| {}).await;
    writer.publish_all(numbers(1, 100)).await;
    let outcome = writer.client.clone().finish().await;
    assert!(
        matches!(outcome, Ok(Finished { refused: 0, .. })),
        "{outcome:?}"
    );
    writer.until_delivered(100).await;
    let reader = Participant::join(&server, |options| options.history = History::Last(100)).await;
    reader.until_texts(100).await;
    texts_are(&reader, &numbers(1, 100));
}

#[tokio::test]
async fn s16_publishing_where_one_is_not_is_an_error() {
    let server = serve(Config::default());
    let client = Participant::join(&server, |_| {}).await;
    client
        .client
        .request(Request::Leave(topic("t")))
        .await
        .unwrap();
    client.until(|event| matches!(event, Event::Left(_))).await;
    for topic in ["elsewhere", "t"] {
        client.client.send(line(topic, "x")).await.unwrap();
        client
            .until(|event| {
                matches!(event, Event::LineRefused { line, error }
                    if line.topic.as_str() == topic && error.code == "not-registered")
            })
            .await;
    }
    assert!(client.client.clone().finish().await.is_ok());
    let late: Line = line("t", "x");
    assert_eq!(
        client.client.send(late.clone()).await,
        Err(SendError::Ended(late))
    );
    assert!(client.client.request(Request::Topics).await.is_err());
}

#[tokio::test]
async fn s17_the_same_secret_elsewhere_ends_the_older_client() {
    let server = serve(Config::default());
    let network = Network::before(&server).await;
    let hans = Participant::join(&network.address, |options| options.name = name("hans")).await;
    let mut other = TcpStream::connect(&server).await.unwrap();
    other.write_all(&network.first_line().await).await.unwrap();
    hans.until(|event| {
        matches!(event, Event::Ended(Err(ClientError::Lost { cause: Disconnect::Server(error), .. }))
            if error.code == "replaced")
    })
    .await;
    drop(other);
}
