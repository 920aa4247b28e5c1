//! What is counted is what has happened.

use serde_json::json;

use crate::common::{Process, eventually};
use crate::exposition::Metrics;
use crate::requests::{Http, Lines};

const ADMIN: [&str; 2] = ["--admin", "127.0.0.1:0"];

const BUILD: &str = concat!(
    "natter_build_info{version=\"",
    env!("CARGO_PKG_VERSION"),
    "\",commit=\"",
    env!("BUILD_COMMIT"),
    "\"}"
);

#[test]
#[expect(clippy::too_many_lines, reason = "it is one story, told in its order")]
fn the_metrics_are_what_has_happened() {
    let server = Process::start(&ADMIN);
    let mut classic = server.join(&["lab"]);
    let (mut reader, _) = server_extended(&server, &["lab", "den"]);
    let (mut publisher, _) = server_extended(&server, &["lab"]);
    for number in 0..5 {
        publisher.say_with_id("lab", "hello", &format!("id-{number}"));
        publisher.expect_ack("lab", &format!("id-{number}"));
        classic.expect("lab", "hello");
        reader.expect_delivered("lab", "hello", number + 1);
    }
    classic.send(b"[]");
    classic.expect_error("not-an-object");
    let mut http = Http::at(server.v4());
    assert_eq!(http.post("/den", &[], b"by HTTP").status, 200);
    reader.expect_delivered("den", "by HTTP", 1);
    let stream = Lines::at(server.v4(), "/lab", &[]);

    eventually("the counts", || {
        let metrics = Metrics::of(&server);
        let is = |name: &str, value: f64| metrics.get(name) == value;
        let all = [
            is("natter_messages_received_total", 6.0),
            // Five to the reader and the classic client, and one to the reader.
            is("natter_messages_delivered_total", 11.0),
            is("natter_acknowledgements_total", 6.0),
            is("natter_connections{protocol=\"tcp\",tls=\"0\"}", 3.0),
            is("natter_connections{protocol=\"http\",tls=\"0\"}", 1.0),
            is("natter_connections{protocol=\"stream\",tls=\"0\"}", 1.0),
            is("natter_errors_total{code=\"not-an-object\"}", 1.0),
            is("natter_errors_total{code=\"slow-reader\"}", 0.0),
            is("natter_topics", 2.0),
            is("natter_members", 5.0),
            is("natter_readers_behind", 0.0),
            is("natter_publish_seconds_count", 6.0),
            is("natter_draining", 0.0),
            is(BUILD, 1.0),
        ];
        all.iter().all(|is| *is).then_some(()).or_else(|| {
            eprintln!("{all:?}");
            None
        })
    });
    let metrics = Metrics::of(&server);
    assert!(metrics.get("natter_connections_accepted_total") >= 5.0);
    assert!(metrics.get("natter_received_bytes_total") > 500.0);
    assert!(metrics.get("natter_sent_bytes_total") > 500.0);
    assert!(metrics.get("natter_history_memory_bytes") > 100.0);
    if cfg!(target_os = "linux") {
        assert!(metrics.get("process_resident_memory_bytes") > 1e6);
        assert!(metrics.get("process_open_fds") > 5.0);
        assert!(metrics.get("process_start_time_seconds") > 1.7e9);
    }

    drop((classic, reader, publisher, http, stream));
    eventually("the levels to come down", || {
        let metrics = Metrics::of(&server);
        let mut levels = metrics.values.iter();
        let is_down = levels.all(|(name, value)| {
            !(name.starts_with("natter_connections{") || name == "natter_members") || *value == 0.0
        });
        is_down.then_some(())
    });
}

fn server_extended(
    server: &Process,
    topics: &[&str],
) -> (crate::common::Client, serde_json::Value) {
    let mut client = server.connect();
    let answer = client.register_extended(topics, json!({}));
    (client, answer)
}

#[test]
fn ten_thousand_topics_make_no_more_series() {
    let server = Process::start(&[&ADMIN[..], &["--max-topics", "10000"]].concat());
    let before = Metrics::of(&server).values.len();
    assert!(before < 200, "{before}");
    let mut client = server.connect();
    for group in 0..10 {
        let names: Vec<_> = (0..1_000)
            .map(|number| format!("topic {group} {number}"))
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        client.join(&names);
    }
    let after = Metrics::of(&server);
    assert_eq!(after.get("natter_topics"), 10_000.0);
    assert_eq!(after.values.len(), before);
}

#[test]
fn a_store_shows_its_size_and_its_flushes() {
    let directory = crate::common::Directory::new();
    let server = directory.serve(&ADMIN);
    let mut http = Http::at(server.v4());
    assert_eq!(http.post("/lab", &[], b"kept").status, 200);
    let metrics = Metrics::of(&server);
    assert!(metrics.get("natter_store_flush_seconds_count") >= 1.0);
    assert!(metrics.get("natter_store_flush_seconds_sum") > 0.0);
    assert!(metrics.values.contains_key("natter_store_bytes"));
    assert_eq!(metrics.get("natter_store_failures_total"), 0.0);
}

#[test]
fn slow_readers_and_gaps_are_counted() {
    let options = ["--max-outbox", "65536", "--history-messages", "10"];
    let server = Process::start(&[&ADMIN[..], &options].concat());
    let mut publisher = server.join(&["t"]);
    let mut classic = crate::common::Client::connect_narrow(server.v4());
    classic.join(&["t"]);
    let mut behind = crate::common::Client::connect_narrow(server.v4());
    behind.register_extended(&["t"], json!({}));
    let text = "x".repeat(10_000);
    let count = |name: &str| Metrics::of(&server).get(name);
    eventually("the slow reader to be closed", || {
        (0..100).for_each(|_| publisher.say("t", &text));
        (count("natter_slow_readers_closed_total") == 1.0).then_some(())
    });
    eventually("the other to fall behind", || {
        (0..100).for_each(|_| publisher.say("t", &text));
        (count("natter_readers_behind") == 1.0).then_some(())
    });
    while behind.frame()["extended"]["gap"].is_null() {}
    assert!(count("natter_gaps_total") >= 1.0);
}

#[test]
fn ids_are_counted_until_they_are_forgotten() {
    let server = Process::start(&[&ADMIN[..], &["--id-window", "1"]].concat());
    let (mut publisher, _) = server_extended(&server, &["lab"]);
    for number in 0..50 {
        publisher.say_with_id("lab", "hello", &format!("id-{number}"));
        publisher.expect_ack("lab", &format!("id-{number}"));
    }
    // Sent again: it is known.
    publisher.say_with_id("lab", "hello", "id-49");
    publisher.expect_ack("lab", "id-49");
    let ids = || Metrics::of(&server).get("natter_ids");
    assert!(ids() <= 50.0);
    eventually("the ids to be forgotten", || (ids() == 0.0).then_some(()));
}

#[test]
fn publishers_that_wait_are_counted() {
    // Every message fills the topic's mailbox, and nobody is closed for reading slowly.
    let options = ["--max-mailbox", "1", "--max-outbox", "256MiB"];
    let server = Process::start(&[&ADMIN[..], &options].concat());
    let waiting = || Metrics::of(&server).get("natter_publishers_waiting");
    assert_eq!(waiting(), 0.0);
    let mut publishers: Vec<_> = (0..8).map(|_| server.join(&["t"])).collect();
    let mut last = server.join(&["t"]);
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for publisher in &mut publishers {
            let mut writer = publisher.writer();
            let over = &over;
            scope.spawn(move || {
                let text = "x".repeat(1_000);
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    writer.say("t", &text);
                }
            });
            scope.spawn(move || while publisher.message().1 != "end" {});
        }
        eventually("a publisher that waits", || (waiting() > 0.0).then_some(()));
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        last.say("t", "end");
    });
    drop(publishers);
    eventually("nobody to wait", || (waiting() == 0.0).then_some(()));
}

/// Without accounts there are none; with them only for whoever may see them.
#[test]
fn the_port_of_clients_has_metrics_for_those_who_may_see_them() {
    let directory = crate::common::Directory::new();
    let accounts = directory.path().join("accounts.toml");
    let auth = ["--auth", accounts.to_str().unwrap()];
    let mut command = crate::common::program();
    command.args(["token", "add", "--id", "prometheus", "--allow", "metrics *"]);
    let made = crate::common::finish(command.args(auth));
    assert!(made.status.success(), "{made:?}");
    let token = String::from_utf8(made.stdout).unwrap();
    let token = token
        .split_whitespace()
        .find(|word| word.starts_with("ntr_"));
    let bearer = format!("authorization: Bearer {}", token.unwrap());
    let server = Process::start(&[&ADMIN[..], &auth].concat());
    let mut http = Http::at(server.v4());
    let answer = http.get("/-/metrics", &[&bearer]);
    assert_eq!(answer.status, 200);
    let metrics = Metrics::parse(answer.text());
    assert_eq!(
        metrics.values.keys().collect::<Vec<_>>(),
        Metrics::of(&server).values.keys().collect::<Vec<_>>()
    );
    http.get("/-/metrics", &[])
        .expect_problem(401, "unauthenticated");
    http.get("/t?poll=1", &[&bearer])
        .expect_problem(403, "forbidden");
}
