//! Who we are, as servers find, and what we may do.

use wire::{Credential, ErrorCode, Secret};

use super::*;
use crate::error::Refusal;

/// The codes after which nothing is tried again.
const REFUSALS: [&str; 5] = [
    "unauthenticated",
    "forbidden",
    "protected",
    "expired",
    "revoked",
];

fn logged_in() -> Harness {
    Harness::configured(|config| {
        let token = Secret::new("ntr_a_hush").expect("a secret");
        config.credential = Some(Credential::Token(token));
    })
}

/// An error as extended clients are told it.
fn told(code: &str) -> Vec<u8> {
    format!("{{\"extended\":{{\"error\":{{\"code\":\"{code}\",\"text\":\"why\"}}}}}}").into_bytes()
}

/// The same as classic ones are.
fn said(code: &str) -> Vec<u8> {
    format!("{{\"message\":{{\"topic\":\"error\",\"text\":\"{code}: why\"}}}}").into_bytes()
}

impl Harness {
    /// The connection is lost and another one made: what it registers with.
    fn comes_back(&mut self) -> String {
        let cause = Disconnect::Silent;
        self.session.disconnected(cause, self.now);
        let end = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port)).into();
        self.session.connected(end(3), end(2), self.now);
        self.writes()
    }

    fn events(&mut self) -> Vec<Event> {
        self.session.take_events()
    }
}

#[test]
fn each_registration_begins_with_the_credential_which_nothing_shows() {
    let mut harness = logged_in();
    assert!(!format!("{:?}", harness.session).contains("hush"));
    let authenticated = br#"{"extended":{"authenticated":{"user":"alice","expires":7}}}"#;
    harness.reads(authenticated).expect("it goes on");
    harness.is_answered();
    let events = harness.events();
    assert!(
        matches!(&events[0], Event::Authenticated { user: Some(user), expires: Some(7) } if user == "alice"),
        "{events:?}"
    );
    let registration = harness.comes_back();
    let auth = registration
        .find("\"auth\":\"ntr_a_hush\"")
        .expect("a credential");
    assert!(
        auth < registration.find("\"client\"").expect("a key"),
        "{registration}"
    );
    // The same account isn't news.
    harness.reads(authenticated).expect("it goes on");
    harness.is_answered();
    let news =
        |event: &Event| matches!(event, Event::Authenticated { .. } | Event::NotAuthenticated);
    assert!(!harness.events().iter().any(news));
    harness.comes_back();
    harness
        .reads(br#"{"extended":{"authenticated":{}}}"#)
        .expect("it goes on");
    let events = harness.events();
    assert!(
        matches!(events[..], [Event::Authenticated { user: None, .. }]),
        "{events:?}"
    );
}

#[test]
fn a_server_that_has_checked_nothing_is_told_of() {
    let mut harness = logged_in();
    harness.is_answered();
    let is_told = |event: &Event| matches!(event, Event::NotAuthenticated);
    assert!(harness.events().iter().any(is_told));
    let mut harness = Harness::new();
    harness.is_answered();
    assert!(!harness.events().iter().any(is_told));
}

#[test]
fn a_refused_registration_fails_at_first_and_ends_later_ones() {
    for code in REFUSALS.into_iter().chain(["too-many-attempts"]) {
        for refusal in [told(code), said(code)] {
            let mut harness = logged_in();
            let failed = harness.reads(&refusal).expect_err(code);
            assert!(
                matches!(&failed, SessionError::Failed(ClientError::Refused(Refusal::Server(error)))
                    if error.code == code),
                "{failed:?}"
            );
            let mut harness = logged_in();
            harness.is_answered();
            harness.comes_back();
            let failed = harness.reads(&refusal).expect_err(code);
            let SessionError::Lost(cause) = failed else {
                panic!("{failed:?}");
            };
            assert_eq!(is_hopeless(&cause), code != "too-many-attempts", "{code}");
        }
    }
}

#[test]
fn a_login_that_ends_is_why_the_connection_does() {
    for code in ["expired", "revoked"] {
        let mut harness = logged_in();
        harness.is_answered();
        harness.reads(&told(code)).expect("the end comes then");
        let cause = Disconnect::Link(crate::link::LinkError::Closed);
        let cause = harness.session.disconnected(cause, harness.now);
        assert!(matches!(&cause, Disconnect::Server(error) if error.code == code));
        assert!(is_hopeless(&cause));
    }
}

#[test]
fn a_classic_client_is_refused_in_a_message_which_nobody_can_forge() {
    for code in ["tls-required", "protected", "expired", "revoked"] {
        let classic = |topic: &str| {
            Harness::configured(|config| {
                config.protocol = Protocol::Classic;
                config.topics = vec![TopicName::new(topic).expect("a name")];
            })
        };
        let failed = classic("t").reads(&said(code)).expect_err(code);
        assert!(matches!(&failed, SessionError::Lost(cause) if is_hopeless(cause)));
        // Others may say so in a topic of that name.
        classic("error").reads(&said(code)).expect("it goes on");
    }
}

#[test]
fn a_topic_that_may_not_be_joined_is_not_asked_for_again() {
    let mut harness = Harness::new();
    harness.is_answered();
    let topic = |name| TopicName::new(name).expect("a name");
    let now = harness.now;
    harness.session.request(Request::Join(topic("secret")), now);
    harness.has_written();
    assert!(harness.writes().contains("secret"));
    harness.events();
    harness.reads(&told("forbidden")).expect("it goes on");
    let events = harness.events();
    assert!(
        matches!(&events[..], [Event::JoinRefused { topic: refused, error }]
            if *refused == topic("secret") && error.is(ErrorCode::Forbidden)),
        "{events:?}"
    );
    assert!(!harness.comes_back().contains("secret"));
}

#[test]
fn members_that_nobody_has_asked_for_may_be_kept_secret_without_a_word() {
    let mut harness = Harness::configured(|config| config.presence = Presence::Follow);
    harness.is_answered();
    harness.events();
    harness.reads(&told("forbidden")).expect("it goes on");
    assert!(harness.events().is_empty());
    harness.reads(&told("forbidden")).expect("it goes on");
    assert!(matches!(&harness.events()[..], [Event::ServerError(_)]));
    harness.comes_back();
    harness.is_answered();
    let members = br#"{"extended":{"members":{"topic":"t","count":1,"users":[]}}}"#;
    harness.reads(members).expect("it goes on");
    harness.events();
    harness.reads(&told("forbidden")).expect("it goes on");
    assert!(matches!(&harness.events()[..], [Event::ServerError(_)]));
}

#[test]
fn a_topic_that_is_forbidden_later_is_left() {
    let mut harness = Harness::new();
    harness.is_answered();
    harness.events();
    harness
        .reads(br#"{"extended":{"removed":{"topic":"t","code":"forbidden"}}}"#)
        .expect("it goes on");
    let events = harness.events();
    assert!(
        matches!(&events[..], [Event::Removed { topic, code }]
            if topic.as_str() == "t" && code == ErrorCode::Forbidden.as_str()),
        "{events:?}"
    );
    assert!(harness.comes_back().contains("\"topics\":[]"));
}

#[test]
fn a_reserved_name_is_numbered_if_any_will_do() {
    let mut harness = Harness::new();
    let failed = harness.reads(&told("name-reserved")).expect_err("reserved");
    assert!(
        matches!(&failed, SessionError::Failed(ClientError::NameReserved(name)) if name.as_str() == "alice"),
        "{failed:?}"
    );
    let mut harness = Harness::configured(|config| {
        config.name = Name::Preferred(UserName::new("alice").expect("a name"));
    });
    harness.reads(&told("name-reserved")).expect("it goes on");
    let events = harness.events();
    assert!(matches!(&events[..], [Event::NameReserved(name)] if name.as_str() == "alice"));
    assert!(harness.writes().contains("alice-2"));
    harness.is_answered();
    assert!(harness.comes_back().contains("alice-2"));
}

/// Servers of a cluster that didn't reach each other have given it twice.
#[test]
fn a_name_that_turns_out_to_be_somebody_elses_is_numbered_and_the_client_comes_back() {
    let mut harness = Harness::configured(|config| {
        config.name = Name::Preferred(UserName::new("alice").expect("a name"));
    });
    harness.is_answered();
    let taken = r#"{"extended":{"error":{"code":"name-taken","text":"she was first"}}}"#;
    harness.reads(taken.as_bytes()).expect("it goes on");
    let events = harness.events();
    assert!(
        events.iter().any(
            |event| matches!(event, Event::ServerError(error) if error.text == "she was first")
        ),
        "{events:?}"
    );
    assert!(harness.comes_back().contains(r#""alice""#));
    harness.reads(&told("name-taken")).expect("it goes on");
    assert!(harness.writes().contains("alice-2"));
}
