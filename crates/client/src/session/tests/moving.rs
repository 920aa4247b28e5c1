//! A server that is ending asks its clients to come back.

use super::*;

const HINT: &[u8] =
    br#"{"extended":{"reconnect":{"within":10000,"servers":["b:20000","no address","[::1]:7"]}}}"#;

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
    let mut servers: Vec<_> = moving.servers.iter().map(ToString::to_string).collect();
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
