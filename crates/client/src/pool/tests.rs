//! In which order servers are tried, and how those are protected that another one has named.

use wire::{Credential, Secret, TopicName};

use super::*;
use crate::options::{Options, PlainSecrets};
use crate::pin::Pin;

/// The pool of a client with these addresses.
fn pool(servers: &str) -> Pool {
    let servers = servers.parse().expect("addresses");
    let pool = Options::new(servers, vec![TopicName::new("t").expect("a name")]).pool();
    in_order(pool)
}

/// The same with a credential.
fn secret_pool(servers: &str, plain_secrets: PlainSecrets) -> Pool {
    let servers = servers.parse().expect("addresses");
    let mut options = Options::new(servers, Vec::new());
    options.credential = Secret::new("ntr_a_hush").map(Credential::Token);
    options.plain_secrets = plain_secrets;
    in_order(options.pool())
}

/// The same pool with its servers in the order of their names.
fn in_order(mut pool: Pool) -> Pool {
    let name = |server: &Server| server.dialer.address.to_string();
    pool.servers.sort_by_key(name);
    pool
}

fn names(pool: &Pool, places: Vec<Place>) -> Vec<String> {
    let name = |place: Place| pool.dialer(place).address.host.clone();
    places.into_iter().map(name).collect()
}

fn addresses(texts: &[&str]) -> Vec<ServerAddress> {
    let address = |text: &&str| text.parse().expect("an address");
    texts.iter().map(address).collect()
}

fn place(pool: &Pool, host: &str) -> Place {
    let is_it = |server: &Server| server.dialer.address.host == host;
    pool.servers.iter().position(is_it).expect(host)
}

/// How a server is protected that `by` has named over `carrier`; `None` if it isn't used.
fn protection(pool: &mut Pool, carrier: Carrier, name: &str) -> Option<Protection> {
    pool.connected(0, carrier);
    pool.name(&addresses(&[name]));
    let named = pool.servers.iter().find(|server| !server.is_given())?;
    Some(named.dialer.protection.clone())
}

#[test]
fn clients_with_the_same_list_begin_everywhere() {
    let first = || {
        let servers = "a:1,b:1,c:1".parse().expect("addresses");
        let pool = Options::new(servers, Vec::new()).pool();
        names(&pool, pool.again())[0].clone()
    };
    let mut firsts: Vec<_> = std::iter::repeat_with(first).take(200).collect();
    firsts.sort();
    firsts.dedup();
    assert_eq!(firsts, ["a", "b", "c"]);
}

#[test]
fn the_next_one_is_tried_first_and_the_lost_one_last() {
    let mut pool = pool("a:1,b:1,c:1");
    assert_eq!(names(&pool, pool.again()), ["a", "b", "c"]);
    pool.connected(1, Carrier::Network);
    assert_eq!(names(&pool, pool.next()), ["c", "a", "b"]);
    assert_eq!(names(&pool, pool.again()), ["b", "c", "a"]);
    assert!(pool.has_more());
    pool.tried(2);
    assert_eq!(names(&pool, pool.next()), ["a", "c", "b"]);
    pool.tried(0);
    assert!(!pool.has_more());
    pool.begin_round();
    assert_eq!(names(&pool, pool.next()), ["c", "a", "b"]);
}

#[test]
fn one_that_fails_for_good_is_left_out_and_the_last_of_them_ends_it() {
    let mut pool = pool("a:1,b:1");
    pool.refuse(1);
    assert_eq!(names(&pool, pool.next()), ["a"]);
    assert!(!pool.is_hopeless());
    pool.connected(0, Carrier::Network);
    pool.name(&addresses(&["x:1"]));
    pool.refuse(0);
    assert!(pool.is_hopeless());
}

#[test]
fn named_servers_come_after_those_that_were_given_but_first_when_one_is_sent_there() {
    let mut pool = pool("a:1,b:1");
    pool.connected(0, Carrier::Network);
    pool.name(&addresses(&["x:1", "b:1", "y:1", "x:1"]));
    pool.begin_round();
    assert_eq!(names(&pool, pool.next()), ["b", "x", "y", "a"]);
    assert_eq!(names(&pool, pool.elsewhere()), ["x", "y", "b", "a"]);
    // Others take their place; where we are is known all the same.
    let x = place(&pool, "x");
    pool.connected(x, Carrier::Network);
    pool.name(&addresses(&["z:1"]));
    assert_eq!(pool.current().address.host, "x");
    pool.begin_round();
    assert_eq!(names(&pool, pool.next()), ["a", "b", "z", "x"]);
    pool.name(&[]);
    assert_eq!(names(&pool, pool.next()), ["a", "b", "x"]);
}

#[test]
fn a_named_server_that_refuses_is_left_and_a_given_one_is_not() {
    let mut pool = pool("a:1");
    pool.connected(0, Carrier::Network);
    assert!(!pool.drop_named());
    pool.name(&addresses(&["x:1"]));
    let x = place(&pool, "x");
    pool.connected(x, Carrier::Network);
    assert!(pool.drop_named());
    assert_eq!(names(&pool, pool.next()), ["a"]);
}

#[test]
fn servers_that_name_one_another_and_end_at_once_are_not_tried_at_once() {
    let mut pool = pool("a:1");
    pool.connected(0, Carrier::Network);
    pool.name(&addresses(&["x:1"]));
    assert!(!pool.has_more());
}

#[test]
fn a_named_server_is_protected_no_less() {
    use Carrier::{Machine, Network, Tls};
    let mut over_tls = pool("tls://a:1");
    let tls = |protection| matches!(protection, Some(Protection::Tls(_)));
    assert!(tls(protection(&mut over_tls, Tls, "x:1")));
    let mut plain = pool("a:1");
    let found = protection(&mut plain, Network, "x:1");
    assert!(matches!(found, Some(Protection::Plain)));
    // Nobody elsewhere knows what listens on this machine.
    assert!(protection(&mut plain, Network, "127.0.0.1:22").is_none());
    assert!(protection(&mut over_tls, Tls, "localhost:22").is_none());
    assert!(protection(&mut plain, Machine, "127.0.0.1:22").is_some());
}

#[test]
fn a_credential_goes_only_where_an_authenticated_server_sends_it() {
    use Carrier::{Machine, Network, Tls};
    let guarded = || secret_pool("a:1", PlainSecrets::WithinMachine);
    let tls = |protection| matches!(protection, Some(Protection::Tls(_)));
    assert!(tls(protection(&mut guarded(), Tls, "x:1")));
    let found = protection(&mut guarded(), Machine, "x:1");
    assert!(matches!(found, Some(Protection::TlsToOthers(_))));
    // Even where the program sends it in plain text, a name that came so may be forged.
    let open = || secret_pool("a:1", PlainSecrets::Anywhere);
    assert!(protection(&mut open(), Network, "x:1").is_none());
    let found = protection(&mut open(), Machine, "x:1");
    assert!(matches!(found, Some(Protection::PlainWithinMachine)));
}

#[test]
fn a_named_server_has_a_key_that_is_known_and_none_is_accepted_at_first_use() {
    let (own, other) = (Pin::of_key(b"own"), Pin::of_key(b"other"));
    let mut options = Options::new(
        format!("tls://a:1#{own},tls://b:1")
            .parse()
            .expect("addresses"),
        Vec::new(),
    );
    options.trust.unknown = crate::tls::UnknownKey::Accept;
    let mut pool = in_order(options.pool());
    let trust = |pool: &Pool, host: &str| match &pool.dialer(place(pool, host)).protection {
        Protection::Tls(tls) => tls.trust().clone(),
        other => panic!("{other:?}"),
    };
    // Fingerprints are those of their address alone.
    assert_eq!(trust(&pool, "a").pins, [own]);
    assert_eq!(trust(&pool, "b").pins, []);
    let a = place(&pool, "a");
    pool.connected(a, Carrier::Tls);
    pool.name(&addresses(&[&format!("tls://x:1#{other}")]));
    assert_eq!(trust(&pool, "x").pins, [own, other]);
    assert_eq!(trust(&pool, "x").unknown, crate::tls::UnknownKey::Refuse);
}

#[test]
fn where_one_server_wants_tls_the_others_are_not_left_in_plain_text() {
    let mut pool = pool("a:1,b:1,tcp://127.0.0.1:1");
    let here = place(&pool, "127.0.0.1");
    pool.connected(here, Carrier::Machine);
    assert!(!pool.upgrade());
    let a = place(&pool, "a");
    pool.connected(a, Carrier::Network);
    assert!(pool.upgrade());
    assert!(!pool.upgrade());
    for host in ["a", "b"] {
        let dialer = pool.dialer(place(&pool, host));
        assert!(matches!(dialer.protection, Protection::Tls(_)), "{host}");
    }
}
