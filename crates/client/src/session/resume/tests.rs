//! What is seen, what is asked for, and what is shown.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn state(epoch: &str, seq: u64, recovered: Option<bool>) -> TopicState {
    TopicState {
        epoch: epoch.into(),
        seq,
        recovered,
    }
}

/// Registers: true if nothing is missing.
fn registered(seen: &mut ResumePoint, now: &TopicState) -> bool {
    seen.registered(now) == Recovery::Complete
}

fn asked(seen: &ResumePoint) -> RegistrationOptions {
    let mut options = RegistrationOptions::default();
    seen.add_to(&mut options);
    options
}

/// The position from which it would resume.
fn position(seen: &ResumePoint) -> Option<(String, u64)> {
    let resume = asked(seen).resume;
    let position = resume.get("t")?;
    Some((position.epoch.clone(), position.seq))
}

fn at(epoch: &str, seq: u64) -> Option<(String, u64)> {
    Some((epoch.into(), seq))
}

#[test]
fn a_fresh_registration_has_seen_what_was_there() {
    let mut seen = ResumePoint::new("t", History::None);
    assert_eq!(asked(&seen), RegistrationOptions::default());
    assert!(registered(&mut seen, &state("e", 57, None)));
    assert_eq!(position(&seen), at("e", 57));
    assert_eq!(seen.record(57), Recorded::Known);
    assert_eq!(seen.record(58), Recorded::New);
    assert_eq!(seen.record(58), Recorded::Known);
    assert_eq!(position(&seen), at("e", 58));
}

#[test]
fn the_last_messages_are_asked_for_once_and_resumed_within() {
    let mut seen = ResumePoint::new("t", History::Last(20));
    assert_eq!(asked(&seen).last, Some(20));
    registered(&mut seen, &state("e", 57, None));
    // Lost before the first of them came.
    assert_eq!(position(&seen), at("e", 37));
    assert_eq!(asked(&seen).last, None);
    assert_eq!(seen.record(38), Recorded::New);
    assert_eq!(position(&seen), at("e", 38));

    let mut seen = ResumePoint::new("t", History::Last(20));
    registered(&mut seen, &state("e", 3, None));
    assert_eq!(seen.record(1), Recorded::New);
}

#[test]
fn a_time_is_asked_for_again_until_something_came() {
    let mut seen = ResumePoint::new("t", History::Since(123));
    assert!(registered(&mut seen, &state("e", 57, None)));
    assert_eq!(asked(&seen).since, Some(123));
    assert!(asked(&seen).resume.is_empty());
    assert!(registered(&mut seen, &state("e", 60, None)));
    // Another life of the history doesn't hold what the first one did.
    assert!(!registered(&mut seen, &state("f", 2, None)));
    assert_eq!(seen.record(2), Recorded::New);
    assert_eq!(asked(&seen).since, None);
    assert_eq!(position(&seen), at("f", 2));
}

#[test]
fn what_was_recovered_goes_on_where_it_ended() {
    let mut seen = ResumePoint::new("t", History::None);
    registered(&mut seen, &state("e", 57, None));
    assert!(registered(&mut seen, &state("e", 60, Some(true))));
    assert_eq!(position(&seen), at("e", 57));
    assert!((58..=60).all(|number| seen.record(number) == Recorded::New));
}

#[test]
fn what_was_not_recovered_is_said_and_goes_on_with_what_there_is() {
    let mut seen = ResumePoint::new("t", History::None);
    registered(&mut seen, &state("e", 57, None));
    // The history doesn't reach back far enough.
    assert!(!registered(&mut seen, &state("e", 100, Some(false))));
    assert_eq!(seen.record(57), Recorded::Known);
    assert_eq!(seen.record(90), Recorded::New);
    // Another life: its numbers begin anew.
    assert!(!registered(&mut seen, &state("f", 2, Some(false))));
    assert_eq!(seen.record(1), Recorded::New);
    assert_eq!(seen.record(2), Recorded::New);
    // A server that claims to have recovered what it can't.
    assert!(!registered(&mut seen, &state("g", 9, Some(true))));
    // One that doesn't say.
    assert!(!registered(&mut seen, &state("g", 9, None)));
}

#[test]
fn our_own_messages_are_seen_and_not_shown() {
    let mut seen = ResumePoint::new("t", History::None);
    registered(&mut seen, &state("e", 57, None));
    seen.record_own(58);
    assert_eq!(position(&seen), at("e", 58));
    // 59 of somebody else is on its way.
    seen.record_own(60);
    seen.record_own(61);
    assert_eq!(position(&seen), at("e", 58));
    assert_eq!(seen.record(59), Recorded::New);
    assert_eq!(position(&seen), at("e", 61));
    seen.record_own(63);
    assert_eq!(seen.record(62), Recorded::New);
    assert_eq!(seen.record(63), Recorded::Known);
    assert_eq!(position(&seen), at("e", 63));
    // Those of another life say nothing.
    seen.record_own(65);
    registered(&mut seen, &state("f", 64, Some(false)));
    assert_eq!(seen.record(65), Recorded::New);
}

#[test]
fn our_own_messages_before_the_history_has_come_take_no_room() {
    let mut seen = ResumePoint::new("t", History::Since(1));
    registered(&mut seen, &state("e", 57, None));
    for number in 58..100_000 {
        seen.record_own(number);
    }
    assert_eq!(seen.own.len(), 1);
    assert_eq!(seen.record(50), Recorded::New);
    assert_eq!(seen.record(60), Recorded::Known);
}

#[test]
fn what_is_still_to_come_is_known() {
    let mut seen = ResumePoint::new("t", History::None);
    assert!(!seen.is_behind(0));
    registered(&mut seen, &state("e", 57, None));
    assert!(!seen.is_behind(57));
    registered(&mut seen, &state("e", 58, Some(true)));
    assert!(seen.is_behind(58));
    seen.record(58);
    assert!(!seen.is_behind(58));
    for history in [History::Last(20), History::Since(1)] {
        let mut seen = ResumePoint::new("t", history);
        assert!(seen.is_behind(0));
        registered(&mut seen, &state("e", 2, None));
        assert!(seen.is_behind(2));
        seen.record(1);
        assert!(seen.is_behind(2));
        seen.record_gap(2);
        assert!(!seen.is_behind(2));
        let mut seen = ResumePoint::new("t", history);
        registered(&mut seen, &state("e", 0, None));
        assert!(!seen.is_behind(0));
    }
}

#[test]
fn a_gap_is_behind_us() {
    let mut seen = ResumePoint::new("t", History::None);
    registered(&mut seen, &state("e", 57, None));
    seen.record_gap(70);
    assert_eq!(position(&seen), at("e", 70));
    seen.record_gap(60);
    assert_eq!(position(&seen), at("e", 70));
    seen.record_gap(u64::MAX);
    seen.record_own(u64::MAX);
    assert_eq!(seen.record(u64::MAX), Recorded::Known);
}

proptest! {
    /// Messages of others and of ours, acknowledged late or not at all, over
    /// connections that are lost after any of them.
    #[test]
    fn everybody_elses_message_is_shown_once_wherever_connections_are_lost(
        own in proptest::collection::vec(any::<bool>(), 0..40),
        cuts in proptest::collection::vec((0_usize..40, 0_usize..8), 0..8),
    ) {
        let count = own.len() as u64;
        let is_own = |number: u64| own[number as usize - 1];
        let mut seen = ResumePoint::new("t", History::None);
        registered(&mut seen, &state("e", 0, None));
        let mut shown = Vec::new();
        let last = (own.len(), own.len());
        for (length, acks_behind) in cuts.into_iter().chain([last]) {
            let (_, from) = position(&seen).expect("registered");
            prop_assert!(registered(&mut seen, &state("e", count, Some(true))));
            let coming: Vec<u64> = (from + 1..=count).take(length).collect();
            for (index, number) in coming.iter().enumerate() {
                if !is_own(*number) && seen.record(*number) == Recorded::New {
                    shown.push(*number);
                }
                // Acknowledgements may come earlier or later than messages.
                if let Some(ahead) = coming.get(index + acks_behind)
                    && is_own(*ahead)
                {
                    seen.record_own(*ahead);
                }
            }
        }
        let others: Vec<u64> = (1..=count).filter(|number| !is_own(*number)).collect();
        let once: BTreeSet<u64> = shown.iter().copied().collect();
        prop_assert_eq!(once.len(), shown.len(), "shown twice");
        prop_assert_eq!(shown, others);
    }
}
