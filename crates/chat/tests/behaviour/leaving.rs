//! Every way out of the terminal: its settings are what they were, and the program
//! says how it ended.

use nix::sys::signal::{Signal, kill};

use crate::peer::listen;
use crate::person::Person;
use crate::server::start_server;

/// Someone on the topic `t`, with half a line typed if it is any.
fn person(half_a_line: &str) -> Person {
    let server = start_server();
    let person = Person::sits_at(12, 60, &["-topic", &server, "t"]);
    person.sees("nobody else is here yet");
    person.types(half_a_line);
    person.sees_last(&format!("t> {half_a_line}"));
    assert!(!person.has_the_terminal_back());
    person
}

/// Presses these keys, and expects that to be the end.
fn ends_with(keys: &str, code: i32) {
    let mut person = person("");
    person.types(keys);
    assert_eq!(person.exit_code(), Some(code));
    assert!(person.has_the_terminal_back());
}

#[test]
fn ctrl_d_ends_it() {
    ends_with("\u{4}", 0);
}

#[test]
fn quit_ends_it() {
    ends_with("/quit\r", 0);
}

#[test]
fn ctrl_c_ends_it() {
    ends_with("\u{3}", 130);
}

#[test]
fn ctrl_c_takes_a_line_away_first() {
    let person = person("never mind");
    person.types("\u{3}");
    person.sees_last("t>");
    person.types("\u{3}");
    let mut person = person;
    assert_eq!(person.exit_code(), Some(130));
    assert!(person.has_the_terminal_back());
}

#[test]
fn signals_end_it_with_the_terminal_as_it_was() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let mut person = person("half a line");
        kill(person.process(), signal).unwrap();
        assert_eq!(person.exit_code(), Some(code));
        assert!(person.has_the_terminal_back(), "{signal}");
        person.waits_for("clean screen", |picture| !picture.contains("half a line"));
        assert!(!person.is_pasting_bracketed());
    }
    let mut person = person("half a line");
    kill(person.process(), Signal::SIGINT).unwrap();
    assert_eq!(person.exit_code(), Some(130));
    assert!(person.has_the_terminal_back());
}

#[test]
fn a_lost_connection_ends_it_with_the_terminal_as_it_was_and_says_why() {
    let (listener, address) = listen();
    let arguments = ["-topic", &address, "t", "--no-reconnect", "--classic"];
    let mut person = Person::sits_at(12, 60, &arguments);
    let server = crate::peer::Peer::accept_registered(&listener, "t");
    person.sees_last("t>");
    person.types("half a line");
    person.sees_last("t> half a line");
    drop(server);
    assert_eq!(person.exit_code(), Some(1));
    assert!(person.has_the_terminal_back());
    person.sees("is lost: the other side closed it");
}

#[test]
fn nobody_there_ends_it_with_the_terminal_as_it_was() {
    let (listener, address) = listen();
    drop(listener);
    let mut person = Person::sits_at(12, 60, &["-topic", &address, "t"]);
    assert_eq!(person.exit_code(), Some(1));
    assert!(person.has_the_terminal_back());
    person.sees("refused the connection: is topicserver running there?");
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_it_goes_on() {
    let server = start_server();
    let program = crate::process::chat();
    let program = program.get_program().to_str().unwrap();
    // Only a shell with jobs lets a program stop.
    let script =
        format!("set -m; {program} -topic {server} t; stty -a | grep -o ' icanon'; echo shell; fg");
    let person = Person::running(24, 70, "bash", &["-c", &script], &[]);
    person.sees("nobody else is here yet");
    person.types("half a line\u{2}\u{2}\u{2}\u{2}");
    person.sees_last("t> half a line");
    person.types("\u{1a}");
    person.sees(" icanon\nshell");
    person.sees_last("t> half a line");
    person.types("whole ");
    person.sees_last("t> half a whole line");
    person.types("\r");
    person.sees("t:half a whole line");
}
