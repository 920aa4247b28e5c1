//! A person at a terminal, who wants it plain.

use std::io::Write as _;

use pty_process::blocking::{Command, open};

use crate::peer::{Peer, listen};
use crate::process::{Lines, chat};

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
