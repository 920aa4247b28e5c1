//! What terminals, networks and cats on keyboards send.

use crate::pictures::{Other, joined};
use crate::server::start_server;

#[test]
fn lines_in_one_write_are_asked_about_and_none_is_lost() {
    let server = start_server();
    let person = joined(20, 80, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    person.types("one\rtwo\rthree\r");
    person.sees("send these 3 lines?");
    person.types("y");
    let texts: Vec<_> = (0..3).map(|_| bob.hears()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    person.types("one\r\ntwo\r\nhalf a line");
    person.sees_above("3 lines: Enter asks", "  half a line");
}

/// The machine is busy with others. This is about the model of a person more than about the
/// program: tests that type line after line would paste.
#[test]
fn lines_one_after_another_are_no_paste_while_the_machine_stands_still() {
    use nix::sys::signal::{Signal, kill};
    let server = start_server();
    let person = joined(20, 80, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    kill(person.process(), Signal::SIGSTOP).unwrap();
    let process = person.process();
    let machine = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        kill(process, Signal::SIGCONT).unwrap();
    });
    for text in ["one", "two"] {
        person.types(&format!("{text}\r"));
    }
    machine.join().unwrap();
    for text in ["one", "two"] {
        person.sees_above(&format!("t:{text}"), ">");
        assert_eq!(bob.hears(), text);
    }
}

#[test]
fn a_key_in_pieces_is_that_key() {
    let server = start_server();
    let person = joined(20, 60, &server, &[]);
    person.types("ad");
    person.sees_last("> ad");
    for byte in "\u{1b}[1;5D\u{1b}[C".bytes() {
        person.sends(&[byte]);
        std::thread::sleep(std::time::Duration::from_millis(60));
    }
    person.types("bc");
    person.sees_last("> abcd");
    for byte in "騒".bytes() {
        person.sends(&[byte]);
        std::thread::sleep(std::time::Duration::from_millis(60));
    }
    person.sees_last("> abc騒d");
}

#[test]
fn bytes_that_are_no_text_are_replaced_and_stop_nothing() {
    let server = start_server();
    let person = joined(20, 60, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    person.sends(b"a\xffb\xc3c!");
    person.waits_for("what was typed", |picture| {
        picture.trim_end().ends_with('!')
    });
    person.types("\r");
    assert_eq!(bob.hears(), "a\u{fffd}b\u{fffd}c!");
}

#[test]
fn reports_of_the_mouse_the_focus_and_the_terminal_are_no_text() {
    let server = start_server();
    let person = joined(20, 60, &server, &[]);
    for report in [
        "\u{1b}[<0;12;5M\u{1b}[<0;12;5m",
        "\u{1b}[M !!",
        "\u{1b}[I\u{1b}[O\u{1b}[I",
        "\u{1b}[?62;22c",
        "\u{1b}[12;40R",
        "\u{1b}]11;rgb:1e1e/1e1e/1e1e\u{1b}\\",
        "\u{1b}P>|terminal 1.0\u{1b}\\",
        "\u{1b}[25~\u{1b}[1;2P\u{1b}OP",
    ] {
        person.types(report);
    }
    person.types("nothing else");
    person.sees_last("> nothing else");
}

#[test]
fn a_tab_travels_as_a_tab_and_is_shown_as_spaces() {
    let server = start_server();
    let person = joined(20, 60, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    person.types("\tx\r");
    assert_eq!(bob.hears(), "\tx");
    bob.says("t", "a\tb");
    person.sees("t:a     b");
}

#[test]
fn lines_are_edited_recalled_completed_and_undone() {
    let server = start_server();
    let person = joined(20, 60, &server, &["lunch"]);
    let mut bob = Other::named("bobby", &server, "t");
    person.sees("bobby has joined");
    for (keys, text) in [
        ("one\u{1b}\rtwo\r", "one\ntwo"),
        ("bo\thi\r", "bobby: hi"),
        ("one two\u{17}\u{19}\u{19}\r", "one twotwo"),
        ("\u{12}bobby\r", "bobby: hi"),
        ("gone\u{15}\u{1f}\r", "gone"),
    ] {
        person.types(keys);
        assert_eq!(bob.hears(), text, "{keys:?}");
    }
    person.types("/topi\t lu\t\r");
    person.sees(" lunch · ");
}
