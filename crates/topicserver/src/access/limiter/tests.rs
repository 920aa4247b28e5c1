//! Limits, by account and by address.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> Limits {
    Limits {
        messages: Some("10/s burst 20".parse().unwrap()),
        bytes: Some("1000/s".parse().unwrap()),
        connections: Some(2),
        new_topics: Some("60/h".parse().unwrap()),
    }
}

fn client(ip: &str) -> Owner {
    Owner::of(&Principal::Everyone, ip.parse().unwrap())
}

fn account(name: &str) -> Owner {
    Owner::Account(UserName::new(name).unwrap())
}

#[test]
fn without_limits_nothing_is_measured() {
    let limiter = Limiter::default();
    let now = Instant::now();
    let meter = limiter.meter(client("203.0.113.9"), Limits::default(), now);
    assert!(meter.is_none());
    assert!(limiter.table.lock().owners.is_empty());
}

#[test]
fn an_owner_has_one_bucket_however_many_meters() {
    let limiter = Limiter::default();
    let now = Instant::now();
    let meter = |owner| limiter.meter(owner, limits(), now).unwrap();
    let first = meter(client("203.0.113.9"));
    for _ in 0..20 {
        assert_eq!(first.publish(1, 10, now), Ok(()));
    }
    drop(first);
    let again = meter(client("::ffff:203.0.113.9"));
    let exceeded = again.publish(1, 10, now).unwrap_err();
    assert_eq!(exceeded.limit, Limit::Messages);
    let text = "the limit of messages for address 203.0.113.9 is 10/s; more is taken in 1 s";
    assert_eq!(exceeded.to_string(), text);
    assert_eq!(meter(client("203.0.113.10")).publish(1, 10, now), Ok(()));
    assert_eq!(meter(account("alice")).publish(1, 10, now), Ok(()));
}

#[test]
fn neighbours_in_a_slash_64_share_one() {
    let owner = client("2001:db8:1:2::7");
    assert_eq!(owner, client("2001:db8:1:2:ffff::"));
    assert_eq!(owner.to_string(), "network 2001:db8:1:2::/64");
    assert_eq!(account("alice").to_string(), "account alice");
}

#[test]
fn what_is_refused_costs_nothing() {
    let (limiter, now) = (Limiter::default(), Instant::now());
    let meter = limiter.meter(account("alice"), limits(), now).unwrap();
    assert_eq!(meter.publish(1, 900, now), Ok(()));
    let exceeded = meter.publish(1, 900, now).unwrap_err();
    assert_eq!(exceeded.limit, Limit::Bytes);
    assert_eq!(exceeded.wait, Duration::from_millis(800));
    assert_eq!(meter.publish(19, 100, now), Ok(()));
}

#[test]
fn what_was_read_already_is_owed() {
    let (limiter, now) = (Limiter::default(), Instant::now());
    let meter = limiter.meter(account("alice"), limits(), now).unwrap();
    assert_eq!(meter.charge(19, 100, now), None);
    let exceeded = meter.charge(11, 100, now).unwrap();
    assert_eq!(exceeded.limit, Limit::Messages);
    // Ten are owed, and one more must be there.
    assert_eq!(exceeded.wait, Duration::from_millis(1100));
    assert_eq!(meter.charge(1, 1, now + 2 * SECOND), None);
}

#[test]
fn new_topics_have_a_rate_of_their_own() {
    let (limiter, now) = (Limiter::default(), Instant::now());
    let meter = limiter.meter(account("alice"), limits(), now).unwrap();
    for _ in 0..60 {
        assert_eq!(meter.make_topic(now), Ok(()));
    }
    let exceeded = meter.make_topic(now).unwrap_err();
    assert_eq!(
        (exceeded.limit.as_str(), exceeded.retry_after()),
        ("new-topics", Some(60))
    );
    assert_eq!(meter.make_topic(now + 60 * SECOND), Ok(()));
}

#[test]
fn connections_count_while_they_are_there() {
    let (limiter, now) = (Limiter::default(), Instant::now());
    let meter = limiter.meter(account("alice"), limits(), now).unwrap();
    let first = meter.connect().ok().unwrap();
    let second = meter.clone().connect().ok().unwrap();
    let exceeded = meter.connect().err().unwrap();
    assert_eq!(exceeded.code(), ErrorCode::TooManyConnections);
    assert_eq!(exceeded.retry_after(), None);
    let text = exceeded.to_string();
    let expected = "the limit of connections for account alice is 2; close one first";
    assert_eq!(text, expected);
    drop(first);
    assert!(meter.connect().is_ok());
    drop(second);
}

#[test]
fn limits_that_are_not_said_are_the_general_ones() {
    let own = Limits {
        messages: None,
        connections: Some(9),
        ..Limits::default()
    };
    let expected = Limits {
        connections: Some(9),
        ..limits()
    };
    assert_eq!(own.or(limits()), expected);
}

#[test]
fn the_table_is_bounded_and_nobody_gains_by_filling_it() {
    let limiter = Limiter::default();
    let mut now = Instant::now();
    let nth = |number: usize| {
        let number = u32::try_from(number).unwrap();
        client(&std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string())
    };
    let spend = |owner, now| {
        limiter
            .meter(owner, limits(), now)
            .unwrap()
            .publish(1, 1, now)
    };
    let len = || limiter.table.lock().owners.len();
    for number in 0..MAX_OWNERS {
        spend(nth(number), now).unwrap();
    }
    assert_eq!(len(), MAX_OWNERS);
    // Those who come now share what one would have.
    for number in 0..20 {
        assert_eq!(spend(nth(MAX_OWNERS + number), now), Ok(()));
    }
    let exceeded = spend(nth(MAX_OWNERS + 20), now).unwrap_err();
    assert_eq!(exceeded.of, Owner::Others);
    assert_eq!(len(), MAX_OWNERS + 1);
    // When the buckets are full again, they mean nothing; but connections do.
    let staying = limiter.meter(nth(7), limits(), now).unwrap();
    let place = staying.connect().ok().unwrap();
    drop(staying);
    now += 10 * SECOND;
    spend(nth(MAX_OWNERS), now).unwrap();
    assert_eq!(len(), 2);
    drop(place);
}
