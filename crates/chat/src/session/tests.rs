//! A server that falls silent, in a time that passes as fast as it can.

use std::convert::Infallible;
use std::future::pending;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use wire::{Event, Registered, TopicState};

use super::*;
use crate::conversation::{Conversation, Ending, Role, Rules};
use crate::link::Link;
use crate::screen::{Format, Screen};

/// A conversation over a connection that the server has answered, with an input
/// that never ends.
async fn talk(stream: TcpStream) -> (Ending, Duration) {
    let notices = Notices::start().expect("a thread");
    let (_keyboard, typed) = mpsc::channel(1);
    let (screen, _writer) = Screen::new(Format::Plain);
    let mut input = Input::new(typed, "t", 1024, ID_MEMBER, notices.clone());
    let setup = Setup {
        server: "a:1".into(),
        topic: TopicName::new("t").expect("a name"),
        name: None,
        history: History::None,
        ack_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(3),
        client: crate::random::client_key(),
        run: "5eed5eed".into(),
    };
    let mut link = Link::new(stream, 1024).expect("connected");
    let mut session = Session::new(setup, notices.clone());
    session.connected(link.endpoints().0);
    let state = TopicState {
        epoch: "e".into(),
        seq: 0,
        recovered: None,
    };
    let registered = Event::Registered(Registered {
        user: None,
        topics: [("t".into(), state)].into(),
    });
    session.hear(&registered, &mut input).expect("registered");
    let mut all = Conversation {
        input,
        screen,
        notices,
        rules: Rules {
            stay: false,
            drain_timeout: Duration::from_secs(3),
            pause: None,
        },
        session: Some(session),
    };
    let began = Instant::now();
    let ending = all
        .talk(&mut link, Role::Server, pending::<Infallible>())
        .await;
    (ending, began.elapsed())
}

/// A server that answers so many pings: how the conversation with it ended, when,
/// and how many it got.
async fn answered(pongs: usize) -> (Ending, u64, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("called");
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut pings = 0;
        while let Ok(Some(line)) = lines.next_line().await {
            assert_eq!(line.as_bytes(), PING.trim_ascii_end());
            pings += 1;
            if pings <= pongs {
                let pong = b"{\"extended\":{\"pong\":1}}\n";
                write.write_all(pong).await.expect("connected");
            }
        }
        pings
    });
    let stream = TcpStream::connect(address).await.expect("connected");
    let (ending, lasted) = talk(stream).await;
    let pings = server.await.expect("no panic");
    (ending, lasted.as_secs(), pings)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_vanished_is_noticed_within_a_minute() {
    let (ending, seconds, pings) = answered(0).await;
    assert!(
        matches!(ending, Ending::Lost(LinkError::Silent)),
        "{ending:?}"
    );
    assert!((40..60).contains(&seconds), "{seconds}");
    assert_eq!(pings, 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_is_not_lost_however_long_it_has_nothing_to_say() {
    let (ending, seconds, pings) = answered(5).await;
    assert!(
        matches!(ending, Ending::Lost(LinkError::Silent)),
        "{ending:?}"
    );
    assert_eq!(pings, 6);
    assert!((140..170).contains(&seconds), "{seconds}");
}
