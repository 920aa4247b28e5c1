//! A name that another client has.

use wire::ErrorCode;

use super::*;
use crate::claim::{Claim, ClaimError, ClaimReason};
use crate::error::ServerError;

const TAKEN: &str = r#"{"message":{"topic":"error","text":"name-taken: somebody else is alice"}}"#;

/// A client that wishes to be alice, and is alice-2.
fn other_name() -> Harness {
    let mut harness = Harness::named(Name::Preferred(alice()), History::None);
    harness.reads(TAKEN.as_bytes()).expect("it goes on");
    assert!(harness.writes().contains("alice-2"));
    harness.has_written();
    harness.is_answered();
    harness
}

fn name_taken() -> ClaimError {
    ClaimError::Refused(ServerError {
        code: ErrorCode::NameTaken.as_str().into(),
        text: "kept".into(),
    })
}

/// Lets time pass until the session claims a name, for two minutes at most. The server
/// answers every ping.
fn next_claim(harness: &mut Harness) -> Option<Claim> {
    let end = harness.now + 120 * SECOND;
    while harness.now < end {
        if let Some(claim) = harness.session.take_claim() {
            return Some(claim);
        }
        harness.reads(b" ").expect("nothing");
        harness.waits().expect("it goes on");
    }
    None
}

#[test]
fn a_name_that_the_server_keeps_for_another_client_is_tried_for_twice_as_long() {
    let mut harness = other_name();
    let began = harness.now;
    let mut tried = Vec::new();
    while let Some(claim) = next_claim(&mut harness) {
        assert_eq!((&claim.name, claim.reason), (&alice(), ClaimReason::Wished));
        tried.push((harness.now - began).as_secs());
        harness
            .session
            .claim_refused(&claim, name_taken(), harness.now);
    }
    assert_eq!(tried, [1, 3, 7, 15, 31, 63]);
    // Nobody has asked, so nobody is told.
    let events = harness.session.take_events();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::ServerError(_)))
    );
}

#[test]
fn a_name_is_tried_at_once_and_again_when_its_owner_has_left() {
    let mut harness = other_name();
    while let Some(claim) = next_claim(&mut harness) {
        harness
            .session
            .claim_refused(&claim, name_taken(), harness.now);
    }
    let left = r#"{"extended":{"left":{"topic":"t","user":"alice","ip":"10.0.0.1","port":"1"}}}"#;
    harness.reads(left.as_bytes()).expect("it goes on");
    let left = harness.now;
    for after in [0, 1, 3] {
        let claim = next_claim(&mut harness).expect("another attempt");
        assert_eq!((harness.now - left).as_secs(), after);
        harness
            .session
            .claim_refused(&claim, ClaimError::Lost, harness.now);
    }
    let claim = next_claim(&mut harness).expect("another attempt");
    harness.session.renamed(&claim);
    assert!(next_claim(&mut harness).is_none(), "it has the name");
}

#[test]
fn a_name_that_the_server_refuses_for_another_reason_is_not_tried_again() {
    let mut harness = other_name();
    let claim = next_claim(&mut harness).expect("an attempt");
    let error = ClaimError::Refused(ServerError {
        code: "bad-frame".into(),
        text: "no".into(),
    });
    harness.session.claim_refused(&claim, error, harness.now);
    assert!(next_claim(&mut harness).is_none());
}
