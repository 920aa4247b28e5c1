//! Servers that fall silent, or that answer late or in the old way. No socket and no
//! clock: the tests hand in bytes and the time.

mod moving;
mod naming;

use wire::{Event as ServerEvent, Registered, TopicState, UserName};

use super::*;
use crate::frame::FrameBuffer;
use crate::secret::client_key;

mod identity;

const PING: &str = "{\"extended\":{\"ping\":1}}\n";
const SECOND: Duration = Duration::from_secs(1);

fn alice() -> UserName {
    UserName::new("alice").expect("a name")
}

/// A session and a time that passes as fast as it can.
struct Harness {
    session: Session,
    now: Instant,
}

impl Harness {
    /// Has just registered, and wants to send one line.
    fn new() -> Self {
        Self::with(History::None)
    }

    /// The same, and asks for history.
    fn with(history: History) -> Self {
        Self::configured(|config| config.history = history)
    }

    /// The same, with a name.
    fn named(name: Name, history: History) -> Self {
        Self::configured(|config| {
            config.name = name;
            config.history = history;
        })
    }

    /// The same, with a session that was configured otherwise.
    fn configured(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let topic = TopicName::new("t").expect("a name");
        let mut config = SessionConfig {
            topics: vec![topic.clone()],
            name: Name::Required(alice()),
            presence: Presence::Ignore,
            history: History::None,
            port: None,
            credential: None,
            ack_timeout: 30 * SECOND,
            replay_timeout: 3 * SECOND,
            answer_timeout: 30 * SECOND,
            key: client_key().expect("randomness"),
            run: "5eed5eed".into(),
            protocol: Protocol::Extended,
            first_lines: FirstLines::AtOnce,
        };
        change(&mut config);
        let mut session = Session::new(config);
        let now = Instant::now();
        let text = "hello".into();
        session.push(Line { topic, text }, now);
        let end = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port)).into();
        session.connected(end(1), end(2), now);
        let mut harness = Self { session, now };
        assert!(harness.writes().contains("\"topics\""));
        harness.has_written();
        harness
    }

    /// The next frame that the session writes.
    fn writes(&mut self) -> String {
        let frame = self
            .session
            .poll_transmit(self.now)
            .expect("something to write");
        String::from_utf8(frame).expect("text")
    }

    fn has_written(&mut self) {
        self.session.handle_transmitted(self.now);
    }

    fn reads(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        let mut buffer = FrameBuffer::new(1024);
        buffer.space().extend_from_slice(bytes);
        self.session.handle_activity(self.now);
        while let Some(frame) = buffer.next_frame().expect("frames") {
            self.session.handle_frame(&frame, self.now)?;
        }
        Ok(())
    }

    /// The server answers the registration.
    fn is_answered(&mut self) {
        let state = TopicState {
            epoch: "e".into(),
            seq: 0,
            recovered: None,
        };
        let registered = ServerEvent::Registered(Registered {
            topics: [("t".into(), state)].into(),
            ..Registered::default()
        });
        self.reads(&registered.to_line()).expect("registered");
    }

    /// Lets time pass until the next deadline.
    fn waits(&mut self) -> Result<(), SessionError> {
        self.now = self.session.poll_timeout().expect("it waits");
        self.session.handle_timeout(self.now)
    }

    fn waits_in_vain_for_an_answer(&mut self) {
        while self.session.state == State::Unanswered {
            self.waits().expect("it goes on");
        }
    }

    /// All lines are delivered, as far as can be known.
    fn is_done(&self) -> bool {
        self.session.queue().is_empty()
    }
}

#[test]
fn a_line_that_is_being_written_when_the_registration_is_refused_is_sent_again() {
    let mut harness = Harness::new();
    assert!(harness.writes().contains("\"id\""));
    let refusal = br#"{"message":{"topic":"error","text":"unknown-frame: what?"}}"#;
    harness.reads(refusal).expect("it goes on");
    let events = harness.session.take_events();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Message(_)))
    );
    // The server has not read the registration before the line's last bytes.
    harness.has_written();
    assert_eq!(harness.session.queue().unsent(), 1);
    assert!(harness.writes().contains("\"topics\""));
    harness.has_written();
    let line = harness.writes();
    assert!(
        line.contains("hello") && !line.contains("extended"),
        "{line}"
    );
    harness.has_written();
    assert!(harness.is_done());
}

#[test]
fn first_lines_wait_for_an_answer_where_they_may_have_to_go_over_tls() {
    let held = || Harness::configured(|config| config.first_lines = FirstLines::AfterAnswer);
    let is_silent = |harness: &mut Harness| harness.session.poll_transmit(harness.now).is_none();
    let mut harness = held();
    assert!(is_silent(&mut harness));
    let refusal = br#"{"message":{"topic":"error","text":"tls-required: why"}}"#;
    assert!(harness.reads(refusal).is_err());
    assert_eq!(harness.session.queue().unsent(), 1);
    // An answer lets them go, and on later connections nothing waits.
    let mut harness = held();
    harness.is_answered();
    assert!(harness.writes().contains("hello"));
    let end = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port)).into();
    harness
        .session
        .disconnected(Disconnect::Silent, harness.now);
    harness.session.connected(end(3), end(2), harness.now);
    assert!(harness.writes().contains("topics") && harness.writes().contains("hello"));
    // Silence lets them go after a second.
    let mut harness = held();
    let began = harness.now;
    while is_silent(&mut harness) {
        harness.waits().expect("it goes on");
    }
    assert_eq!(harness.now - began, SECOND);
}

#[test]
fn a_classic_client_sends_its_first_lines_when_the_server_has_kept_silent() {
    let held = || {
        Harness::configured(|config| {
            config.protocol = Protocol::Classic;
            config.first_lines = FirstLines::AfterAnswer;
        })
    };
    let is_silent = |harness: &mut Harness| harness.session.poll_transmit(harness.now).is_none();
    let mut harness = held();
    assert!(is_silent(&mut harness) && !harness.session.has_joined());
    let refusal = br#"{"message":{"topic":"error","text":"tls-required: why"}}"#;
    assert!(harness.reads(refusal).is_err());
    assert_eq!(harness.session.queue().unsent(), 1);
    assert!(!harness.session.has_joined());
    // Over TLS they go with the registration.
    let end = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port)).into();
    harness
        .session
        .disconnected(Disconnect::Silent, harness.now);
    harness.session.send_at_once();
    harness.session.connected(end(3), end(2), harness.now);
    assert!(harness.writes().contains("topics") && harness.writes().contains("hello"));
    // What others say shows that the server takes part, as does a second of silence.
    let mut harness = held();
    let message = br#"{"message":{"topic":"t","text":"hi"}}"#;
    harness.reads(message).expect("it goes on");
    assert!(harness.session.has_joined() && harness.writes().contains("hello"));
    let mut harness = held();
    let began = harness.now;
    while is_silent(&mut harness) {
        harness.waits().expect("it goes on");
    }
    assert!(harness.session.has_joined());
    assert_eq!(harness.now - began, SECOND);
}

#[test]
fn a_line_that_is_being_written_when_nobody_answers_is_not_waited_for() {
    let mut harness = Harness::new();
    harness.writes();
    harness.waits_in_vain_for_an_answer();
    harness.has_written();
    assert!(harness.is_done());
}

#[test]
fn a_line_without_an_id_is_not_waited_for_when_an_answer_comes_late() {
    let mut harness = Harness::new();
    harness.waits_in_vain_for_an_answer();
    assert!(!harness.writes().contains("\"id\""));
    harness.is_answered();
    harness.has_written();
    assert!(harness.is_done());
}

#[test]
fn a_line_is_in_flight_until_it_is_acknowledged() {
    let mut harness = Harness::new();
    harness.is_answered();
    harness.writes();
    harness.has_written();
    harness.session.finish(harness.now);
    assert!(!harness.session.is_finished());
    let ack = br#"{"extended":{"ack":{"id":"5eed5eed-1","topic":"t","seq":1}}}"#;
    harness.reads(ack).expect("acknowledged");
    assert!(harness.session.is_finished() && harness.session.is_safe());
    let events = harness.session.take_events();
    assert!(
        matches!(events.last(), Some(Event::Delivered { line, seq: Some(1) }) if line.text == "hello")
    );
}

#[test]
fn acknowledgements_are_overdue_only_after_the_end_of_the_input() {
    let mut harness = Harness::new();
    harness.is_answered();
    harness.writes();
    harness.has_written();
    assert!(harness.session.poll_timeout() > Some(harness.now + 3 * SECOND));
    let began = harness.now;
    harness.session.finish(began);
    let failed = loop {
        // The server is still there.
        harness.reads(b" ").expect("nothing");
        if let Err(error) = harness.waits() {
            break error;
        }
    };
    assert!(
        matches!(
            &failed,
            SessionError::Failed(ClientError::Unacknowledged {
                undelivered: Undelivered::Unacknowledged { count: 1, first },
                ..
            }) if first == "hello"
        ),
        "{failed:?}"
    );
    assert_eq!((harness.now - began).as_secs(), 30);
}

#[test]
fn a_history_that_does_not_come_is_waited_for_without_a_connection_too() {
    let mut harness = Harness::with(History::Last(9));
    harness.session.finish(harness.now);
    let cause = Disconnect::Link(crate::link::LinkError::Closed);
    harness.session.disconnected(cause, harness.now);
    assert!(harness.session.poll_timeout().is_some());
}

/// A server that answers so many pings: when it was given up, and how many it got.
fn answers(pongs: usize) -> (u64, usize) {
    let mut harness = Harness::new();
    harness.is_answered();
    harness.writes();
    harness.has_written();
    let (began, mut pings) = (harness.now, 0);
    loop {
        if let Err(error) = harness.waits() {
            assert!(matches!(error, SessionError::Lost(Disconnect::Silent)));
            return ((harness.now - began).as_secs(), pings);
        }
        if let Some(frame) = harness.session.poll_transmit(harness.now) {
            assert_eq!(frame, PING.as_bytes());
            harness.has_written();
            pings += 1;
            if pings <= pongs {
                let pong = b"{\"extended\":{\"pong\":1}}\n";
                harness.reads(pong).expect("a pong");
            }
        }
    }
}

/// A server of a cluster may wait for others, which fail, before it answers.
#[test]
fn a_server_that_pings_before_it_answers_is_not_taken_for_one_without_the_protocol() {
    let mut harness = Harness::new();
    harness.writes();
    harness.has_written();
    let ping = b"{\"extended\":{\"ping\":true}}\n";
    harness.reads(ping).expect("a ping");
    assert_eq!(harness.writes(), "{\"extended\":{\"pong\":true}}\n");
    harness.has_written();
    let began = harness.now;
    while harness.now - began < 15 * SECOND {
        harness.waits().expect("it goes on");
    }
    assert!(harness.session.state == State::Unanswered);
    harness.is_answered();
    let events = harness.session.take_events();
    let is_joined = |event: &Event| matches!(event, Event::Joined { .. });
    assert!(events.iter().any(is_joined), "{events:?}");
    let fell_back = |event: &Event| matches!(event, Event::FellBack);
    assert!(!events.iter().any(fell_back), "{events:?}");
}

#[test]
fn a_server_that_vanished_is_noticed_within_a_minute() {
    assert_eq!(answers(0), (40, 1));
}

#[test]
fn a_server_that_answers_is_not_lost_however_long_it_has_nothing_to_say() {
    assert_eq!(answers(5), (140, 6));
}

#[test]
fn a_line_whose_id_was_used_for_another_one_is_not_sent_again() {
    let mut harness = Harness::new();
    harness.is_answered();
    harness.writes();
    harness.has_written();
    harness.session.finish(harness.now);
    let error =
        br#"{"extended":{"error":{"code":"duplicate-id","text":"used","id":"5eed5eed-1"}}}"#;
    harness.reads(error).expect("it goes on");
    assert!(harness.is_done() && harness.session.is_finished());
    let events = harness.session.take_events();
    assert!(matches!(events.last(), Some(Event::LineRefused { .. })));
}

#[test]
fn the_last_frame_gives_the_name_back() {
    let mut harness = Harness::new();
    harness.is_answered();
    harness.writes();
    harness.has_written();
    let ack = br#"{"extended":{"ack":{"id":"5eed5eed-1","topic":"t","seq":1}}}"#;
    harness.reads(ack).expect("acknowledged");
    assert_eq!(
        harness.session.poll_transmit(harness.now),
        None,
        "it isn't over"
    );
    harness.session.finish(harness.now);
    assert_eq!(harness.writes(), "{\"extended\":{\"leave\":[\"t\"]}}\n");
    harness.has_written();
    assert_eq!(harness.session.poll_transmit(harness.now), None);
}

#[test]
fn a_topic_that_is_joined_before_the_answer_is_asked_for_after_it() {
    let mut harness = Harness::new();
    let topic = TopicName::new("u").expect("a name");
    let request = Request::Join(topic);
    harness.session.request(request, harness.now);
    // The line, which waits for no answer.
    assert!(!harness.writes().contains("\"topics\""));
    harness.has_written();
    harness.is_answered();
    assert!(harness.writes().contains("\"topics\":[\"u\"]"));
}
