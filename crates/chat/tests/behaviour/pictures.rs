//! What a person sees, as pictures of the screen.

use std::net::TcpStream;

use crate::peer::{Peer, listen};
use crate::person::Person;
use crate::server::{Running, start_server};

/// Somebody else with a name, in the topic.
pub(crate) struct Other(Peer);

impl Other {
    pub(crate) fn named(name: &str, server: &str, topic: &str) -> Self {
        Self::with(&serde_json::json!({"user": name}), server, topic)
    }

    /// A client for which the server keeps the name.
    pub(crate) fn with_key(name: &str, key: &str, server: &str, topic: &str) -> Self {
        Self::with(
            &serde_json::json!({"user": name, "client": key}),
            server,
            topic,
        )
    }

    fn with(options: &serde_json::Value, server: &str, topic: &str) -> Self {
        let mut peer = Peer::new(TcpStream::connect(server).unwrap());
        let registration = serde_json::json!({"topics": [topic], "extended": options});
        peer.sends(registration.to_string().as_bytes());
        Self(peer)
    }

    pub(crate) fn says(&mut self, topic: &str, text: &str) {
        self.0.says(topic, text);
    }

    /// The text of the next message.
    pub(crate) fn hears(&mut self) -> String {
        message(&mut self.0)["message"]["text"]
            .as_str()
            .unwrap()
            .into()
    }

    /// Waits until the server has taken everything.
    pub(crate) fn is_done(&mut self) {
        self.0.sends(b"{\"extended\":{\"ping\":1}}");
        while self.0.read()["extended"].get("pong").is_none() {}
    }
}

/// The next message, whatever else comes before it.
pub(crate) fn message(peer: &mut Peer) -> serde_json::Value {
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

#[test]
fn an_empty_room_says_what_to_do_next() {
    let server = start_server();
    let person = joined(14, 90, &server, &[]);
    let picture = person.sees("nobody else is here yet");
    assert!(picture.contains("chat -topic 127.0.0.1:"), "{picture}");
    assert!(picture.contains("-- you are alice\n"), "{picture}");
}

#[test]
fn a_login_name_that_is_taken_is_numbered_and_said() {
    let server = start_server();
    let _other = Other::named("alice", &server, "t");
    let person = joined(14, 60, &server, &[]);
    person.sees("-- the name alice is taken");
    person.sees("-- you are alice-2");
    person.types("hi\r");
    person.sees("t:hi");
}

#[test]
fn all_topics_are_resumed_after_a_lost_connection() {
    let server = Running::start(&topicserver::Config::default());
    let person = joined(20, 70, &server.address, &["two"]);
    person.types("/join three\r");
    person.sees("-- joined three at");
    let server = server.restart();
    person.sees("-- joined t, two, three at");
    let mut bob = Other::named("bob", &server.address, "three");
    bob.says("three", "welcome back");
    person.sees("bob  three:welcome back");
    assert!(person.sees("welcome back").contains(" three ·"));
}

#[test]
fn attempts_to_connect_that_fail_alike_are_said_once() {
    let (listener, address) = listen();
    let person = Person::sits_at(20, 90, &["-topic", &address, "t"]);
    for registered in [true, false, false] {
        let server = match registered {
            true => Peer::accept_registered(&listener, "t"),
            false => Peer::accept_registration(&listener).0,
        };
        drop(server);
    }
    let _server = Peer::accept_registered(&listener, "t");
    let picture = person.sees(&format!("-- joined t at {address} again"));
    for once in ["is lost: the other side closed it", "-- trying again in"] {
        assert_eq!(picture.matches(once).count(), 1, "{picture}");
    }
}

#[test]
fn a_line_that_begins_with_a_slash_is_a_command_or_refused() {
    let server = start_server();
    let person = joined(50, 90, &server, &[]);
    let mut bob = Other::named("bob", &server, "t");
    person.sees("bob has joined");
    person.types("/usr/bin/env\r");
    person.sees_above(
        "/usr/bin/env is no command, and nothing was sent",
        "> /usr/bin/env",
    );
    // It stays to be changed.
    person.types("\u{1}/\r");
    person.sees("t:/usr/bin/env");
    assert_eq!(bob.hears(), "/usr/bin/env");
    person.types("/me waves\r");
    person.sees("t:* alice waves");
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
    person.sees("\"WAVES\": 1 of 1");
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
    let person = joined(14, 99, &server, &[]);
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
    assert!(picture.contains("    │ carol  t:forged"), "{picture}");
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
        let mut bob = Other::named("bob", &server, "t");
        person.sees("2 here");
        bob.says("t", "hi");
        person.sees("t:hi");
        assert_eq!(person.has_colors(), colors, "{options:?} {environment:?}");
    }
}

#[test]
fn a_mention_tells_the_desktop_in_the_way_that_the_terminal_knows() {
    let osc9 = "\u{1b}]9;natter: bob in t: alice: a;b\\u001b\\\\u0007\u{1b}\\";
    let osc777 = "\u{1b}]777;notify;natter;bob in t: alice: a,b\\u001b\\\\u0007\u{1b}\\";
    for (options, environment, sent) in [
        (&[][..], ("TERM", "xterm"), Some(osc9)),
        (&[], ("TERM", "rxvt-unicode"), Some(osc777)),
        (&[], ("VTE_VERSION", "7000"), Some(osc777)),
        (&["--notify", "osc9"], ("TERM", "foot"), Some(osc9)),
        (&["--notify", "osc777"], ("TERM", "xterm"), Some(osc777)),
        (&["--notify", "never"], ("TERM", "xterm"), None),
    ] {
        let server = start_server();
        let arguments = [&["-topic", &server, "t"], options].concat();
        let person = Person::with(14, 60, &arguments, &[environment]);
        let mut bob = Other::named("bob", &server, "t");
        person.sees("2 here");
        // What others say can't end the sequence.
        bob.says("t", "alice: a;b\u{1b}\\\u{7}");
        bob.says("t", "that was all");
        person.sees("that was all");
        match sent {
            Some(sent) => person.is_sent(sent),
            None => assert!(!person.was_sent("\u{1b}]9;") && !person.was_sent("\u{1b}]777;")),
        }
    }
}

#[test]
fn addresses_of_the_web_are_links_where_the_terminal_has_them() {
    for (term, has_links) in [("xterm", true), ("linux", false)] {
        let server = start_server();
        let arguments = ["-topic", &server, "t"];
        let person = Person::with(14, 60, &arguments, &[("TERM", term)]);
        let mut bob = Other::named("bob", &server, "t");
        person.sees("2 here");
        bob.says("t", "see https://a.example/\u{fc}?q=1.");
        person.sees("see https://a.example/\u{fc}?q=1.");
        assert_eq!(person.was_sent("\u{1b}]8;"), has_links, "{term}");
        if has_links {
            // The link leads where its text says, and ends before the full stop.
            person.is_sent(";https://a.example/%C3%BC?q=1\u{1b}\\");
            person.is_sent("https://a.example/\u{fc}?q=1\u{1b}]8;;\u{1b}\\");
        }
    }
}
