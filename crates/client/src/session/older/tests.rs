//! Pages of older messages. No socket and no clock.

use std::net::SocketAddr;

use wire::{Event as ServerEvent, Registered, TopicState};

use super::super::{History, Name, Presence, Protocol, Request, SessionConfig};
use super::*;
use crate::error::{Disconnect, SessionError};
use crate::frame::FrameBuffer;
use crate::line::Line;
use crate::link::LinkError;
use crate::secret::client_key;

const TIMEOUT: Duration = Duration::from_secs(30);

struct Harness {
    session: Session,
    now: Instant,
}

impl Harness {
    /// Is registered for a topic with so many messages.
    fn new(newest: u64) -> Self {
        let topic = TopicName::new("t").expect("a name");
        let session = Session::new(SessionConfig {
            topics: vec![topic],
            name: Name::Anonymous,
            credential: None,
            presence: Presence::Ignore,
            history: History::None,
            port: None,
            ack_timeout: TIMEOUT,
            replay_timeout: TIMEOUT,
            answer_timeout: TIMEOUT,
            key: client_key().expect("randomness"),
            run: "5eed5eed".into(),
            protocol: Protocol::Extended,
            first_lines: crate::session::FirstLines::AtOnce,
        });
        let now = Instant::now();
        let mut harness = Self { session, now };
        harness.connects("e", newest);
        harness
    }

    fn connects(&mut self, epoch: &str, newest: u64) {
        let end = |port| SocketAddr::from(([127, 0, 0, 1], port)).into();
        self.session.connected(end(1), end(2), self.now);
        assert!(
            self.writes()
                .expect("a registration")
                .contains("\"topics\"")
        );
        let state = TopicState {
            epoch: epoch.into(),
            seq: newest,
            recovered: None,
        };
        let registered = ServerEvent::Registered(Registered {
            topics: [("t".into(), state)].into(),
            ..Registered::default()
        });
        self.reads(&registered.to_line());
        self.session.take_events();
    }

    fn is_cut_off(&mut self) {
        let cause = Disconnect::Link(LinkError::Closed);
        self.session.disconnected(cause, self.now);
    }

    fn wants(&mut self, before: Option<u64>, limit: u64) {
        let topic = TopicName::new("t").expect("a name");
        let request = Request::History {
            topic,
            before,
            limit,
        };
        self.session.request(request, self.now);
    }

    fn writes(&mut self) -> Option<String> {
        let frame = self.session.poll_transmit(self.now)?;
        self.session.handle_transmitted(self.now);
        Some(String::from_utf8(frame).expect("text"))
    }

    fn reads(&mut self, bytes: &[u8]) {
        let mut buffer = FrameBuffer::new(64 * 1024);
        buffer.space().extend_from_slice(bytes);
        while let Some(frame) = buffer.next_frame().expect("frames") {
            let handled: Result<(), SessionError> = self.session.handle_frame(&frame, self.now);
            handled.expect("it goes on");
        }
    }

    /// The server answers with these messages; it has them from `first` on.
    fn is_answered(&mut self, epoch: &str, first: u64, numbers: impl Iterator<Item = u64>) {
        let messages = numbers.map(|seq| {
            let message = format!("{{\"topic\":\"t\",\"text\":\"{seq}\"}}");
            let frame = format!("{{\"extended\":{{\"seq\":{seq}}},\"message\":{message}}}");
            serde_json::value::RawValue::from_string(frame).expect("JSON")
        });
        let range = ServerEvent::History(HistoryRange {
            topic: "t".into(),
            epoch: epoch.into(),
            first,
            messages: messages.collect(),
        });
        self.reads(&range.to_line());
    }

    /// The numbers in the page that has come, and whether there are older ones.
    fn page(&mut self) -> (Vec<u64>, bool) {
        let events = self.session.take_events();
        let [Event::History(page)] = events.as_slice() else {
            panic!("{events:?}");
        };
        let seq = |message: &Incoming| message.envelope.seq.expect("a number");
        (page.messages.iter().map(seq).collect(), page.has_older)
    }

    fn failure(&mut self) -> HistoryError {
        let events = self.session.take_events();
        match events.as_slice() {
            [Event::HistoryFailed { error, .. }] => error.clone(),
            _ => panic!("{events:?}"),
        }
    }
}

fn question(before: u64, limit: u64) -> Option<String> {
    let range = format!("{{\"topic\":\"t\",\"before\":{before},\"limit\":{limit}}}");
    Some(format!("{{\"extended\":{{\"history\":{range}}}}}\n"))
}

#[test]
fn one_page_is_asked_for_at_a_time() {
    let mut harness = Harness::new(100);
    harness.wants(Some(50), 3);
    harness.wants(Some(47), 3);
    assert_eq!(harness.writes(), question(50, 3));
    assert_eq!(harness.writes(), None);
    harness.is_answered("e", 46, 47..50);
    assert_eq!(harness.page(), (vec![47, 48, 49], true));
    assert_eq!(harness.writes(), question(47, 3));
    harness.is_answered("e", 46, 46..47);
    assert_eq!(harness.page(), (vec![46], false));
    harness.wants(Some(46), 3);
    harness.writes();
    harness.is_answered("e", 46, 0..0);
    assert_eq!(harness.page(), (vec![], false));
}

#[test]
fn what_is_still_to_come_is_in_no_page() {
    let mut harness = Harness::new(7);
    harness.wants(None, 10);
    harness.writes();
    // Number 8 is on its way.
    harness.is_answered("e", 1, 6..9);
    assert_eq!(harness.page(), (vec![6, 7], true));
    let live = r#"{"extended":{"seq":8},"message":{"topic":"t","text":"8"}}"#;
    harness.reads(live.as_bytes());
    let events = harness.session.take_events();
    assert!(
        matches!(events.as_slice(), [Event::Message(_)]),
        "{events:?}"
    );
}

#[test]
fn a_lost_connection_is_made_good_by_the_next_one() {
    let mut harness = Harness::new(100);
    harness.wants(Some(50), 3);
    harness.writes();
    harness.is_cut_off();
    // What is wanted meanwhile waits.
    harness.wants(Some(20), 3);
    harness.connects("e", 100);
    assert_eq!(harness.writes(), question(50, 3));
    harness.is_answered("e", 1, 47..50);
    assert_eq!(harness.page().0, [47, 48, 49]);
    assert_eq!(harness.writes(), question(20, 3));
}

#[test]
fn an_answer_that_ends_every_connection_is_given_up() {
    let mut harness = Harness::new(100);
    harness.wants(Some(50), 3);
    for _ in 0..MOST_TRIES {
        assert_eq!(harness.writes(), question(50, 3));
        harness.is_cut_off();
        let end = |port| SocketAddr::from(([127, 0, 0, 1], port)).into();
        if harness
            .session
            .older
            .asked
            .as_ref()
            .is_some_and(|(one, _)| one.tries == MOST_TRIES)
        {
            harness.session.connected(end(1), end(2), harness.now);
            break;
        }
        harness.connects("e", 100);
    }
    assert_eq!(harness.failure(), HistoryError::Lost);
}

#[test]
fn numbers_of_another_epoch_mean_nothing() {
    let mut harness = Harness::new(100);
    harness.wants(Some(50), 3);
    harness.writes();
    harness.is_cut_off();
    harness.connects("f", 70);
    harness.writes();
    harness.is_answered("f", 1, 47..50);
    assert_eq!(harness.failure(), HistoryError::Renumbered);
}

#[test]
fn the_program_learns_that_a_history_begins_anew() {
    let mut harness = Harness::new(100);
    harness.is_cut_off();
    let end = |port| SocketAddr::from(([127, 0, 0, 1], port)).into();
    harness.session.connected(end(1), end(2), harness.now);
    harness.writes();
    let registered = r#"{"extended":{"registered":{"topics":{"t":{"epoch":"f","seq":2}}}}}"#;
    harness.reads(registered.as_bytes());
    let events = harness.session.take_events();
    let at = |is: fn(&Event) -> bool| events.iter().position(is);
    let renumbered = at(|event| matches!(event, Event::Renumbered(_)));
    let incomplete = at(|event| matches!(event, Event::Incomplete(_)));
    assert!(
        renumbered.is_some() && renumbered < incomplete,
        "{events:?}"
    );
}

#[test]
fn a_refusal_is_reported_once_and_the_next_page_is_asked_for() {
    let mut harness = Harness::new(100);
    harness.wants(Some(50), 3);
    harness.wants(Some(20), 3);
    harness.writes();
    let busy = br#"{"extended":{"error":{"code":"storage-busy","text":"later"}}}"#;
    harness.reads(busy);
    let error = harness.failure();
    assert!(matches!(&error, HistoryError::Refused(error) if error.text == "later"));
    assert_eq!(harness.writes(), question(20, 3));
    // Another problem is none of it.
    let other = br#"{"extended":{"error":{"code":"unknown-user","text":"who?"}}}"#;
    harness.reads(other);
    let events = harness.session.take_events();
    assert!(
        matches!(events.as_slice(), [Event::ServerError(_)]),
        "{events:?}"
    );
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_longer_than_that() {
    let mut harness = Harness::new(100);
    let began = harness.now;
    harness.wants(Some(50), 3);
    harness.writes();
    while !harness.session.has_events() {
        harness.now = harness.session.poll_timeout().expect("it waits");
        // The server is still there.
        harness.session.handle_activity(harness.now);
        harness
            .session
            .handle_timeout(harness.now)
            .expect("it goes on");
        harness.session.to_ping = false;
    }
    assert_eq!(harness.now - began, TIMEOUT);
    assert_eq!(
        harness.failure(),
        HistoryError::Unanswered { timeout: TIMEOUT }
    );
    // What comes late belongs to nothing.
    harness.is_answered("e", 1, 47..50);
    assert!(!harness.session.has_events());
}

#[test]
fn a_classic_server_has_no_history() {
    let mut harness = Harness::new(100);
    harness.wants(Some(50), 3);
    harness.is_cut_off();
    let end = |port| SocketAddr::from(([127, 0, 0, 1], port)).into();
    harness.session.connected(end(1), end(2), harness.now);
    let live = r#"{"message":{"topic":"t","text":"hi"}}"#;
    harness.reads(live.as_bytes());
    let is_failure = |event: &Event| {
        matches!(
            event,
            Event::HistoryFailed {
                error: HistoryError::Unsupported,
                ..
            }
        )
    };
    assert!(harness.session.take_events().iter().any(is_failure));
    harness.wants(Some(50), 3);
    assert_eq!(harness.failure(), HistoryError::Unsupported);
}

#[test]
fn an_acknowledged_line_has_its_number() {
    let mut harness = Harness::new(100);
    let topic = TopicName::new("t").expect("a name");
    let text = "hello".into();
    harness.session.push(Line { topic, text }, harness.now);
    harness.writes();
    let ack = br#"{"extended":{"ack":{"id":"5eed5eed-1","topic":"t","seq":101}}}"#;
    harness.reads(ack);
    let events = harness.session.take_events();
    assert!(matches!(
        events.as_slice(),
        [Event::Delivered { seq: Some(101), .. }]
    ));
}
