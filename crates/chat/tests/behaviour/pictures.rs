//! What a person sees, as pictures of the screen.

use std::net::TcpStream;

use crate::peer::{Peer, listen};
use crate::person::Person;
use crate::server::{Running, start_server};

/// Somebody else with a name, in the topic.
pub(crate) struct Other(Peer);

impl Other {
    pub(crate) fn named(name: &str, server: &str, topic: &str) -> Self {
        let mut peer = Peer::new(TcpStream::connect(server).unwrap());
        let registration = serde_json::json!({"topics": [topic], "extended": {"user": name}});
        peer.sends(registration.to_string().as_bytes());
        Self(peer)
    }

    fn says(&mut self, topic: &str, text: &str) {
        self.0.says(topic, text);
    }

    /// The text of the next message.
    fn hears(&mut self) -> String {
        message(&mut self.0)["message"]["text"]
            .as_str()
            .unwrap()
            .into()
    }

    /// Waits until the server has taken everything.
    fn is_done(&mut self) {
        self.0.sends(b"{\"extended\":{\"ping\":1}}");
        while self.0.read()["extended"].get("pong").is_none() {}
    }
}

/// The next message, whatever else comes before it.
fn message(peer: &mut Peer) -> serde_json::Value {
    loop {
        let frame = peer.read();
        if frame.get("message").is_some() {
            return frame;
        }
    }
}

pub(crate) fn joined(rows: u16, columns: u16, server: &str, options: &[&str]) -> Person {
    let arguments = [&["-topic", server, "t"], options].concat();
    let person = Person::sits_at(rows, columns, &arguments);
    person.sees("in t: ");
    person
}

/// The lines of a picture without times, from the one that holds `from` on.
fn lines(picture: &str, from: &str) -> Vec<String> {
    let lines = picture.lines().skip_while(|line| !line.contains(from));
    let without_time = |line: &str| {
        let is_clock = line.get(2..3) == Some(":") && line.is_char_boundary(6);
        let line = if is_clock { &line[6..] } else { line };
        line.trim_end().to_owned()
    };
    lines
        .map(without_time)
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn what_arrives_is_shown_above_the_line_that_is_typed() {
    let server = start_server();
    let person = joined(14, 60, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("-- bob has joined t");
    person.types("half a 騒ぎ line");
    person.sees_last("t> half a 騒ぎ line");
    bob.says("t", "hello");
    let picture = person.sees_above("bob  t:hello", "t> half a 騒ぎ line");
    assert_eq!(
        lines(&picture, "has joined"),
        ["-- bob has joined t", "bob  t:hello", "t> half a 騒ぎ line"]
    );
    person.types("\r");
    let picture = person.sees_above("alice  t:half a", "t> ");
    assert_eq!(
        lines(&picture, "bob  t:"),
        ["bob  t:hello", "alice  t:half a 騒ぎ line", "t>"]
    );
}

#[test]
fn an_empty_room_says_what_to_do_next() {
    let server = start_server();
    let person = joined(14, 60, &server, &[]);
    let picture = person.sees("nobody else is here yet");
    assert!(picture.contains("chat -topic 127.0.0.1:"), "{picture}");
    assert!(picture.contains("-- you are alice\n"), "{picture}");
}

#[test]
fn a_login_name_that_is_taken_is_numbered_and_said() {
    let server = start_server();
    let _other = Other::named("alice", &server, "t");
    let person = joined(14, 60, &server, &[]);
    person.sees("-- somebody else is called alice here");
    person.sees("-- you are alice-2");
    person.types("hi\r");
    person.sees("alice-2  t:hi");
}

#[test]
fn several_topics_are_joined_chosen_and_left() {
    let server = start_server();
    let person = joined(20, 70, &server, &["two"]);
    let mut bob = Other::named("bob", &server, "two");
    bob.says("two", "over here");
    person.sees("bob  two:over here");
    person.types("/topic two\r");
    person.sees_last("two>");
    person.types("coming\r");
    person.sees("alice  two:coming");
    assert_eq!(bob.hears(), "coming");
    person.types("/join three\r");
    person.sees("-- joined three at");
    person.sees_last("three>");
    person.types("/leave\r");
    person.sees("-- left three");
    person.sees_last("t>");
    person.types("/topic three\r");
    person.sees("you aren't in three");
    person.types("/leave two\r");
    person.sees("-- left two");
    bob.says("two", "gone?");
    person.types("still here\r");
    let picture = person.sees("alice  t:still here");
    assert!(!picture.contains("gone?"), "{picture}");
}

#[test]
fn all_topics_are_resumed_after_a_lost_connection() {
    let server = Running::start(&topicserver::Config::default());
    let person = joined(20, 70, &server.address, &["two"]);
    person.types("/join three\r");
    person.sees("-- joined three at");
    let server = server.restart();
    person.sees("!! the connection to");
    person.sees("-- joined t, two, three at");
    let mut bob = Other::named("bob", &server.address, "three");
    bob.says("three", "welcome back");
    person.sees("bob  three:welcome back");
}

#[test]
fn what_was_said_before_stands_between_two_rules() {
    let server = start_server();
    let mut bob = Other::named("bob", &server, "t");
    for text in ["one", "two", "three"] {
        bob.says("t", text);
    }
    bob.is_done();
    let person = joined(20, 60, &server, &["--last", "2"]);
    person.sees("──── now ────");
    bob.says("t", "four");
    let picture = person.sees_above("t:four", "t> ");
    assert_eq!(
        lines(&picture, "earlier")
            .into_iter()
            .filter(|line| !line.starts_with("--"))
            .collect::<Vec<_>>(),
        [
            "──── earlier ────",
            "bob  t:two",
            "bob  t:three",
            "──── now ────",
            "bob  t:four",
            "t>"
        ]
    );
    person.types("/last 3\r");
    let is_again = |picture: &str| {
        let rules = picture.matches("──── now ────").count();
        rules == 2 && picture.trim_end().ends_with("\nt>")
    };
    let picture = person.waits_for("second rule", is_again);
    let again = lines(&picture, "t> /last 3");
    assert_eq!(
        again,
        [
            "t> /last 3",
            "──── earlier ────",
            "bob  t:two",
            "bob  t:three",
            "bob  t:four",
            "──── now ────",
            "t>"
        ]
    );
}

#[test]
fn a_line_is_shown_when_it_has_arrived_and_not_before() {
    let (listener, address) = listen();
    let person = Person::sits_at(16, 60, &["-topic", &address, "t"]);
    let mut server = Peer::accept_registered(&listener, "t");
    person.sees("-- joined t");
    person.types("into the void\r");
    let before = message(&mut server);
    let picture = person.sees_last("t>");
    assert!(!picture.contains("void"), "{picture}");
    drop(server);
    person.sees("not sent yet: t:into the void");
    let mut server = Peer::accept_registered(&listener, "t");
    let again = message(&mut server);
    assert_eq!(again["extended"], before["extended"]);
    server.acknowledges(&again, 1);
    person.waits_for("the line", |picture| {
        picture.matches("t:into the void").count() == 2
    });
}

#[test]
fn a_line_that_begins_with_a_slash_is_a_command_or_refused() {
    let server = start_server();
    let person = joined(20, 70, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    person.types("/usr/bin/env\r");
    person.sees("/usr/bin/env is no command, and nothing was sent");
    person.types("//usr/bin/env\r");
    person.sees("alice  t:/usr/bin/env");
    assert_eq!(bob.hears(), "/usr/bin/env");
    person.types("/me waves\r");
    person.sees("alice  t:* alice waves");
    assert_eq!(bob.hears(), "* alice waves");
    person.types("/who\r");
    person.sees("-- in t: alice, bob");
    person.types("/lookup bob\r");
    person.sees("-- bob is at 127.0.0.1:");
    person.types("/lookup carol\r");
    person.sees("nobody here is called");
    person.types("/topics\r");
    person.sees("-- t: 2 members, 2 messages so far");
    person.types("/search WAVES\r");
    person.sees("1 line with \"WAVES\" in this run");
    person.types("/help\r");
    person.sees("/quit            leave; Ctrl-D does too");
}

#[test]
fn a_mention_rings_unless_it_mustnt() {
    for (options, rings) in [(&[][..], 1), (&["--no-bell"][..], 0)] {
        let server = start_server();
        let person = joined(14, 60, &server, options);
        let mut bob = Other::named("bob", &server, "t");
        bob.says("t", "alice: ping");
        bob.says("t", "all: ping");
        person.sees("all: ping");
        assert_eq!(person.rings(), rings);
    }
}

#[test]
fn nothing_that_others_send_steers_the_terminal() {
    let server = start_server();
    let person = joined(14, 70, &server, &[]);
    let mut mallory = Other::named("m\u{200b}allory", &server, "t");
    mallory.says(
        "t",
        "\u{1b}[2J\u{1b}]0;title\u{7}\r\u{8}\u{202e}gone\ncarol  t:forged",
    );
    let picture = person.sees("forged");
    assert!(
        picture.contains(r"m\u200ballory  t:\u001b[2J\u001b]0;title\u0007\r\b\u202egone"),
        "{picture}"
    );
    assert!(picture.contains("      │ carol  t:forged"), "{picture}");
    assert_eq!(person.rings(), 0);
    let mut fake = Other::named("\u{430}lice", &server, "t");
    fake.says("t", "it's me");
    person.sees("lice(!)  t:it's me");
}

#[test]
fn colors_are_there_unless_they_mustnt() {
    let server = start_server();
    for (options, environment, colors) in [
        (&[][..], &[][..], true),
        (&[][..], &[("NO_COLOR", "1")][..], false),
        (&["--color", "never"][..], &[][..], false),
        (&["--color", "always"][..], &[("NO_COLOR", "1")][..], true),
    ] {
        let arguments = [&["-topic", &server, "t"], options].concat();
        let person = Person::with(14, 60, &arguments, environment);
        person.sees("in t: ");
        assert_eq!(person.has_colors(), colors, "{options:?} {environment:?}");
    }
}

#[test]
fn a_long_line_is_wrapped_and_taken_off_the_screen_when_it_is_sent() {
    let server = start_server();
    let person = joined(16, 20, &server, &[]);
    let text = "騒ぎ and a line that is much longer than the window";
    person.types(text);
    person.sees("window");
    person.types("\r");
    let is_sent =
        |picture: &str| picture.contains("alice  t:") && picture.trim_end().ends_with("\nt>");
    let picture = person.waits_for("empty line", is_sent);
    assert_eq!(
        picture.replace('\n', "").matches("much longer").count(),
        1,
        "{picture}"
    );
}

#[test]
fn a_pasted_block_is_one_question() {
    let server = start_server();
    let person = joined(20, 60, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    let paste = "\u{1b}[200~one\rtwo\r\nthree\u{1b}[201~";
    person.types(paste);
    person.sees("three");
    person.types("\r");
    person.sees("send these 3 lines?");
    person.types("n\r");
    person.sees("nothing was sent");
    person.types(paste);
    person.waits_for("paste", |picture| picture.matches("three").count() == 2);
    person.types("\r");
    person.waits_for("question", |picture| {
        picture.matches("send these").count() == 2
    });
    person.types("y\r");
    let texts: Vec<_> = (0..3).map(|_| bob.hears()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

#[test]
fn alt_enter_breaks_a_line_within_a_message() {
    let server = start_server();
    let person = joined(20, 60, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    person.types("one\u{1b}\rtwo\r");
    assert_eq!(bob.hears(), "one\ntwo");
    person.sees("alice  t:one\n      │ two");
}

#[test]
fn tab_completes_commands_topics_and_names() {
    let server = start_server();
    let person = joined(20, 60, &server, &["lunch"]);
    let _bob = Other::named("bobby", &server, "t");
    person.sees("bobby has joined");
    person.types("/topi\t lu\t\r");
    person.sees_last("lunch>");
    person.types("bo\thi");
    person.sees_last("lunch> bobby: hi");
}

#[test]
fn a_window_that_changes_its_size_keeps_the_line() {
    let server = start_server();
    let person = joined(16, 60, &server, &[]);
    person.types("a line that will not fit into a narrow window");
    person.sees("narrow window");
    person.resizes(16, 30);
    person.types("!");
    person.waits_for("line", |picture| {
        picture
            .replace('\n', "")
            .ends_with("not fit into a narrow window!")
    });
    person.types("\r");
    person.waits_for("message", |picture| {
        picture.replace('\n', "").contains("alice  t:a line")
    });
}

#[test]
fn lines_that_are_typed_ahead_are_not_lost() {
    let server = start_server();
    let person = joined(20, 60, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    // All keys are there before the first line has ended.
    person.types("one\rtwo\rthree\rhalf a line");
    let texts: Vec<_> = (0..3).map(|_| bob.hears()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    person.sees_last("t> half a line");
}
