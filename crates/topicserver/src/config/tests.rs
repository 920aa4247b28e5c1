//! Options as they are typed.

use clap::CommandFactory;

use super::*;

#[test]
fn the_options_are_consistent() {
    Options::command().debug_assert();
}

#[test]
fn without_options_everything_has_its_default() {
    let options = Options::parse_from(["topicserver", "20000"]);
    let expected = Config {
        port: 20000,
        ..Config::default()
    };
    assert_eq!(
        format!("{:?}", Config::from(&options)),
        format!("{expected:?}")
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    for wrong in [
        &["20000", "--max-frame", "10"][..],
        &["20000", "--max-depth", "129"],
        &["20000", "--max-topics", "0"],
        &["20000", "--max-outbox", "x"],
        &["20000", "--max-stream-topics", "201"],
        &["20000", "--bind", "nowhere"],
        &["20000", "--open-to-all", "--auth", "accounts.toml"],
        &["20000", "--log", "loud"],
        &["20000", "--registration-timeout", "0"],
        &["20000", "--trust-proxy", "proxy.example"],
        &["20000", "--trust-proxy", "10.1.2.3/8"],
        &["70000"],
        &["-1"],
        &[],
    ] {
        let arguments = ["topicserver"].iter().chain(wrong);
        let error = Options::try_parse_from(arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{wrong:?}");
    }
}

#[test]
fn every_option_reaches_the_configuration() {
    let debug = |line: &[&str]| {
        let options = Options::parse_from([&["topicserver", "20000"], line].concat());
        format!("{:?}", Config::from(&options))
    };
    let default = debug(&[]);
    let command = Options::command();
    // Help and version end the program; the others are of the program, not of a server.
    let others = ["help", "version", "config", "log", "log-format", "threads"];
    let names = command.get_arguments().filter_map(clap::Arg::get_long);
    let names: Vec<_> = names.filter(|name| !others.contains(name)).collect();
    assert!(names.contains(&"ping-interval"), "{names:?}");
    for name in names {
        let value = match name {
            "bind" => "127.0.0.1",
            "max-depth" | "max-stream-topics" => "7",
            "allow-origin" => "https://wiki.example",
            "allow-host" => "chat.example",
            "trust-proxy" => "10.0.0.0/8",
            _ => "2048",
        };
        let option = format!("--{name}");
        let given = match name {
            "open-to-all" => debug(&[&option]),
            _ => debug(&[&option, value]),
        };
        assert_ne!(given, default, "--{name}");
    }
}
