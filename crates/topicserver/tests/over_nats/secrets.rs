//! By what a server logs in to NATS is in no log.

use crate::common::secrets::{self, Kind};
use crate::common::{Directory, Process, eventually, finish, program};
use crate::nats::{Nats, Setup, program as nats_server};

const PASSWORD: &str = "hush-of-the-nats-servers";

#[test]
fn no_log_has_the_login_for_nats() {
    let Some(nats_server) = nats_server() else {
        return;
    };
    let more = format!("authorization {{ user: natter, password: {PASSWORD:?} }}");
    let setup = Setup {
        count: 1,
        jetstream: "sync_interval: always",
        more: &more,
    };
    let mut nats = Nats::with(&nats_server, setup).unwrap();
    secrets::watch();
    secrets::note(Kind::ClusterLogin, PASSWORD);
    let directory = Directory::new();
    let file = directory.path().join("login");
    std::fs::write(&file, format!("natter:{PASSWORD}\n")).unwrap();
    let port = nats.servers[0].port;
    let with_login = format!("nats://natter:{PASSWORD}@127.0.0.1:{port}");
    let (monitors, bare) = (nats.monitors(), nats.urls());
    let common = [
        "--nats-monitor",
        &monitors,
        "--cluster-shards",
        "1",
        "--log",
        "trace",
    ];
    for own in [
        vec!["--cluster", with_login.as_str()],
        vec![
            "--cluster",
            &bare,
            "--cluster-credentials",
            file.to_str().unwrap(),
        ],
    ] {
        let server = Process::start(&[&own[..], &common].concat());
        // It logs in again.
        nats.servers[0].start();
        nats.wait();
        let mut member = server.join(&["t"]);
        member.say("t", "hello");
        eventually("the connection to be there again", || {
            let log = server.log();
            let logins = log.iter().filter(|line| line.contains("connected to NATS"));
            (logins.count() >= 2).then_some(())
        });
        drop(server);
        secrets::expect_no_leak();
    }
    expect_not_shown(&with_login, &common);
}

/// Programs that end say nothing of it either: one that NATS refuses, and one that shows its
/// configuration.
fn expect_not_shown(with_login: &str, common: &[&str]) {
    let wrong = with_login.replace("natter:", "stranger:");
    let refused = finish(program().args(["0", "--cluster", &wrong]).args(common));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let checked = finish(
        program()
            .args(["check-config", "0", "--cluster", with_login])
            .args(common),
    );
    for output in [refused, checked] {
        let shown = [output.stdout, output.stderr].concat();
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains("127.0.0.1"), "{shown}");
        shown
            .lines()
            .for_each(|line| secrets::see("what a program shows", line));
    }
    secrets::expect_no_leak();
}
