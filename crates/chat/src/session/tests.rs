//! Servers that fall silent, or that answer late or in the old way, in a time that
//! passes as fast as it can.

use std::convert::Infallible;
use std::future::pending;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use wire::{Event, Registered, TopicState};

use super::writing::PING;
use super::*;
use crate::conversation::{Conversation, Ending, Role, Rules};
use crate::lines::Typed;
use crate::link::{Link, Said};
use crate::screen::{Format, Screen};

/// A session that has just registered over `link`, and its input, in which one line
/// waits and which never ends.
async fn begin(link: &Link) -> (Session, Input, mpsc::Sender<Vec<Typed>>) {
    let notices = Notices::start().expect("a thread");
    let (keyboard, typed) = mpsc::channel(1);
    let mut input = Input::new(typed, "t", 1024, ID_MEMBER, notices.clone());
    let line = Typed::Line {
        text: "hello".into(),
        replaced: false,
    };
    keyboard.send(vec![line]).await.expect("room");
    input.receive().await;
    let setup = Setup {
        server: "a:1".into(),
        topics: vec![TopicName::new("t").expect("a name")],
        name: None,
        any_name: false,
        is_watched: false,
        port: None,
        calls: None,
        people: crate::people::People::default(),
        history: History::None,
        ack_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(3),
        client: crate::random::client_key(),
        run: "5eed5eed".into(),
    };
    let mut session = Session::new(setup, notices);
    session.connected(link.endpoints().0);
    (session, input, keyboard)
}

fn answer(session: &mut Session, input: &mut Input) {
    let state = TopicState {
        epoch: "e".into(),
        seq: 0,
        recovered: None,
    };
    let registered = Event::Registered(Registered {
        user: None,
        topics: [("t".into(), state)].into(),
    });
    session.hear(&registered, input).expect("registered");
}

/// A conversation over a connection that the server has answered, with an input
/// that never ends.
async fn talk(stream: TcpStream) -> (Ending, Duration) {
    let mut link = Link::new(stream, 1024).expect("connected");
    let (mut session, mut input, _keyboard) = begin(&link).await;
    input.sent();
    answer(&mut session, &mut input);
    let (screen, _writer) = Screen::new(Format::Plain);
    let mut all = Conversation {
        input,
        screen,
        notices: session.notices.clone(),
        rules: Rules {
            stay: false,
            drain_timeout: Duration::from_secs(3),
            pause: None,
        },
        calls: None,
        session: Some(session),
    };
    let began = Instant::now();
    let ending = all
        .talk(&mut link, Role::Server, pending::<Infallible>())
        .await;
    (ending, began.elapsed())
}

/// Both ends of a connection.
async fn connection() -> (Link, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let stream = TcpStream::connect(address).await.expect("connected");
    let (other, _) = listener.accept().await.expect("called");
    (Link::new(stream, 1024).expect("connected"), other)
}

fn write(session: &mut Session, input: &Input, link: &Link) -> String {
    let (source, destination) = link.endpoints();
    let frame = session.next_frame(input, source, destination);
    String::from_utf8(frame.expect("something to write")).expect("text")
}

/// Waits until the session doesn't wait for an answer any longer.
async fn wait_in_vain(session: &mut Session, input: &Input) {
    while session.state == State::Unanswered {
        let deadline = session.deadline().expect("it waits");
        tokio::time::sleep_until(deadline).await;
        session.look_at_the_time(input).expect("it goes on");
    }
}

#[tokio::test]
async fn a_line_that_is_on_its_way_when_the_registration_is_refused_is_sent_again() {
    let (mut link, mut server) = connection().await;
    let (mut session, mut input, _keyboard) = begin(&link).await;
    assert!(write(&mut session, &input, &link).contains("\"id\""));
    let refusal = br#"{"message":{"topic":"error","text":"unknown-frame: what?"}}"#;
    server.write_all(refusal).await.expect("connected");
    link.incoming.fill().await.expect("connected");
    let Ok(Some(Said::Message(letter))) = link.incoming.next_frame() else {
        panic!("no message");
    };
    assert_eq!(session.read(&letter).expect("it goes on"), None);
    // Its last bytes go out to who has never heard of us.
    session.wrote(&mut input);
    assert_eq!(input.unsent(), 1);
    assert!(write(&mut session, &input, &link).contains("\"topics\""));
    session.wrote(&mut input);
    let line = write(&mut session, &input, &link);
    assert!(
        line.contains("hello") && !line.contains("extended"),
        "{line}"
    );
    session.wrote(&mut input);
    assert!(session.is_settled() && input.unsent() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_on_its_way_when_nobody_answers_is_not_waited_for() {
    let (link, _server) = connection().await;
    let (mut session, mut input, _keyboard) = begin(&link).await;
    write(&mut session, &input, &link);
    wait_in_vain(&mut session, &input).await;
    session.wrote(&mut input);
    assert!(session.is_settled() && input.unsent() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_without_an_id_is_not_waited_for_when_an_answer_comes_late() {
    let (link, _server) = connection().await;
    let (mut session, mut input, _keyboard) = begin(&link).await;
    wait_in_vain(&mut session, &input).await;
    assert!(!write(&mut session, &input, &link).contains("\"id\""));
    answer(&mut session, &mut input);
    session.wrote(&mut input);
    assert!(session.is_settled() && input.unsent() == 0);
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
