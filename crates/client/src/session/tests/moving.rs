//! A server that is ending asks its clients to come back.

use super::*;

const HINT: &[u8] =
    br#"{"extended":{"reconnect":{"within":10000,"servers":["b:20000","no address","unix:/run/x","[::1]:7"]}}}"#;

#[test]
fn each_session_leaves_at_a_moment_of_its_own_within_the_time() {
    let moments: Vec<_> = (0..50)
        .map(|_| {
            let mut harness = Harness::new();
            harness.is_answered();
            harness.reads(HINT).expect("it goes on");
            let at = harness.session.leaves_at().expect("a moment");
            let until = at.saturating_duration_since(harness.now);
            assert!(until <= 10 * SECOND, "{until:?}");
            until
        })
        .collect();
    assert!(moments.iter().any(|moment| *moment < 4 * SECOND));
    assert!(moments.iter().any(|moment| *moment > 6 * SECOND));
}

#[test]
fn it_knows_where_to_go_and_forgets_it_when_it_is_there() {
    let mut harness = Harness::new();
    harness.is_answered();
    harness.reads(HINT).expect("it goes on");
    let moving = harness.session.take_move().expect("somewhere to go");
    let address = |server: &ServerAddress| server.address.to_string();
    let mut servers: Vec<_> = moving.servers.iter().map(address).collect();
    servers.sort();
    assert_eq!(servers, ["[::1]:7", "b:20000"]);
    assert_eq!(harness.session.leaves_at(), None);

    harness.reads(HINT).expect("it goes on");
    let end = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port)).into();
    harness.session.connected(end(3), end(4), harness.now);
    assert_eq!(harness.session.leaves_at(), None);
    let bare = br#"{"extended":{"reconnect":{"within":0}}}"#;
    harness.is_answered();
    harness.reads(bare).expect("it goes on");
    let moving = harness.session.take_move().expect("the same address");
    assert_eq!((moving.at, moving.servers.len()), (harness.now, 0));
}

#[test]
fn without_another_connection_it_stays() {
    let mut harness = Harness::new();
    harness.session.stay();
    harness.is_answered();
    harness.reads(HINT).expect("it goes on");
    assert_eq!(harness.session.leaves_at(), None);
}

#[test]
fn a_server_names_others_when_it_registers_us() {
    let registered = |servers: &str| {
        format!(
            r#"{{"extended":{{"registered":{{"topics":{{"t":{{"epoch":"e","seq":0}}}}{servers}}}}}}}"#
        )
    };
    let mut harness = Harness::new();
    harness
        .reads(registered("").as_bytes())
        .expect("it goes on");
    assert_eq!(harness.session.take_named(), None);
    let pin = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let named = registered(&format!(
        r#","servers":["b:1","x","unix:/run/x","c:1#{pin}"]"#
    ));
    harness.reads(named.as_bytes()).expect("it goes on");
    let servers = harness.session.take_named().expect("servers");
    let read: Vec<_> = servers
        .iter()
        .map(|one| (one.address.to_string(), one.pins.len()))
        .collect();
    assert_eq!(read, [("b:1".to_owned(), 0), ("c:1".to_owned(), 1)]);
    assert_eq!(harness.session.take_named(), None);
    harness
        .reads(registered(r#","servers":[]"#).as_bytes())
        .expect("it goes on");
    assert_eq!(harness.session.take_named(), Some(Vec::new()));
}

/// A server that has accepted the connection and says nothing, as one that is stopped.
#[test]
fn a_server_that_does_not_answer_is_left_if_there_is_another_one() {
    let mut harness = Harness::new();
    harness.is_answered();
    let end = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port)).into();
    for (has_alternative, seconds) in [(true, 10), (false, 40)] {
        let cause = Disconnect::Link(crate::link::LinkError::Closed);
        harness.session.disconnected(cause, harness.now);
        harness.session.has_alternative(has_alternative);
        harness.session.connected(end(3), end(4), harness.now);
        let began = harness.now;
        let lost = loop {
            if let Err(lost) = harness.waits() {
                break lost;
            }
        };
        assert!(
            matches!(lost, SessionError::Lost(Disconnect::Silent)),
            "{lost:?}"
        );
        assert_eq!(harness.now - began, seconds * SECOND);
    }
}
