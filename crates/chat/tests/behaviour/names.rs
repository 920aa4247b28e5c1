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
    let picture = person.sees("t:Al: hi");
    assert_eq!(person.rings(), 1);
    // How the name was changed is nobody's business.
    for once in ["-- joined t", "-- in t: "] {
        assert_eq!(picture.matches(once).count(), 1, "{picture}");
    }
    assert!(!picture.contains("has left"), "{picture}");
    assert!(picture.contains(" t · 2 here: al, bob"), "{picture}");
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

#[test]
fn names_in_any_script_stand_in_their_columns() {
    let server = start_server();
    let person = joined(16, 110, &server, &["--name", "騒ぎ屋"]);
    let mut noa = Other::named("נועה", &server, "t");
    person.sees("נועה has joined");
    noa.says("t", "שלום 騒ぎ屋: come");
    let picture = person.sees("t:שלום 騒ぎ屋: come");
    assert_eq!(person.rings(), 1, "{picture}");
    person.types("נו\there\r");
    assert_eq!(noa.hears(), "נועה: here");
    let picture = person.sees_above("t:נועה: here", ">");
    // Where it is said begins below where the other line says it.
    let column = |text: &str| {
        let row = picture.lines().find(|row| row.contains(text)).unwrap();
        unicode_width::UnicodeWidthStr::width(row.split(text).next().unwrap())
    };
    assert_eq!(column("t:שלום"), column("t:נועה"), "{picture}");
    for name in ["│ נועה", "│ 騒ぎ屋"] {
        assert!(picture.contains(name), "{picture}");
    }
    person.types("/nick مريم\r");
    person.sees("-- you are مريم");
    person.types("it's me\r");
    person.sees("مريم");
    assert_eq!(noa.hears(), "it's me");
}
