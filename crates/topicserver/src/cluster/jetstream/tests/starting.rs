//! What must be true of NATS for a server to start.

use std::path::PathBuf;
use std::process::Command;

use super::nats::{Setup, program};
use super::*;

pub(super) async fn refused(config: &ClusterConfig) -> EngineError {
    match JetStream::open(config, KEEP_AGE).await {
        Ok(_) => panic!("it starts"),
        Err(error) => error,
    }
}

fn setup<'a>(jetstream: &'a str, more: &'a str) -> Setup<'a> {
    Setup {
        count: 1,
        jetstream,
        more,
    }
}

fn url(text: &str) -> ClusterConfig {
    ClusterConfig::new(vec![text.parse().unwrap()])
}

#[tokio::test]
async fn flushing_is_promised_with_proof_only() {
    let Some(program) = program() else { return };
    let nats = Nats::with(&program, setup("sync_interval: 2m", "")).unwrap();
    let mut config = config(&nats);
    let error = refused(&config).await;
    assert!(matches!(error, EngineError::NotFlushed { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("sync_interval: always"), "{text}");
    assert!(text.contains("--cluster-durability replicated"), "{text}");
    config.monitors.clear();
    assert_eq!(refused(&config).await, EngineError::NoMonitor);
    config.durability = ClusterDurability::Replicated;
    JetStream::open(&config, KEEP_AGE).await.unwrap();
}

#[tokio::test]
async fn every_nats_server_must_be_named() {
    let Some(nats) = Nats::start(3) else {
        return;
    };
    let mut config = config(&nats);
    JetStream::open(&config, KEEP_AGE).await.unwrap();
    let first = config.monitors[0].clone();
    config.monitors.truncate(2);
    assert_eq!(
        refused(&config).await,
        EngineError::FewMonitors { seen: 2, all: 3 }
    );
    // The same one again isn't another one.
    config.monitors.push(first);
    assert_eq!(
        refused(&config).await,
        EngineError::FewMonitors { seen: 2, all: 3 }
    );
}

/// One may be down: it is asked when it is there.
#[tokio::test]
async fn most_nats_servers_must_prove_it_and_the_others_later() {
    let Some(mut nats) = Nats::start(3) else {
        return;
    };
    let config = config(&nats);
    JetStream::open(&config, KEEP_AGE).await.unwrap();
    nats.servers[2].kill();
    let (monitors, unproven) = (config.monitors.clone(), config.monitors[2..].into());
    let watched = Watched { monitors, unproven };
    assert_eq!(flushing::check(&config).await, Ok(watched));
    JetStream::open(&config, KEEP_AGE).await.unwrap();
    nats.servers[1].kill();
    let text = refused(&config).await.to_string();
    for monitor in &config.monitors[1..] {
        assert!(
            text.contains(&format!("http://{}: ", monitor.authority())),
            "{text}"
        );
    }
}

/// Any of them may be started anew with another configuration, also one that has proven it.
#[tokio::test]
async fn a_nats_server_that_flushes_no_more_is_told_of_and_when_it_does_again() {
    let Some(mut nats) = Nats::start(3) else {
        return;
    };
    let config = config(&nats);
    let watched = flushing::check(&config).await.unwrap();
    assert_eq!(watched.unproven, []);
    let monitor = config.monitors[2].authority().to_owned();
    let (told, mut heard) = tokio::sync::mpsc::channel(100);
    let tell = move |monitor: &MonitorUrl, wrong: Option<&EngineError>| {
        drop(told.try_send((monitor.authority().to_owned(), wrong.cloned())));
    };
    let pause = Duration::from_millis(50);
    let watching = tokio::spawn(flushing::watch(watched, pause, tell));
    let mut next = async || tokio::time::timeout(LIMIT, heard.recv()).await.unwrap();

    nats.servers[2].kill();
    nats.servers[2].reconfigure("sync_interval: always", "sync_interval: 2m");
    nats.servers[2].start();
    let wrong = EngineError::NotFlushed {
        monitor: monitor.clone(),
    };
    let wrong = Some((monitor.clone(), Some(wrong)));
    assert_eq!(next().await, wrong);
    // Each time, until it is mended.
    assert_eq!(next().await, wrong);
    nats.servers[2].reconfigure("sync_interval: 2m", "sync_interval: always");
    nats.servers[2].start();
    let mut told = next().await;
    while told == wrong {
        told = next().await;
    }
    assert_eq!(told, Some((monitor, None)));
    watching.abort();
}

#[tokio::test]
async fn more_replicas_than_nats_servers_are_refused() {
    let Some(nats) = Nats::start(3) else {
        return;
    };
    let mut config = config(&nats);
    config.replicas = Some(5);
    let error = refused(&config).await;
    assert!(matches!(error, EngineError::FewServers(_)), "{error}");
    assert!(error.to_string().contains("--cluster-replicas"), "{error}");
}

#[tokio::test]
async fn a_nats_server_that_forks_topics_is_refused() {
    let Some(old) = debian() else { return };
    let nats = Nats::with(&old, setup("max_mem: 1000000", "")).unwrap();
    let mut config = config(&nats);
    config.durability = ClusterDurability::Replicated;
    let error = refused(&config).await;
    assert!(matches!(error, EngineError::Version { .. }), "{error}");
    assert!(error.to_string().contains("2.12.7"), "{error}");
}

/// Debian's nats-server, which is too old; installed nowhere.
fn debian() -> Option<PathBuf> {
    let skipped = || println!("skipped: apt-get can't download Debian's nats-server");
    let folder = std::env::temp_dir().join(format!("natter-debian-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = "apt-get download -qq nats-server && dpkg-deb -x nats-server_*.deb .";
    let mut shell = Command::new("sh");
    let is_done = shell.args(["-c", script]).current_dir(&folder).output();
    let program = folder.join("usr/sbin/nats-server");
    let other = folder.join("usr/bin/nats-server");
    let program = if program.exists() { program } else { other };
    match is_done.is_ok_and(|output| output.status.success()) {
        true if nats::version(&program).is_some_and(|version| version < (2, 11)) => Some(program),
        _ => {
            skipped();
            None
        }
    }
}

#[tokio::test]
async fn short_messages_and_missing_jetstream_are_refused() {
    let Some(program) = program() else { return };
    let nats = Nats::with(
        &program,
        setup("sync_interval: always", "max_payload: 100KB"),
    )
    .unwrap();
    let error = refused(&config(&nats)).await;
    assert_eq!(error, EngineError::Payload { bytes: 100 * 1024 });
    let nats = Nats::with(&program, setup("enabled: false", "")).unwrap();
    let error = refused(&config(&nats)).await;
    assert_eq!(error, EngineError::NoJetStream);
}

#[tokio::test]
async fn a_login_is_needed_where_nats_wants_one() {
    let Some(program) = program() else { return };
    let more = "authorization { user: natter, password: \"correct horse\" }";
    let nats = Nats::with(&program, setup("sync_interval: always", more)).unwrap();
    let mut config = config(&nats);
    assert!(matches!(refused(&config).await, EngineError::Login { .. }));
    let file = std::env::temp_dir().join(format!("natter-login-{}", std::process::id()));
    std::fs::write(&file, "natter:correct horse\n").unwrap();
    config.credentials = Some(file.clone());
    JetStream::open(&config, KEEP_AGE).await.unwrap();
    std::fs::write(&file, "natter:wrong horse\n").unwrap();
    assert!(matches!(refused(&config).await, EngineError::Login { .. }));
    for wrong in ["", "a\nb\n"] {
        std::fs::write(&file, wrong).unwrap();
        assert!(matches!(
            refused(&config).await,
            EngineError::Credentials { .. }
        ));
    }
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(
        refused(&config).await,
        EngineError::Credentials { .. }
    ));
    config.credentials = None;
    let port = nats.servers[0].port;
    let with_login = format!("nats://natter:correct%20horse@127.0.0.1:{port}");
    config.servers = vec![with_login.parse().unwrap()];
    JetStream::open(&config, KEEP_AGE).await.unwrap();
}

#[tokio::test]
async fn nobody_at_the_address_is_said_after_a_while() {
    let error = refused(&url("nats://127.0.0.1:1")).await;
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("nats://127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn servers_of_a_cluster_share_a_secret_and_the_shards() {
    let Some(nats) = Nats::start(1) else { return };
    let config = config(&nats);
    let opened = (0..4).map(|_| JetStream::open(&config, KEEP_AGE));
    let opened = futures_util::future::try_join_all(opened).await.unwrap();
    let secrets: Vec<_> = opened.iter().map(|(_, secret)| *secret).collect();
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    assert_ne!(secrets[0], [0; 16]);
    let mut other = config.clone();
    other.shards = 3;
    assert_eq!(
        refused(&other).await,
        EngineError::Shards { shards: 2, mine: 3 }
    );
    // Another cluster on the same NATS servers.
    other.name = "other".to_owned();
    let (log, secret) = JetStream::open(&other, KEEP_AGE).await.unwrap();
    assert_ne!(secret, secrets[0]);
    append_all(&opened[0].0, &topic("t"), &["x"]).await;
    assert_eq!(log.head(&topic("t")).await.unwrap(), None);
    assert_eq!(log.topics(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn another_age_changes_the_streams() {
    let Some(nats) = Nats::start(1) else { return };
    let config = config(&nats);
    let day = Duration::from_secs(24 * 60 * 60);
    for age in [KEEP_AGE, 2 * day, Duration::from_secs(5), 1000 * 365 * day] {
        let (log, _) = JetStream::open(&config, age).await.unwrap();
        assert!(log.head(&topic("t")).await.is_ok());
    }
    let (log, _) = JetStream::open(&config, KEEP_AGE).await.unwrap();
    let t = topic("t");
    append_all(&log, &t, &["x"]).await;
    // While it runs.
    log.keep(Duration::from_secs(1)).await.unwrap();
    let end = tokio::time::Instant::now() + LIMIT;
    while log.head(&t).await.unwrap().is_some() {
        assert!(tokio::time::Instant::now() < end, "it is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
