//! The command line: what each form means, and what each mistake is answered.

use std::time::Duration;

use wire::{TopicName, UserName};

use super::*;

mod access;

fn read(line: &str) -> Result<Config, clap::Error> {
    read_words(line.split(' ').map(OsString::from))
}

fn read_words(words: impl IntoIterator<Item = OsString>) -> Result<Config, clap::Error> {
    parse(words, &Environment::default()).map_err(|answer| match answer {
        Answer::Usage(error) => error,
        Answer::Configuration(text) => panic!("{text}"),
    })
}

fn mode(line: &str) -> Mode {
    read(line)
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .mode
}

/// The first line of the answer to wrong usage.
fn mistake(line: &str) -> String {
    let error = read(line).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{line}");
    let text = error.to_string();
    let is_ours = error.kind() == ErrorKind::ValueValidation && !text.contains("invalid value");
    assert!(
        !is_ours || text.contains("Usage: chat [OPTIONS] -direct PORT\n"),
        "{text}"
    );
    text.lines().next().unwrap().into()
}

#[test]
fn the_command_lines_of_the_specification_are_read() {
    assert_eq!(mode("chat -direct 10000"), Mode::Wait { port: 10000 });
    assert_eq!(
        mode("chat -direct 0 127.0.0.1:10000"),
        Mode::Call {
            peer: "127.0.0.1:10000".parse().unwrap()
        }
    );
    assert_eq!(
        mode("chat -topic 127.0.0.1:20000 lame-conversation"),
        Mode::Join {
            servers: "127.0.0.1:20000".parse().unwrap(),
            topics: vec!["lame-conversation".parse().unwrap()]
        }
    );
}

#[test]
fn what_people_paste_is_an_address_and_a_topic() {
    let lab = || Mode::Join {
        servers: "127.0.0.1:20000".parse().unwrap(),
        topics: vec!["lab".parse().unwrap()],
    };
    for line in [
        "chat -topic http://127.0.0.1:20000/lab",
        "chat -topic natter://127.0.0.1:20000/lab",
        "chat -topic 127.0.0.1:20000/lab",
        "chat -topic http://127.0.0.1:20000/ lab",
        "chat -topic http://127.0.0.1:20000/lab lab",
    ] {
        assert_eq!(mode(line), lab(), "{line}");
    }
    assert!(mistake("chat -topic http://host:1/").contains("type `chat -topic host:1 TOPIC`"));
    assert!(mistake("chat -topic ftp://host:1/lab t").contains("ftp://host:1"));
    assert!(mistake("chat -topic [::1]:1").contains("type `chat -topic '[::1]:1' TOPIC`"));
}

#[test]
fn one_dash_and_two_mean_the_same_for_every_long_option() {
    for line in [
        "chat -direct 1 -stay -no-reconnect -connect-timeout 2 -drain-timeout 0.5 -max-frame 2000 -json",
        "chat --stay 1 --json --no-reconnect --drain-timeout=0.5 --max-frame=2000 --connect-timeout=2 --direct",
    ] {
        let config = read(line).unwrap();
        assert_eq!(config.mode, Mode::Wait { port: 1 });
        assert_eq!(
            config.options,
            Options {
                stay: true,
                reconnect: false,
                wait: false,
                connect_timeout: Duration::from_secs(2),
                drain_timeout: Duration::from_millis(500),
                max_frame: 2000,
                json: true,
                count: None,
                timeout: None,
                quiet: false,
                whole: false,
                plain: false,
                color: When::Auto,
                bell: true,
                notify: Notifying::Auto,
                sides: true,
                hide_topic: false,
                mouse: false,
                history_file: true,
                usual_name: None,
                access: Access::default(),
                extended: None,
            }
        );
    }
    for line in ["chat -help", "chat --help", "chat -h"] {
        assert_eq!(read(line).unwrap_err().kind(), ErrorKind::DisplayHelp);
    }
    for line in ["chat -version", "chat --version", "chat -V"] {
        assert_eq!(read(line).unwrap_err().kind(), ErrorKind::DisplayVersion);
    }
}

#[test]
fn defaults_are_those_that_help_names() {
    let options = read("chat -direct 1").unwrap().options;
    assert_eq!(
        options,
        Options {
            stay: false,
            reconnect: true,
            wait: false,
            connect_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(3),
            max_frame: 65536,
            json: false,
            count: None,
            timeout: None,
            quiet: false,
            whole: false,
            plain: false,
            color: When::Auto,
            bell: true,
            notify: Notifying::Auto,
            sides: true,
            hide_topic: false,
            mouse: false,
            history_file: true,
            usual_name: None,
            access: Access::default(),
            extended: None,
        }
    );
    let options = read("chat -topic a:1 t").unwrap().options;
    assert_eq!(
        options.extended,
        Some(Extended {
            name: None,
            history: History::None,
            ack_timeout: Duration::from_secs(30),
            listen: None,
        })
    );
    let help = Typed::command().render_help().to_string();
    for default in ["10", "3", "65536", "30"].map(|value| format!("[default: {value}]")) {
        assert!(help.contains(&default), "{help}");
    }
}

#[test]
fn what_a_server_is_asked_for_is_read_with_one_dash_and_two() {
    let extended = |line: &str| read(line).unwrap().options.extended;
    for line in [
        "chat -topic a:1 t -name alice -since 10m -ack-timeout 0.5",
        "chat --topic a:1 t --name=alice --since=10m --ack-timeout=0.5",
    ] {
        assert_eq!(
            extended(line),
            Some(Extended {
                name: Some(UserName::new("alice").unwrap()),
                history: History::Since(Duration::from_secs(600)),
                ack_timeout: Duration::from_millis(500),
                listen: None,
            })
        );
    }
    let history = |line: &str| extended(line).unwrap().history;
    assert_eq!(history("chat -topic a:1 t -last 20"), History::Last(20));
    for (time, seconds) in [("0s", 0), ("90s", 90), ("2h", 7200), ("3d", 259_200)] {
        let line = format!("chat -topic a:1 t -since {time}");
        assert_eq!(history(&line), History::Since(Duration::from_secs(seconds)));
    }
    for line in ["chat -topic a:1 t -classic", "chat -topic a:1 t --classic"] {
        assert_eq!(extended(line), None);
    }
}

#[test]
fn several_topics_are_joined_each_once() {
    let Mode::Join { topics, .. } = mode("chat -topic a:1 one two one three") else {
        panic!("not by topic");
    };
    let names: Vec<_> = topics.iter().map(TopicName::as_str).collect();
    assert_eq!(names, ["one", "two", "three"]);
    assert!(mistake("chat -topic host:1 one a\tb").contains("control character"));
}

#[test]
fn nothing_is_rewritten_but_long_options_before_two_dashes() {
    let topic = |line| match mode(line) {
        Mode::Join { topics, .. } => topics[0].to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(topic("chat -topic a:1 -- -stay"), "-stay");
    assert_eq!(topic("chat -topic a:1 -- -direct"), "-direct");
    assert_eq!(topic("chat -topic a:1 direct"), "direct");
    assert!(mistake("chat -topic a:1 -lame").contains("'-l'"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn each_mistake_has_its_own_answer() {
    for (line, answer) in [
        ("chat", "choose a way to chat: -direct or -topic"),
        ("chat 10000", "choose a way to chat"),
        ("chat -direct 1 -topic", "two ways to chat: choose one"),
        ("chat -direct", "-direct needs a port"),
        ("chat -direct 0", "type `chat -direct 0 ADDRESS:PORT`"),
        ("chat -direct 10000 host:1", "type `chat -direct 0 host:1`"),
        ("chat -direct host:1", "type `chat -direct 0 host:1`"),
        (
            "chat -direct 70000",
            "\"70000\" is no port: a port is a number from 1 to 65535",
        ),
        ("chat -direct +5", "\"+5\" is no port"),
        ("chat -direct ten", "\"ten\" is no port"),
        ("chat -direct 0 host", "\"host\" has no port"),
        ("chat -direct 0 host:0", "\"0\" is no port"),
        ("chat -direct 0 ::1:5", "[::1]:2000"),
        ("chat -direct 0 host:1 more", "\"more\" is one too many"),
        (
            "chat -direct 0 tls://host:1",
            "plain text: type `chat -direct 0 host:1`",
        ),
        ("chat -topic", "type `chat -topic ADDRESS:PORT TOPIC`"),
        (
            "chat -topic host:1#sha256:x t",
            "which only TLS can check: write tls://host:1#sha256:x",
        ),
        (
            "chat -topic tls://host:1#sha256:x t",
            "\"sha256:x\" is no fingerprint",
        ),
        ("chat -forget host", "\"host\" has no port"),
        ("chat", "`chat -find` lists the servers on this network"),
        (
            "chat -topic",
            "`chat -find` lists the servers on this network",
        ),
        ("chat -find host:1", "cannot be used with"),
        ("chat -find -topic host:1 t", "cannot be used with"),
        ("chat -find -find-time 0", "a number of seconds above 0"),
        ("chat -forget host:1 t", "cannot be used with"),
        ("chat -forget host:1 -topic", "cannot be used with"),
        ("chat -topic host:1", "type `chat -topic host:1 TOPIC`"),
        ("chat -topic host topic", "\"host\" has no port"),
        (
            "chat -topic host:1 a\tb",
            "can't hold a control character, this one holds \\u{9}",
        ),
        (
            "chat -direct 1 --connect-timeout 0",
            "a number of seconds above 0",
        ),
        (
            "chat -direct 1 --drain-timeout x",
            "a number of seconds from 0 to 86400",
        ),
        (
            "chat -direct 1 --drain-timeout=-1",
            "a number of seconds from 0 to 86400",
        ),
        ("chat -direct 1 --name alice", "--name is for a topic"),
        ("chat -direct 1 --last 2", "--last is for a topic"),
        ("chat -direct 1 --since 2m", "--since is for a topic"),
        (
            "chat -topic host:1 t --since 10",
            "a number and s, m, h or d",
        ),
        (
            "chat -topic host:1 t --since +1m",
            "a number and s, m, h or d",
        ),
        (
            "chat -topic host:1 t --since 99999999999999999999d",
            "a number and s, m, h or d",
        ),
        (
            "chat -topic host:1 t --since 9999999999999999999d",
            "a number and s, m, h or d",
        ),
        (
            "chat -topic host:1 t --since é",
            "a number and s, m, h or d",
        ),
        (
            "chat -topic host:1 t --last 2 --since 2m",
            "cannot be used with",
        ),
        (
            "chat -topic host:1 t --last 2 --classic",
            "cannot be used with",
        ),
        (
            "chat -topic host:1 t --classic --name bob",
            "cannot be used with",
        ),
        (
            "chat -topic host:1 t --classic --since 2m",
            "cannot be used with",
        ),
        (
            "chat -topic host:1 t --ack-timeout 0",
            "a number of seconds above 0",
        ),
        (
            "chat -topic host:1 t --name a\u{7}",
            "a user's name can't hold a control character",
        ),
        (
            "chat -direct 1 --max-frame 10",
            "a number of bytes from 1024",
        ),
    ] {
        let said = mistake(line);
        assert!(said.contains(answer), "{line}: {said}");
    }
    let empty = read_words(["chat", "-topic", "a:1", ""].map(OsString::from)).unwrap_err();
    assert!(empty.to_string().contains("a topic's name can't be empty"));
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_no_text_is_wrong_usage() {
    use std::os::unix::ffi::OsStringExt as _;
    let argument = OsString::from_vec(b"-topic\xff".to_vec());
    let error = read_words(["chat".into(), argument]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn an_option_goes_before_the_environment_and_that_before_the_file() {
    let folder = std::env::temp_dir().join(format!("natter-cli-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("natter")).unwrap();
    let text = "name = \"carol\"\ncolor = \"always\"\nbell = false\n[servers]\nlab = \"a:1\"\n\
                [servers.home]\naddress = \"b:1\"\ntoken-file = \"/t\"\ntls-ca = \"/ca\"\n";
    std::fs::write(folder.join("natter").join("chat.toml"), text).unwrap();
    let environment = |no_color| Environment {
        no_color,
        config: Some(folder.clone()),
        login: Some("alice".into()),
        ..Environment::default()
    };
    let read =
        |line: &str, no_color| parse(line.split(' ').map(OsString::from), &environment(no_color));
    let config = read("chat -topic lab t", false).unwrap();
    assert!(matches!(&config.mode, Mode::Join { servers, .. } if servers.to_string() == "a:1"));
    assert_eq!(
        (config.options.color, config.options.bell),
        (When::Always, false)
    );
    assert_eq!(config.options.usual_name.unwrap().as_str(), "carol");
    let color = |line: &str| read(line, true).unwrap().options.color;
    assert_eq!(color("chat -topic lab t"), When::Never);
    assert_eq!(color("chat -topic lab t -color auto"), When::Auto);
    assert_eq!(color("chat -topic lab t -color always"), When::Always);
    let access = |line: &str| read(line, false).unwrap().options.access;
    assert_eq!(access("chat -topic lab t").login, Login::None);
    let home = access("chat -topic home t");
    assert_eq!(home.login, Login::Token("/t".into()));
    assert_eq!(home.authorities, Some("/ca".into()));
    let other = access("chat -topic home t -user al -tls-ca other");
    assert_eq!(other.login, Login::User("al".into()));
    assert_eq!(other.authorities, Some("other".into()));
    assert_eq!(access("chat -topic home t -classic").login, Login::None);
    assert!(read("chat -topic lab t -no-config", false).is_err());
    assert!(matches!(
        read("chat -direct 0 bob@lab", false).unwrap().mode,
        Mode::CallUser { servers, .. } if servers.to_string() == "a:1"
    ));
    let Err(Answer::Configuration(printed)) = read("chat --print-config --no-bell", true) else {
        panic!("no configuration");
    };
    for line in [
        "name = \"carol\" # file, on a terminal only",
        "color = \"never\" # environment",
        "bell = false # option",
        "\"lab\" = \"a:1\" # file",
        "\"home\" = { address = \"b:1\", token-file = \"/t\", tls-ca = \"/ca\" } # file",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
