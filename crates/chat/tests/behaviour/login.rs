//! By what `chat` proves who it is, to whom it says that, and what comes of it.

use serde_json::{Value, json};

use crate::front::{Front, Home, Identity};
use crate::peer::{Peer, listen};
use crate::process::{Output, Process};

/// The secrets that no output has.
const TOKEN: &str = "ntr_a_hush-that-nobody-sees";
#[cfg(unix)]
const PASSWORD: &str = "hush-that-nobody-sees-either";

/// What a server says first to a client that has logged in.
fn welcome(server: &mut Peer, topic: &str) {
    server.tells(&json!({"authenticated": {"user": "alice"}}));
    let state = json!({"epoch": "e1", "seq": 0});
    server.tells(&json!({"registered": {"user": "alice", "topics": {topic: state}}}));
}

fn error(code: &str) -> Value {
    json!({"error": {"code": code, "text": "because"}})
}

/// Runs `chat` in a pipe.
fn start(home: &Home, arguments: &[&str]) -> Process {
    Process::start(home.chat(arguments), Output::Read)
}

/// Runs `chat` that fails before it connects: the only line that it says.
fn failure(home: &Home, arguments: &[&str]) -> String {
    let mut chat = start(home, arguments);
    assert_eq!(chat.finishes(), 1);
    let mut said = chat.notices();
    assert_eq!(said.len(), 1, "{said:?}");
    said.remove(0)
}

#[test]
fn a_token_goes_into_the_registration_and_nowhere_else() {
    let (listener, address) = listen();
    let home = Home::new("token");
    let token = home.file("lab.token", &format!("{TOKEN}\n"));
    home.makes_private("lab.token");
    let text = format!("[servers.lab]\naddress = \"{address}\"\ntoken-file = \"lab.token\"\n");
    home.file("chat.toml", &text);
    for arguments in [
        &["-topic", &address, "t", "--token-file", &token][..],
        &["-topic", "lab", "t"],
    ] {
        let mut chat = start(&home, arguments);
        let (mut server, registration) = Peer::accept_registration(&listener);
        assert_eq!(registration["extended"]["auth"], TOKEN);
        welcome(&mut server, "t");
        let said = chat.notice("logged in");
        assert!(
            said.ends_with(&format!("logged in to {address} as alice")),
            "{said}"
        );
        chat.types("hi");
        assert_eq!(server.text(), "hi");
        chat.ends_input();
        drop(server);
        assert_eq!(chat.exit_code(), 0);
        let notices = chat.notices().concat();
        assert!(!notices.contains("hush"), "{notices}");
    }
    let mut chat = start(&home, &["-topic", &address, "t"]);
    let (mut server, registration) = Peer::accept_registration(&listener);
    assert_eq!(registration["extended"].get("auth"), None);
    server.tells(&error("unauthenticated"));
    assert_eq!(chat.finishes(), 1);
    chat.notice("it must know who you are (unauthenticated: because); --token-file FILE");
}

#[test]
fn a_file_without_a_token_or_for_others_to_read_is_named() {
    let home = Home::new("no-token");
    let (listener, address) = listen();
    let empty = home.file("empty", "\n");
    let said = failure(&home, &["-topic", &address, "t", "--token-file", &empty]);
    assert!(said.contains("empty holds no token"), "{said}");
    let said = failure(&home, &["-topic", &address, "t", "--token-file", "none"]);
    assert!(said.contains("can't read the token in none"), "{said}");
    let token = home.file("open", TOKEN);
    let mut chat = start(&home, &["-topic", &address, "t", "--token-file", &token]);
    let (mut server, _) = Peer::accept_registration(&listener);
    welcome(&mut server, "t");
    #[cfg(unix)]
    chat.notice("others on this machine can read the token in ");
    drop(server);
    chat.ends_input();
}

#[test]
fn a_password_is_not_asked_for_in_a_pipe() {
    let home = Home::new("piped-password");
    let said = failure(&home, &["-topic", "127.0.0.1:1", "t", "--user", "alice"]);
    assert!(said.contains("use --token-file FILE in a pipe"), "{said}");
}

/// An address of this machine that isn't its loopback one, where it has one.
fn other_machine() -> Option<std::net::TcpListener> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: that only asks for the way.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    std::net::TcpListener::bind((ip, 0)).ok()
}

#[test]
fn a_secret_goes_to_another_machine_over_tls_or_not_at_all() {
    let Some(listener) = other_machine() else {
        eprintln!("skipped: this machine has no address but its loopback one");
        return;
    };
    let address = listener.local_addr().unwrap().to_string();
    let home = Home::new("other-machine");
    let token = home.file("lab.token", TOKEN);
    home.makes_private("lab.token");
    let login = ["--token-file", &token];
    let tcp = format!("tcp://{address}");
    let said = failure(&home, &[&["-topic", &tcp, "t"][..], &login].concat());
    assert!(
        said.contains("isn't sent to") && said.contains("--insecure-auth"),
        "{said}"
    );
    // What was refused has connected, and said nothing.
    let mut server = Peer::accept(&listener);
    assert_eq!(server.rest(), "");
    drop(server);
    let insecure = [&["-topic", &tcp, "t", "--insecure-auth"][..], &login].concat();
    let mut chat = start(&home, &insecure);
    let (mut server, registration) = Peer::accept_registration(&listener);
    assert_eq!(registration["extended"]["auth"], TOKEN);
    welcome(&mut server, "t");
    chat.notice("logged in");
    drop((chat, server, listener));
    // A bare address is spoken to over TLS then, although the server is new.
    let (backend, plain) = listen();
    let front = Front::start_at(&address, &Identity::own(), &plain);
    let arguments = [&["-topic", &address, "t", "--accept-new"][..], &login].concat();
    let mut chat = start(&home, &arguments);
    let (mut server, registration) = Peer::accept_registration(&backend);
    assert_eq!(registration["extended"]["auth"], TOKEN);
    welcome(&mut server, "t");
    chat.notice("logged in");
    assert_eq!(front.refusals(), 0);
}

#[test]
fn what_ends_a_conversation_is_said_and_nobody_goes_on_as_nobody() {
    let home = Home::new("ends");
    let token = home.file("lab.token", TOKEN);
    home.makes_private("lab.token");
    for (code, sentence) in [
        ("unauthenticated", "it must know who you are"),
        ("forbidden", "you may not do that (forbidden: because)"),
        ("protected", "it serves only its own network"),
        ("expired", "your login has expired"),
        ("revoked", "your login is no longer valid"),
        ("too-many-attempts", "too many logins have failed"),
    ] {
        let (listener, address) = listen();
        let arguments = ["-topic", &address, "t", "--token-file", &token];
        let mut chat = start(&home, &arguments);
        let (mut server, _) = Peer::accept_registration(&listener);
        server.tells(&error(code));
        let said = chat.notice("refused to let us join");
        assert!(said.contains(sentence), "{said}");
        assert_eq!(chat.exit_code(), 1);
        if code == "too-many-attempts" {
            continue;
        }
        // The same later, with a line that was not acknowledged.
        let mut chat = start(&home, &arguments);
        let (mut server, _) = Peer::accept_registration(&listener);
        welcome(&mut server, "t");
        chat.notice("logged in");
        chat.types("hi");
        server.read();
        drop(server);
        let (mut server, registration) = Peer::accept_registration(&listener);
        assert_eq!(registration["extended"]["auth"], TOKEN);
        server.tells(&error(code));
        let said = chat.notice("1 line may not have arrived: \"hi\"");
        assert!(said.contains(sentence), "{said}");
        assert_eq!(chat.exit_code(), 1);
    }
}

#[test]
fn what_goes_on_is_said_too() {
    let (listener, address) = listen();
    let home = Home::new("goes-on");
    let mut chat = start(&home, &["-topic", &address, "t", "two"]);
    let (mut server, _) = Peer::accept_registration(&listener);
    let state = json!({"epoch": "e1", "seq": 0});
    server.tells(&json!({"registered": {"topics": {"t": state, "two": state}}}));
    server.tells(&error("rate-limited"));
    chat.notice("you send more than you may, and are read more slowly (rate-limited: because)");
    server.tells(&json!({"removed": {"topic": "t", "code": "forbidden"}}));
    chat.notice(&format!(
        "you are no longer in t: {address} doesn't allow it (forbidden)"
    ));
    server.tells(&json!({"removed": {"topic": "two", "code": "forbidden"}}));
    chat.notice("doesn't allow you to be in any of these topics any more");
    assert_eq!(chat.exit_code(), 1);
    let mut chat = start(&home, &["-topic", &address, "t", "--name", "alice"]);
    let (mut server, _) = Peer::accept_registration(&listener);
    server.tells(&error("name-reserved"));
    chat.notice(&format!("the name alice is reserved at {address}"));
    assert_eq!(chat.exit_code(), 1);
}

#[test]
fn somebody_is_looked_up_after_a_login() {
    let (listener, address) = listen();
    let home = Home::new("looked-up");
    let token = home.file("lab.token", TOKEN);
    let whom = format!("bob@{address}");
    let mut chat = start(&home, &["-direct", "0", &whom, "--token-file", &token]);
    let mut server = Peer::accept(&listener);
    assert_eq!(server.read()["extended"]["auth"], TOKEN);
    assert_eq!(server.read()["extended"]["lookup"], "bob");
    server.tells(&json!({"authenticated": {"user": "alice"}}));
    server.tells(&error("forbidden"));
    chat.notice(&format!(
        "can't call bob: {address} says: you may not do that"
    ));
    assert_eq!(chat.exit_code(), 1);
}

#[cfg(unix)]
mod on_a_terminal {
    use super::*;
    use crate::person::Person;
    use crate::secrets;

    #[test]
    fn a_password_is_asked_for_without_showing_it() {
        let (listener, address) = listen();
        secrets::watch();
        let home = Home::new("password");
        let arguments = ["-topic", &address, "t", "--user", "alice"];
        let person = Person::with(20, 80, &arguments, &[("XDG_CONFIG_HOME", home.path())]);
        person.sees(&format!("alice's password at {address}: "));
        assert!(!person.is_on_the_alternate_screen());
        secrets::note(secrets::Kind::Password, PASSWORD);
        person.types(&format!("{PASSWORD}\r"));
        let (mut server, registration) = Peer::accept_registration(&listener);
        let auth = json!({"user": "alice", "password": PASSWORD});
        assert_eq!(registration["extended"]["auth"], auth);
        welcome(&mut server, "t");
        let picture = person.sees("-- logged in to ");
        assert!(!picture.contains("hush"), "{picture}");
        person.types("hi\r");
        let message = crate::pictures::message(&mut server);
        assert_eq!(message["message"]["text"], "hi");
    }

    #[test]
    fn an_interrupt_or_nothing_gives_the_terminal_back() {
        let (_listener, address) = listen();
        let home = Home::new("no-password");
        for (keys, code) in [("\u{3}", 130), ("\r", 1)] {
            let arguments = ["-topic", &address, "t", "--user", "alice"];
            let environment = [("XDG_CONFIG_HOME", home.path())];
            let mut person = Person::with(20, 80, &arguments, &environment);
            person.sees("alice's password at ");
            person.sends(keys.as_bytes());
            assert_eq!(person.exit_code(), Some(code));
            assert!(person.has_the_terminal_back());
        }
    }
}
