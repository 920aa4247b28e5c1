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
fn what_is_no_value_is_told_in_our_words_and_not_in_those_of_a_parser() {
    for (wrong, said) in [
        (&["70000"][..], "a port is a number from 0 to 65535"),
        (&["http"], "a port is a number from 0 to 65535"),
        (
            &["1", "--bind", "lab.example"],
            "this is an IP address of this machine",
        ),
        (
            &["1", "--max-topics=-1"],
            "this is a whole number, as in 1000",
        ),
        (&["1", "--max-frame", "1e3"], "a size is a number of bytes"),
        (
            &["1", "--keep-age", "soon"],
            "a time is a number of seconds",
        ),
    ] {
        let arguments = ["topicserver"].iter().chain(wrong);
        let error = Options::try_parse_from(arguments).unwrap_err().to_string();
        assert!(error.contains(said), "{wrong:?}: {error}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    expect_refused(&[
        &["20000", "--max-frame", "10"][..],
        &["20000", "--max-depth", "129"],
        &["20000", "--max-topics", "0"],
        &["20000", "--max-outbox", "x"],
        &["20000", "--max-stream-topics", "201"],
        &["20000", "--bind", "nowhere"],
        &["20000", "--listen", "127.0.0.1:20001"],
        &["20000", "--login-lifetime", "0"],
        &["20000", "--login-lifetime", "401d"],
        &["20000", "--ticket-lifetime", "11m"],
        &["20000", "--open-to-all", "--auth", "accounts.toml"],
        &["20000", "--log", "loud"],
        &["20000", "--registration-timeout", "0"],
        &["20000", "--tls-cert", "c.pem"],
        &["20000", "--tls-key", "k.pem"],
        &["20000", "--tls-self-signed", "lab"],
        &[
            "20000",
            "--tls-self-signed",
            "--tls-cert",
            "c.pem",
            "--tls-key",
            "k.pem",
        ],
        &["20000", "--tls-self-signed", "--hsts", "60"],
        &["20000", "--tls-min", "1.1"],
        &["20000", "--tls", "on"],
        &["20000", "--trust-proxy", "proxy.example"],
        &["20000", "--trust-proxy", "10.1.2.3/8"],
        &["70000"],
        &["-1"],
        &[],
    ]);
}

#[test]
fn what_makes_no_sense_of_a_cluster_is_refused() {
    expect_refused(&[
        &["20000", "--cluster", "http://a"][..],
        &["20000", "--cluster", "nats://a", "--data", "d"],
        &["20000", "--cluster", "nats://a", "--cluster-name", "A"],
        &["20000", "--cluster", "nats://a", "--node", "a.b"],
        &["20000", "--cluster", "nats://a", "--advertise", "a"],
        &[
            "20000",
            "--cluster",
            "nats://a",
            "--nats-monitor",
            "https://a:1",
        ],
        &[
            "20000",
            "--cluster",
            "nats://a",
            "--cluster-durability",
            "no",
        ],
        &["20000", "--cluster", "nats://a", "--cluster-shards", "0"],
        &["20000", "--cluster", "nats://a", "--cluster-replicas", "6"],
        &["20000", "--node", "a"],
        &["20000", "--nats-monitor", "a:1"],
    ]);
}

#[track_caller]
fn expect_refused(all: &[&[&str]]) {
    for wrong in all {
        let arguments = ["topicserver"].iter().chain(*wrong);
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
    // They are of no use alone.
    let of_cluster = |name: &str| {
        name.starts_with("cluster-") || ["node", "advertise", "nats-monitor"].contains(&name)
    };
    for name in names {
        let value = match name {
            "bind" => "127.0.0.1",
            "admin" => "127.0.0.1:20001",
            "listen" => "unix:/run/natter/socket",
            "max-depth" | "max-stream-topics" | "ticket-lifetime" => "7",
            "allow-origin" => "https://wiki.example",
            "allow-host" => "chat.example",
            "tls" => "required",
            "tls-min" => "1.3",
            "trust-proxy" => "10.0.0.0/8",
            "advertise" | "nats-monitor" => "chat.example:7",
            "cluster-durability" => "replicated",
            "cluster-shards" => "7",
            "cluster-replicas" => "3",
            _ => "2048",
        };
        let also = match name {
            "tls-cert" => Some("--tls-key=2048"),
            "tls-key" => Some("--tls-cert=2048"),
            _ if of_cluster(name) => Some("--cluster=nats://a"),
            _ => None,
        };
        let default = match of_cluster(name) {
            true => debug(&["--cluster=nats://a"]),
            false => default.clone(),
        };
        let option = match name {
            "open-to-all" | "announce" => format!("--{name}"),
            _ => format!("--{name}={value}"),
        };
        let line: Vec<_> = also.into_iter().chain([option.as_str()]).collect();
        let given = debug(&line);
        assert_ne!(given, default, "--{name}");
    }
}

#[test]
fn tls_is_spoken_when_there_is_a_certificate() {
    let tls = |line: &[&str]| {
        let options = Options::parse_from([&["topicserver", "20000"], line].concat());
        Config::from(&options).tls
    };
    assert_eq!(tls(&[]).mode(), TlsMode::Off);
    let files = tls(&["--tls-cert", "c.pem", "--tls-key", "k.pem"]);
    assert_eq!(files.mode(), TlsMode::Optional);
    let certificate = Some(CertificateSource::Files {
        certificate: "c.pem".into(),
        key: "k.pem".into(),
    });
    assert_eq!(files.certificate, certificate);
    let names = |line: &str| match tls(&[line]).certificate {
        Some(CertificateSource::SelfSigned { names }) => names,
        other => panic!("{other:?}"),
    };
    assert_eq!(names("--tls-self-signed"), Vec::<String>::new());
    assert_eq!(names("--tls-self-signed=lab,10.0.0.1"), ["lab", "10.0.0.1"]);
    let off = tls(&["--tls-self-signed", "--tls", "off"]);
    assert_eq!(off.mode(), TlsMode::Off);
    let required = tls(&["--tls-self-signed", "--tls=required"]);
    assert_eq!(required.mode(), TlsMode::Required);
}

#[test]
fn a_server_with_a_unix_socket_needs_no_port() {
    let config = |line: &[&str]| {
        let options = Options::parse_from([&["topicserver"], line].concat());
        let config = Config::from(&options);
        (config.port, config.unix, config.unix_only)
    };
    let path = || Some("natter.sock".into());
    assert_eq!(config(&["--listen", "unix:natter.sock"]), (0, path(), true));
    let both = config(&["20000", "--listen=unix:natter.sock"]);
    assert_eq!(both, (20000, path(), false));
    assert_eq!(config(&["20000"]), (20000, None, false));
}

#[test]
fn a_cluster_has_its_options() {
    let cluster = |line: &[&str]| {
        let options = Options::parse_from([&["topicserver", "20000"], line].concat());
        Config::from(&options).cluster
    };
    assert!(cluster(&[]).is_none());
    assert!(cluster(&["--cluster-shards", "4"]).is_none());
    let config = cluster(&[
        "--cluster=nats://a,tls://b:5",
        "--nats-monitor=http://a:8222,b:1",
    ]);
    let config = config.unwrap();
    let servers: Vec<_> = config.servers.iter().map(NatsUrl::to_string).collect();
    assert_eq!(servers, ["nats://a:4222", "tls://b:5"]);
    let monitors: Vec<_> = config.monitors.iter().map(MonitorUrl::authority).collect();
    assert_eq!(monitors, ["a:8222", "b:1"]);
    assert_eq!(config.name, "natter");
    assert_eq!(config.durability, ClusterDurability::Flushed);
    assert_eq!((config.shards, config.replicas), (16, None));
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    let line = "topicserver 20000 --cluster nats://natter:s3cr3t@a,nats://b".split(' ');
    let gathered = Options::gather(line.map(Into::into), []).unwrap();
    let report = gathered.report();
    assert!(report.contains("nats://…@a"), "{report}");
    let config = Config::from(&gathered.options);
    assert!(
        !format!("{report}{config:?}").contains("s3cr3t"),
        "{report}"
    );
    let variable = ("NATTER_CLUSTER".into(), "http://natter:s3cr3t@a".into());
    let line = ["topicserver", "20000"].map(Into::into);
    let mistake = Options::gather(line, [variable]).unwrap_err().to_string();
    assert!(mistake.contains("http://…@a"), "{mistake}");
    assert!(!mistake.contains("s3cr3t"), "{mistake}");
}
