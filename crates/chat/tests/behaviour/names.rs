//! What a person is called, and how that changes.

use std::time::Duration;

use topicserver::Config;

use crate::pictures::{Other, joined};
use crate::server::{start_server, start_server_with};

#[test]
fn a_name_changes_when_the_new_one_is_granted_and_not_before() {
    let server = start_server();
    let person = joined(20, 80, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    person.types("/nick bob\r");
    person.sees("somebody else is called \"bob\"");
    person.types("\u{15}still me\r");
    person.sees("alice  t:still me");
    assert_eq!(bob.hears(), "still me");
    person.types("/nick al\r");
    person.sees("-- you are al");
    person.types("me again\r");
    person.sees("al     t:me again");
    assert_eq!(bob.hears(), "me again");
    bob.says("t", "Al: hi");
    person.sees("t:Al: hi");
    assert_eq!(person.rings(), 1);
}

#[test]
fn a_usual_name_comes_back_when_it_is_free_again() {
    // Else the server keeps it for a while for the client that has gone.
    let server = start_server_with(&Config {
        name_grace: Duration::ZERO,
        ..Config::default()
    });
    let other = Other::named("alice", &server, "t");
    let person = joined(20, 80, &server, &[]);
    person.sees("-- you are alice-2");
    drop(other);
    person.sees("-- you are alice\n");
    person.types("hi\r");
    person.sees("alice  t:hi");
}

#[test]
fn a_usual_name_comes_back_from_a_connection_that_was_lost() {
    let server = start_server_with(&Config {
        name_grace: Duration::from_secs(2),
        ..Config::default()
    });
    let mut lost = Other::with_key("alice", "lost", &server, "t");
    lost.is_done();
    drop(lost);
    let person = joined(20, 80, &server, &[]);
    person.sees("-- you are alice-2");
    // Nobody announces that the server keeps the name no longer.
    person.sees("-- you are alice\n");
    person.types("hi\r");
    person.sees("alice  t:hi");
}

#[test]
fn the_user_database_has_a_name_where_the_environment_has_none() {
    let server = start_server();
    let me = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap();
    let person = crate::person::Person::with(
        20,
        80,
        &["-topic", &server, "t"],
        &[("USER", ""), ("LOGNAME", ""), ("USERNAME", "")],
    );
    person.sees(&format!("-- you are {}", me.unwrap().name));
}
