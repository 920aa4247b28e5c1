//! A person at a terminal, who wants it plain.

use std::io::Write as _;

use pty_process::blocking::{Command, open};

use crate::peer::{Peer, listen};
use crate::person::Person;
use crate::pictures::Other;
use crate::process::{Lines, chat};
use crate::server::start_server;

/// Ctrl-D.
const END_OF_INPUT: &[u8] = &[4];

#[test]
fn a_person_types_a_line_sees_what_arrives_and_ends_with_ctrl_d() {
    let (listener, address) = listen();
    let (pty, terminal) = open().unwrap();
    let mut keyboard = std::fs::File::from(std::os::fd::OwnedFd::from(pty));
    let command = Command::new(chat().get_program()).args(["-direct", "0", &address, "--plain"]);
    let mut child = command.spawn(terminal).unwrap();
    let screen = Lines::of(keyboard.try_clone().unwrap());
    let mut peer = Peer::accept(&listener);
    assert_eq!(
        screen.next().unwrap(),
        format!("chat: connected to {address}")
    );
    keyboard.write_all("hello, grüße\n".as_bytes()).unwrap();
    assert_eq!(peer.text(), "hello, grüße");
    // The terminal shows what was typed.
    assert_eq!(screen.next().unwrap(), "hello, grüße");
    peer.says("direct", "hi \u{1b}[31mred");
    assert_eq!(screen.next().unwrap(), r"direct:hi \u001b[31mred");
    keyboard.write_all(END_OF_INPUT).unwrap();
    assert_eq!(peer.rest(), "");
    drop(peer);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_terminal_that_cannot_move_a_cursor_is_written_to_line_by_line() {
    for term in ["dumb", ""] {
        let server = start_server();
        let mut bob = Other::named("bob", &server, "t");
        bob.is_done();
        let arguments = ["-topic", &server, "t"];
        let mut person = Person::with(12, 60, &arguments, &[("TERM", term)]);
        person.sees("chat: joined t at");
        person.types("hello\r");
        assert_eq!(bob.hears(), "hello");
        bob.says("t", "hi");
        person.sees("t:hi");
        assert!(!person.was_sent("\u{1b}"), "{term}");
        person.types("\u{4}");
        assert_eq!(person.exit_code(), Some(0));
    }
}
