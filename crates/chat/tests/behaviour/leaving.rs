//! Every way out of the terminal: its settings are what they were, and the program
//! says how it ended.

use nix::sys::signal::{Signal, kill};

use crate::peer::listen;
use crate::person::Person;
use crate::server::start_server;
use crate::uninterrupted::read_some;

/// Someone on the topic `t`, with half a line typed if it is any.
fn person(half_a_line: &str) -> Person {
    let server = start_server();
    let person = Person::sits_at(12, 60, &["-topic", &server, "t"]);
    person.sees("nobody else is here yet");
    person.types(half_a_line);
    person.sees_last(&format!("> {half_a_line}"));
    assert!(!person.has_the_terminal_back());
    person
}

#[test]
fn what_was_typed_is_there_again_in_the_next_run_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = start_server();
    let state = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("state-{}", std::process::id()));
    let environment = [("XDG_STATE_HOME", state.to_str().unwrap())];
    for (options, keys, expected) in [
        (&[][..], "remember me\r", "alice  t:remember me"),
        (&[][..], "\u{1b}[A", "> remember me"),
        (&["--no-history-file"][..], "\u{1b}[Anothing", "> nothing"),
    ] {
        let arguments = [&["-topic", &server, "t"], options].concat();
        let person = Person::with(12, 60, &arguments, &environment);
        person.sees("in t: ");
        person.types(keys);
        person.sees(expected);
    }
    let file = state.join("natter").join("history");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    std::fs::remove_dir_all(&state).unwrap();
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
    ends_with("\u{3}\u{3}", 130);
}

#[test]
fn ctrl_c_takes_a_line_away_first() {
    let person = person("never mind");
    person.types("\u{3}");
    person.sees_last(">");
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
        // What was said can still be read, and what was typed is gone.
        person.waits_for("last lines", |picture| {
            picture.contains("-- in t: alice") && !picture.contains("half a line")
        });
        assert!(!person.is_on_the_alternate_screen());
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
    person.sees_last(">");
    person.types("half a line");
    person.sees_last("> half a line");
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
    let script = format!(
        "set -m; {program} -topic {server} t; stty -a | grep -q ' icanon' && read -t 1; fg"
    );
    let person = Person::running(24, 70, "bash", &["-c", &script], &[]);
    person.sees("nobody else is here yet");
    person.types("half a line\u{2}\u{2}\u{2}\u{2}");
    person.sees_last("> half a line");
    person.types("\u{1a}");
    person.waits_for("shell", |_| !person.is_raw());
    person.waits_for("window", |_| person.is_raw());
    person.sees_last("> half a line");
    person.types("whole ");
    person.sees_last("> half a whole line");
    person.types("\r");
    person.sees("t:half a whole line");
}

#[test]
fn a_program_that_was_stopped_from_outside_takes_the_screen_again() {
    let server = start_server();
    let program = crate::process::chat();
    let program = program.get_program().to_str().unwrap();
    // The shell tells its job's process, and what became of it.
    let script = format!(
        "set -m; {program} -topic {server} t & pid=$!; fg >/dev/null; \
         echo stopped; fg >/dev/null; echo code $?"
    );
    let mut person = Person::running(24, 70, "bash", &["-c", &script], &[]);
    person.sees("nobody else is here yet");
    person.types("half a line");
    person.sees_last("> half a line");
    let shell = person.process();
    let chat = child_of(shell);
    kill(chat, Signal::SIGSTOP).unwrap();
    person.sees_last("> half a line");
    person.types("!");
    person.sees_last("> half a line!");
    kill(chat, Signal::SIGTERM).unwrap();
    person.sees("code 143");
    assert_eq!(person.exit_code(), Some(0));
    assert!(person.has_the_terminal_back());
}

#[test]
fn a_program_that_begins_in_the_background_takes_the_screen_when_it_may() {
    let server = start_server();
    let program = crate::process::chat();
    let program = program.get_program().to_str().unwrap();
    let script = format!(
        "set -m; {program} -topic {server} t & \
         while [ \"$(jobs -s)\" = '' ]; do :; done; fg >/dev/null; echo code $?"
    );
    let mut person = Person::running(24, 70, "bash", &["-c", &script], &[]);
    person.sees("nobody else is here yet");
    person.types("\u{4}");
    person.sees("code 0");
    assert_eq!(person.exit_code(), Some(0));
    assert!(person.has_the_terminal_back());
}

/// The only child of a process.
fn child_of(parent: nix::unistd::Pid) -> nix::unistd::Pid {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(path).unwrap();
    nix::unistd::Pid::from_raw(children.trim().parse().unwrap())
}

/// Someone whose window can be closed.
struct Window {
    pty: pty_process::blocking::Pty,
    child: std::process::Child,
    screen: vt100::Parser,
}

impl Window {
    fn opens(server: &str) -> Self {
        let (pty, terminal) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(12, 70)).unwrap();
        let program = crate::process::chat();
        let child = pty_process::blocking::Command::new(program.get_program())
            .args(["-topic", server, "t"])
            .env("TERM", "xterm")
            .spawn(terminal)
            .unwrap();
        let screen = vt100::Parser::new(
            std::num::NonZeroU16::new(12).unwrap(),
            std::num::NonZeroU16::new(70).unwrap(),
            0,
        );
        Self { pty, child, screen }
    }

    fn sees(&mut self, text: &str) {
        while !self.screen.screen().contents().contains(text) {
            let mut bytes = [0; 4096];
            let count = read_some(&mut self.pty, &mut bytes).unwrap();
            self.screen.process(&bytes[..count]);
        }
    }

    fn types(&mut self, keys: &str) {
        use std::io::Write as _;
        self.pty.write_all(keys.as_bytes()).unwrap();
    }

    /// Closes it: the exit code.
    fn closes(mut self) -> Option<i32> {
        drop(self.pty);
        self.child.wait().unwrap().code()
    }
}

#[test]
fn a_window_that_is_closed_ends_it() {
    let server = start_server();
    let mut window = Window::opens(&server);
    window.sees("joined t");
    assert_eq!(window.closes(), Some(129));
}

#[test]
fn a_window_that_is_closed_ends_it_also_with_unsent_lines_and_no_server() {
    let (listener, address) = listen();
    let mut window = Window::opens(&address);
    let server = crate::peer::Peer::accept_registered(&listener, "t");
    window.sees("joined t");
    drop(server);
    drop(listener);
    window.sees("not connected");
    window.types("into the void\r");
    window.sees("1 unsent");
    assert_eq!(window.closes(), Some(129));
}

/// Someone whose server is gone, with a line that can't be sent if it is any.
fn cut_off(unsent: &str) -> Person {
    let (listener, address) = listen();
    let person = Person::sits_at(12, 70, &["-topic", &address, "t"]);
    let server = crate::peer::Peer::accept_registered(&listener, "t");
    person.sees("joined t");
    drop(server);
    drop(listener);
    person.sees("not connected");
    if !unsent.is_empty() {
        person.types(&format!("{unsent}\r"));
        person.sees("1 unsent");
    }
    person
}

#[test]
fn every_way_out_is_open_without_a_server_whether_lines_wait_or_not() {
    for unsent in ["", "into the void"] {
        for (signal, code) in [
            (Signal::SIGTERM, 143),
            (Signal::SIGHUP, 129),
            (Signal::SIGINT, 130),
        ] {
            let mut person = cut_off(unsent);
            kill(person.process(), signal).unwrap();
            assert_eq!(person.exit_code(), Some(code), "{unsent:?}");
            assert!(person.has_the_terminal_back());
            person.leaves_the_alternate_screen();
        }
        let mut person = cut_off(unsent);
        person.types("\u{3}\u{3}");
        assert_eq!(person.exit_code(), Some(130), "{unsent:?}");
        assert!(person.has_the_terminal_back());
    }
    for keys in ["\u{4}", "/quit\r"] {
        let mut person = cut_off("");
        person.types(keys);
        assert_eq!(person.exit_code(), Some(0));
        assert!(person.has_the_terminal_back());
    }
}

#[test]
fn a_question_about_leaving_can_be_answered_with_no_or_cut_short() {
    let mut person = cut_off("into the void");
    person.types("/quit\r");
    person.sees("1 line is not sent: \"into the void\"");
    person.types("n");
    person.sees("1 unsent");
    person.types("and more");
    person.sees_last("> and more");
    person.types("\u{3}");
    person.sees_last(">");
    person.types("\u{4}");
    person.sees("1 line is not sent: \"into the void\"");
    person.types("\u{3}\u{3}");
    assert_eq!(person.exit_code(), Some(130));
    assert!(person.has_the_terminal_back());
}

#[test]
fn nothing_unsent_is_lost_without_a_question() {
    let (listener, address) = listen();
    let mut person = Person::sits_at(12, 70, &["-topic", &address, "t"]);
    let server = crate::peer::Peer::accept_registered(&listener, "t");
    person.sees("joined t");
    drop(server);
    drop(listener);
    person.sees("not connected");
    person.types("into the void\r");
    person.sees("1 unsent");
    person.types("/quit\r");
    person.sees("1 line is not sent: \"into the void\"");
    person.types("y");
    assert_eq!(person.exit_code(), Some(1));
    person.sees("left without sending 1 line: \"into the void\"");
    assert!(person.has_the_terminal_back());
}

#[test]
fn it_can_be_stopped_while_it_waits_for_the_last_acknowledgement() {
    let (listener, address) = listen();
    let mut person = Person::sits_at(12, 70, &["-topic", &address, "t"]);
    let _server = crate::peer::Peer::accept_registered(&listener, "t");
    person.sees("joined t");
    person.types("never acknowledged\r");
    person.types("\u{4}");
    person.sees("leaving");
    person.types("\u{3}");
    assert_eq!(person.exit_code(), Some(130));
    assert!(person.has_the_terminal_back());
}
