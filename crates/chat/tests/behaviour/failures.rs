//! What fails, with which exit code, and what is said about it.

use std::process::Output;

use crate::peer::{Peer, listen};
use crate::process::{Process, chat};

fn run(arguments: &[&str]) -> Output {
    let mut command = chat();
    command.stdin(std::process::Stdio::null());
    command.args(arguments).output().unwrap()
}

/// Runs `chat` with no input; what it says in its only line.
fn failure(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// An address of this machine where nobody listens.
fn nobody() -> String {
    format!("127.0.0.1:{}", crate::process::free_port())
}

#[test]
fn a_refused_connection_ends_at_once() {
    let address = nobody();
    assert_eq!(
        failure(&["-topic", &address, "lame-conversation"]),
        format!("chat: {address} refused the connection: is topicserver running there?\n")
    );
    assert_eq!(
        failure(&["-direct", "0", &address]),
        format!("chat: {address} refused the connection: is chat running there?\n")
    );
}

#[test]
fn a_name_that_is_not_known_is_named() {
    let said = failure(&["-topic", "no-such-host.invalid:20000", "t"]);
    assert!(
        said.starts_with("chat: can't find no-such-host.invalid: "),
        "{said}"
    );
    assert!(said.ends_with("; is the name right?\n"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_does_not_answer_is_given_up_in_time() {
    let silent = crate::peer::Silent::new();
    let said = failure(&["-direct", "0", &silent.address, "--connect-timeout", "0.2"]);
    let expected = format!("no answer from {} within 0.2 s", silent.address);
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn a_port_in_use_is_a_failure_with_advice() {
    let (_chat, port) = Process::listener(&[]);
    let said = failure(&["-direct", &port.to_string()]);
    assert!(
        said.starts_with(&format!("chat: can't wait for callers on port {port}: ")),
        "{said}"
    );
    assert!(said.contains("choose another port"), "{said}");
}

#[test]
fn wrong_usage_says_what_to_type() {
    for (arguments, answer) in [
        (&[][..], "choose a way to chat: -direct or -topic"),
        (&["-direct", "0"], "type `chat -direct 0 ADDRESS:PORT`"),
        (
            &["-direct", "10000", "host:1"],
            "type `chat -direct 0 host:1`",
        ),
        (&["-direct", "70000"], "a port is a number from 1 to 65535"),
        (&["-direct", "-topic", "host:1"], "choose one"),
        (
            &["-topic", "host:1", "a\u{7}"],
            "can't hold a control character",
        ),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(answer), "{said}");
        assert!(
            said.contains("chat [OPTIONS] -topic ADDRESS:PORT TOPIC"),
            "{said}"
        );
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (arguments, part) in [
        (["--help"], "-direct 0 ADDRESS:PORT"),
        (["-help"], "--drain-timeout <SECONDS>"),
        (["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(part));
    }
}

#[test]
fn the_printed_configuration_is_a_configuration_file_with_the_same_effect() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let print = |path: &str| {
        let output = run(&["--print-config", "--config", path]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for text in [
        "",
        "name = \"carol\"\nbell = false\n[servers]\n\"my lab\" = \"[::1]:1\"\n",
        "name = 'al\"i\\ce\u{200b}'\ncolor = \"never\"\n[servers]\n\"a\\\"b\" = \"c:1\"\n",
    ] {
        std::fs::write(file("first.toml"), text).unwrap();
        let first = print(&file("first.toml"));
        std::fs::write(file("second.toml"), &first).unwrap();
        let second = print(&file("second.toml"));
        let values = |printed: &str| {
            let lines = printed.lines().filter(|line| !line.starts_with('#'));
            let values = lines.map(|line| line.rsplit_once(" # ").unwrap_or((line, "")).0);
            values.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(values(&first), values(&second), "{first}");
        assert_ne!(values(&first), [""; 0], "{first}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_name_in_the_configuration_is_for_terminals_and_is_said_to_be() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("name-{}.toml", std::process::id()));
    std::fs::write(&path, "name = \"carol\"\n").unwrap();
    let path_text = path.to_str().unwrap();
    let output = run(&["--print-config", "--config", path_text]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("name = \"carol\" # file, on a terminal only"),
        "{printed}"
    );
    let (listener, address) = listen();
    let chat = Process::chat(&["-topic", &address, "t", "--config", path_text]);
    let (_server, registration) = Peer::accept_registration(&listener);
    assert_eq!(registration["extended"].get("user"), None, "{registration}");
    drop(chat);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn an_unread_line_of_a_reset_connection_is_a_failure_also_at_the_end() {
    let (listener, address) = listen();
    let mut chat = Process::chat(&["-topic", &address, "t", "--classic"]);
    let mut server = Peer::accept_registered(&listener, "t");
    chat.types("last");
    chat.ends_input();
    assert_eq!(server.text(), "last");
    server.resets();
    assert_eq!(chat.exit_code(), 1);
    chat.notice("the last lines may not have arrived");
}
