//! TLS: whom `chat` takes for the server, and when it speaks plain text.

use std::process::{Command, Stdio};

use topicserver::{CertificateSource, Config, TlsConfig, TlsMode};

use crate::front::{Authority, Front, Home, Identity};
use crate::pictures::Other;
use crate::process::{Output, Process};
use crate::server::{Running, start_server};

/// Runs a command with one line of input: its exit code, and what it says on standard error.
fn says(mut command: Command) -> (Option<i32>, String) {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that has failed reads nothing.
    let _ = child.stdin.take().unwrap().write_all(b"hello\n");
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Runs a command that fails: the only line that it says, but that it takes long on a busy machine.
fn failure(command: Command) -> String {
    let (code, said) = says(command);
    assert_eq!(code, Some(1), "{said}");
    let is_slow = |line: &&str| line.starts_with("chat: still connecting to ");
    let mut lines: Vec<&str> = said.lines().collect();
    lines.retain(|line| !is_slow(line));
    assert_eq!(lines.len(), 1, "{said}");
    lines[0].to_owned() + "\n"
}

/// Runs a command that delivers its line.
fn delivers(command: Command) {
    let (code, said) = says(command);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_pipe_does_not_trust_a_new_server_and_says_what_to_add() {
    let (home, identity) = (Home::new("new"), Identity::own());
    let server = start_server();
    let front = Front::start(&identity, &server);
    let mut bob = Other::named("bob", &server, "t");
    bob.is_done();
    let address = format!("tls://{}", front.address);
    let said = failure(home.chat(&["-topic", &address, "t"]));
    assert!(said.contains(&identity.pin()), "{said}");
    assert_eq!(home.known(), "");
    let (_, line) = said.trim_end().rsplit_once("known_servers: ").unwrap();
    home.file("known_servers", &format!("{line}\n"));
    delivers(home.chat(&["-topic", &address, "t"]));
    assert_eq!(bob.hears(), "hello");
    assert_eq!(home.known(), format!("{line}\n"));
}

#[test]
fn a_new_key_is_kept_and_from_then_on_only_that_one_is_right() {
    let (home, identity) = (Home::new("kept"), Identity::own());
    let front = Front::start(&identity, &start_server());
    let address = front.address.clone();
    let tls = format!("tls://{address}");
    let (code, said) = says(home.chat(&["-topic", &tls, "t", "--accept-new"]));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("{address} is new: its key {}", identity.pin())),
        "{said}"
    );
    assert!(
        home.known()
            .starts_with(&format!("{address} {}", identity.pin()))
    );
    // What is known by TLS is never tried in plain text.
    delivers(home.chat(&["-topic", &address, "t"]));
    assert_eq!(front.refusals(), 0);
    let other = Identity::own();
    let _front = front.restart(&other);
    for options in [&[][..], &["--accept-new"], &["--wait"]] {
        let arguments = [&["-topic", &tls, "t"], options].concat();
        let said = failure(home.chat(&arguments));
        for part in [
            identity.pin(),
            other.pin(),
            format!("chat --forget {address}"),
        ] {
            assert!(said.contains(&part), "{said}");
        }
    }
    let pinned = format!("{tls}#{}", other.pin());
    let said = failure(home.chat(&["-topic", &pinned, "t"]));
    assert!(said.contains(&format!("chat --forget {address}")), "{said}");
    let (code, said) = says(home.chat(&["--forget", &address]));
    assert_eq!((code, home.known().as_str()), (Some(0), ""), "{said}");
    assert!(
        said.contains(&format!("forgot {address}: {}", identity.pin())),
        "{said}"
    );
    let said = failure(home.chat(&["-forget", &address]));
    assert!(said.contains("is not among the known servers"), "{said}");
    delivers(home.chat(&["-topic", &tls, "t", "--accept-new"]));
}

#[test]
fn there_is_no_way_back_to_plain_text_but_by_asking_for_it() {
    let (home, identity) = (Home::new("back"), Identity::own());
    let server = Running::start(&topicserver::Config::default());
    let address = server.address.clone();
    home.file("known_servers", &format!("{address} {}\n", identity.pin()));
    let said = failure(home.chat(&["-topic", &address, "t"]));
    let expected = format!("{address} doesn't speak TLS; tcp://{address} speaks plain text");
    assert!(said.contains(&expected), "{said}");
    delivers(home.chat(&["-topic", &format!("tcp://{address}"), "t"]));
    delivers(Home::new("nobody").chat(&["-topic", &address, "t"]));
}

#[test]
fn a_server_that_requires_tls_is_dialed_again_unless_plain_text_was_asked_for() {
    let (home, identity) = (Home::new("required"), Identity::own());
    let server = start_server();
    let front = Front::start(&identity, &server);
    let address = front.address.clone();
    let mut bob = Other::named("bob", &server, "t");
    bob.is_done();
    let said = failure(home.chat(&["-topic", &address, "t"]));
    assert!(said.contains(&identity.pin()), "{said}");
    delivers(home.chat(&["-topic", &address, "t", "--accept-new"]));
    assert_eq!(bob.hears(), "hello");
    assert_eq!(front.refusals(), 2);
    delivers(home.chat(&["-topic", &address, "t"]));
    assert_eq!(bob.hears(), "hello");
    assert_eq!(front.refusals(), 2);
    // The classic protocol has no answer, but a server that refuses it says so.
    let classic = Home::new("required-classic");
    let arguments = ["-topic", &address, "t", "--classic", "--accept-new"];
    delivers(classic.chat(&arguments));
    assert_eq!(bob.hears(), "hello");
    assert_eq!(front.refusals(), 3);
    // Nothing but three registrations has come in plain text.
    let plain = front.plain_text();
    assert_eq!(plain.matches("\"topics\"").count(), 3, "{plain}");
    assert!(!plain.contains("message"), "{plain}");
    let tcp = format!("tcp://{address}");
    let other = Home::new("required-plain");
    for arguments in [
        &["-topic", &tcp, "t"][..],
        &["-topic", &tcp, "t", "--classic"],
    ] {
        let (code, said) = says(other.chat(arguments));
        assert_eq!(code, Some(1), "{said}");
        let advice = format!("use the address tls://{address}");
        assert!(said.contains(&advice), "{said}");
    }
}

#[test]
fn a_fingerprint_in_the_address_is_enough_if_it_is_right() {
    let (home, identity) = (Home::new("pinned"), Identity::own());
    let front = Front::start(&identity, &start_server());
    let address = front.address.clone();
    let wrong = Identity::own().pin();
    let said = failure(home.chat(&["-topic", &format!("tls://{address}#{wrong}"), "t"]));
    assert!(
        said.contains(&wrong) && said.contains(&identity.pin()),
        "{said}"
    );
    assert_eq!(home.known(), "");
    let right = format!("tls://{address}#{}", identity.pin());
    delivers(home.chat(&["-topic", &right, "t"]));
    assert!(home.known().contains(&identity.pin()));
    delivers(home.chat(&["-topic", &address, "t"]));
    assert_eq!(front.refusals(), 0);
}

#[test]
fn an_authority_is_trusted_by_the_system_or_by_an_option() {
    let (home, authority) = (Home::new("authority"), Authority::new());
    let ca = home.file("ca.pem", &authority.pem);
    let front = Front::start(&authority.signs(&["127.0.0.1"]), &start_server());
    let tls = format!("tls://{}", front.address);
    let with_roots = |file: &str, arguments: &[&str]| {
        let mut command = home.chat(&[&["-topic", &tls, "t"], arguments].concat());
        command
            .env("SSL_CERT_FILE", file)
            .env_remove("SSL_CERT_DIR");
        command
    };
    let other = home.file("other.pem", &Authority::new().pem);
    let said = failure(with_roots(&other, &[]));
    assert!(
        said.contains("--tls-ca FILE trusts those in FILE"),
        "{said}"
    );
    delivers(with_roots(&other, &["--tls-ca", &ca]));
    delivers(with_roots(&ca, &[]));
    // The authority's word counts for another key too.
    let front = front.restart(&authority.signs(&["127.0.0.1"]));
    delivers(with_roots(&ca, &[]));
    assert_eq!(home.known().lines().count(), 1);
    for (identity, problem) in [
        (authority.signs_expired(&["127.0.0.1"]), "has expired"),
        (authority.signs(&["localhost"]), "is for another name"),
    ] {
        let pinned = format!("{tls}#{}", identity.pin());
        let home = Home::new("authority-pinned");
        let front = Front::start(&identity, &start_server());
        let pinned = pinned.replace(&tls, &format!("tls://{}", front.address));
        let said = failure(home.chat(&["-topic", &pinned, "t", "--tls-ca", &ca]));
        assert!(said.contains(problem), "{said}");
    }
    drop(front);
    for (file, problem) in [
        (home.file("empty.pem", ""), "there is no certificate in it"),
        (format!("{}/none.pem", home.path()), "can't read"),
    ] {
        let said = failure(home.chat(&["-topic", &tls, "t", "--tls-ca", &file]));
        assert!(said.contains(problem), "{said}");
    }
}

#[test]
fn a_machine_without_authorities_knows_servers_by_their_keys() {
    let home = Home::new("rootless");
    let empty = home.file("empty.pem", "");
    let run = |address: &str, options: &[&str]| {
        let address = format!("tls://{address}");
        let mut command = home.chat(&[&["-topic", &address, "t"], options].concat());
        command
            .env("SSL_CERT_FILE", &empty)
            .env_remove("SSL_CERT_DIR");
        command
    };
    let server = start_server();
    let front = Front::start(&Identity::own(), &server);
    delivers(run(&front.address, &["--accept-new"]));
    let authority = Authority::new();
    let front = Front::start(&authority.signs(&["127.0.0.1"]), &server);
    let said = failure(run(&front.address, &["--accept-new"]));
    assert!(said.contains("this machine trusts none"), "{said}");
    let ca = home.file("ca.pem", &authority.pem);
    delivers(run(&front.address, &["--tls-ca", &ca]));
}

#[test]
fn a_connection_comes_back_over_tls_and_loses_nothing() {
    let (home, identity) = (Home::new("again"), Identity::own());
    let server = start_server();
    let front = Front::start(&identity, &server);
    let mut bob = Other::named("bob", &server, "t");
    bob.is_done();
    let tls = format!("tls://{}", front.address);
    let command = home.chat(&["-topic", &tls, "t", "--accept-new"]);
    let mut chat = Process::start(command, Output::Read);
    chat.notice("joined t");
    chat.types("one");
    assert_eq!(bob.hears(), "one");
    let address = front.stop();
    chat.notice("it was cut off");
    chat.types("two");
    bob.says("t", "meanwhile");
    bob.is_done();
    let front = Front::start_at(&address, &identity, &server);
    assert_eq!(chat.line(), "t:meanwhile");
    assert_eq!(bob.hears(), "two");
    // With another key it doesn't come back, and says what is left.
    let address = front.stop();
    chat.notice("it was cut off");
    chat.types("three");
    // What is typed is read while it tries in vain.
    (0..2).for_each(|_| drop(chat.notice("trying again in")));
    let _front = Front::start_at(&address, &Identity::own(), &server);
    let said = chat.notice(&format!("chat --forget {address}"));
    assert!(
        said.contains("1 line may not have arrived: \"three\""),
        "{said}"
    );
    assert_eq!(chat.exit_code(), 1);
}

#[test]
fn somebody_is_looked_up_over_tls_and_called_in_plain_text() {
    let (home, identity) = (Home::new("lookup"), Identity::own());
    let server = start_server();
    let front = Front::start(&identity, &server);
    let (mut listener, port) = Process::listener(&[]);
    let mut bob = crate::peer::Peer::new(std::net::TcpStream::connect(&server).unwrap());
    let registration =
        serde_json::json!({"topics": ["t"], "extended": {"user": "bob", "port": port.to_string()}});
    bob.sends(registration.to_string().as_bytes());
    bob.read();
    let whom = format!("bob@tls://{}", front.address);
    let said = failure(home.chat(&["-direct", "0", &whom]));
    assert!(said.contains(&identity.pin()), "{said}");
    delivers(home.chat(&["-direct", "0", &whom, "--accept-new"]));
    assert_eq!(listener.line(), "direct:hello");
    assert!(home.known().contains(&identity.pin()));
    // A server that speaks TLS only is asked again over TLS, where the address leaves that open.
    let other = Home::new("lookup-again");
    let bare = format!("bob@{}", front.address);
    let said = failure(other.chat(&["-direct", "0", &bare]));
    assert!(said.contains(&identity.pin()), "{said}");
    delivers(other.chat(&["-direct", "0", &bare, "--accept-new"]));
    assert_eq!(listener.line(), "direct:hello");
    assert!(other.known().contains(&identity.pin()));
    let plain = format!("bob@tcp://{}", front.address);
    let said = failure(other.chat(&["-direct", "0", &plain]));
    assert!(said.contains("tls-required"), "{said}");
    assert!(!front.plain_text().contains("message"));
}

#[test]
fn the_real_server_is_known_by_the_fingerprint_that_it_says() {
    let home = Home::new("real");
    let data = home.file("data", "");
    std::fs::remove_file(&data).unwrap();
    let server = Running::start(&Config {
        data: Some(data.into()),
        tls: TlsConfig {
            mode: Some(TlsMode::Required),
            certificate: Some(CertificateSource::SelfSigned { names: Vec::new() }),
            ..TlsConfig::default()
        },
        ..Config::default()
    });
    let (address, pin) = (server.address.clone(), server.fingerprint.clone().unwrap());
    let said = failure(home.chat(&["-topic", &address, "t"]));
    assert!(said.contains(&pin), "{said}");
    let pinned = format!("tls://{address}#{pin}");
    let mut listener = Process::start(home.chat(&["-topic", &pinned, "t"]), Output::Read);
    listener.notice("joined t");
    assert!(home.known().contains(&pin));
    let command = home.chat(&["-topic", &address, "t", "--name", "al"]);
    let mut chat = Process::start(command, Output::Read);
    chat.types("one");
    assert_eq!(listener.line(), "t:one");
    let server = server.restart();
    assert_eq!(server.fingerprint, Some(pin));
    chat.types("two");
    assert_eq!(listener.line(), "t:two");
    assert_eq!(chat.finishes(), 0);
    let plain = failure(home.chat(&["-topic", &format!("tcp://{address}"), "t"]));
    assert!(
        plain.contains(&format!("use the address tls://{address}")),
        "{plain}"
    );
}

#[cfg(unix)]
mod on_a_terminal {
    use super::*;
    use crate::person::Person;

    fn person(home: &Home, arguments: &[&str]) -> Person {
        Person::with(20, 100, arguments, &[("XDG_CONFIG_HOME", home.path())])
    }

    #[test]
    fn a_person_is_asked_about_a_new_server_before_the_screen_is_taken() {
        let (home, identity) = (Home::new("asked"), Identity::own());
        let front = Front::start(&identity, &start_server());
        let tls = format!("tls://{}", front.address);
        for (answer, is_trusted) in [("\r", false), ("no\r", false), ("yes\r", true)] {
            let mut person = person(&home, &["-topic", &tls, "t"]);
            let picture = person.sees("to trust it from now on: ");
            assert!(picture.contains(&identity.pin()), "{picture}");
            assert!(!person.is_on_the_alternate_screen());
            person.types(answer);
            if is_trusted {
                person.sees("-- you are alice");
                person.types("hi\r");
                person.sees("t:hi");
                continue;
            }
            person.sees("is not trusted, and nothing was sent to it");
            assert_eq!(person.exit_code(), Some(1));
            assert_eq!(home.known(), "");
        }
        assert!(home.known().contains(&identity.pin()));
        let person = person(&home, &["-topic", &front.address, "t"]);
        person.sees("-- you are alice");
        assert_eq!(front.refusals(), 0);
    }

    #[test]
    fn an_interrupt_at_the_question_ends_it() {
        let (home, identity) = (Home::new("interrupted"), Identity::own());
        let front = Front::start(&identity, &start_server());
        let tls = format!("tls://{}", front.address);
        let mut person = person(&home, &["-topic", &tls, "t"]);
        person.sees("to trust it from now on: ");
        person.sends(&[3]);
        assert_eq!(person.exit_code(), Some(130));
        assert_eq!(home.known(), "");
    }

    #[test]
    fn a_plain_terminal_asks_too_and_reads_on_behind_the_answer() {
        let (home, identity) = (Home::new("plain"), Identity::own());
        let server = start_server();
        let front = Front::start(&identity, &server);
        let mut bob = Other::named("bob", &server, "t");
        bob.is_done();
        let tls = format!("tls://{}", front.address);
        let person = person(&home, &["-topic", &tls, "t", "--plain"]);
        person.sees("to trust it from now on: ");
        person.sends(b"y\nhi\n");
        assert_eq!(bob.hears(), "hi");
    }
}
