//! A running server reads everything again that can change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Client, Directory, LIMIT, Process, eventually, finish, program};
use crate::exposition::{Metrics, admin};
use crate::requests::{Http, Lines};

mod more;

/// A server with a configuration file that can change.
struct Configured {
    directory: Directory,
    server: Process,
    admin: SocketAddr,
}

impl Configured {
    fn start(file: &str, options: &[&str]) -> Self {
        let directory = Directory::new();
        let path = directory.path().join("natter.toml");
        std::fs::write(&path, file).unwrap();
        let own = ["--config", path.to_str().unwrap(), "--admin", "127.0.0.1:0"];
        let server = Process::start(&[&own, options].concat());
        let admin = admin(&server);
        Self {
            directory,
            server,
            admin,
        }
    }

    fn write(&self, file: &str) {
        std::fs::write(self.directory.path().join("natter.toml"), file).unwrap();
    }

    /// Reads another file; what the server answers.
    #[track_caller]
    fn reload(&self, file: &str) -> String {
        self.write(file);
        let answer = Http::at(self.admin).post("/-/reload", &[], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().to_owned()
    }

    /// The same of a file that can't be used.
    #[track_caller]
    fn refuse(&self, file: &str) -> String {
        self.write(file);
        let answer = Http::at(self.admin).post("/-/reload", &[], b"");
        assert_eq!(answer.status, 409, "{}", answer.text());
        answer.text().to_owned()
    }
}

#[test]
fn the_difference_is_answered_and_logged() {
    let configured = Configured::start("max-topics = 5\n", &["--max-depth", "9"]);
    assert_eq!(
        configured.reload("max-topics = 5\n"),
        "nothing has changed\n"
    );
    let answer = configured.reload("max-topics = 6\nmax-depth = 12\nkeep-age = \"7d\"\n");
    let lines: Vec<_> = answer.lines().collect();
    assert_eq!(lines.len(), 2, "the command line goes before: {answer}");
    assert!(lines[0].starts_with("max-topics: 5 → 6 (") && lines[0].ends_with("line 1)"));
    assert!(lines[1].starts_with("keep-age: \"30d\" → \"7d\" ("));
    configured.server.wait_for("reloaded: max-topics: 5 → 6 (");

    // The same as a command.
    configured.write("max-topics = 7\n");
    let output = finish(program().args(["reload", &configured.admin.to_string()]));
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("max-topics: 6 → 7 ("), "{text}");
    assert!(
        text.contains("keep-age: \"7d\" → \"30d\" (default)"),
        "{text}"
    );
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_takes_effect() {
    let configured = Configured::start("max-topics = 1\n", &[]);
    let file = "max-topics = 2\nthreads = 3\nid-window = 60\n";
    let answer = configured.reload(file);
    assert!(
        answer.contains("threads: not set → 3 (")
            && answer.contains("line 2), which needs a restart"),
        "{answer}"
    );
    assert!(answer.contains("id-window: "), "{answer}");
    configured
        .server
        .wait_for("not reloaded: threads: not set → 3 (");
    configured.server.join(&["a", "b"]);
    // Until there was one.
    let again = configured.reload(file);
    assert_eq!(again.lines().count(), 2, "{again}");
    assert!(
        again
            .lines()
            .all(|line| line.ends_with("which needs a restart"))
    );
}

#[test]
fn a_mistake_anywhere_changes_nothing_anywhere() {
    let policy = Directory::new();
    let accounts = policy.path().join("accounts.toml");
    std::fs::write(
        &accounts,
        "[everyone]\nallow = [\"read write who list *\"]\n",
    )
    .unwrap();
    let auth = ["--auth", accounts.to_str().unwrap()];
    let configured = Configured::start("max-topics = 1\n", &auth);
    let is_as_before = |said: &str| {
        let mut client = configured.server.connect();
        client.register(&["a", "b"]);
        client.expect_error("too-many-topics");
        assert!(said.starts_with("nothing has changed"), "{said}");
    };
    let said = configured.refuse("max-topics = 2\nmax-frames = 1\nlog = \"loud\"\n");
    is_as_before(&said);
    for part in [
        "2 mistakes",
        "line 2",
        "did you mean \"max-frame\"",
        "line 3",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    configured.server.wait_for("nothing was reloaded: ");

    std::fs::write(&accounts, "[everyone]\nallow = 7\n").unwrap();
    let said = configured.refuse("max-topics = 2\n");
    is_as_before(&said);
    assert!(
        said.contains("--auth: ") && said.contains("line 2"),
        "{said}"
    );
    // All of them at once.
    let said = configured.refuse("max-topics = true\n");
    assert!(
        said.contains("--auth: ") && said.contains("max-topics"),
        "{said}"
    );

    let output = finish(program().args(["reload", &configured.admin.to_string()]));
    assert_eq!(output.status.code(), Some(1));
    std::fs::remove_file(configured.directory.path().join("natter.toml")).unwrap();
    let answer = Http::at(configured.admin).post("/-/reload", &[], b"");
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("can't read the configuration file"));

    std::fs::write(
        &accounts,
        "[everyone]\nallow = [\"read write who list *\"]\n",
    )
    .unwrap();
    configured.reload("max-topics = 2\n");
    configured.server.join(&["a", "b"]);
}

#[test]
fn limits_of_connections_hold_for_new_ones_and_old_ones_keep_theirs() {
    let configured = Configured::start("", &[]);
    let server = &configured.server;
    let mut old = server.join(&["a", "b"]);
    configured.reload(
        "max-topics = 1\nmax-frame = \"200b\"\nmax-depth = 4\nregistration-timeout = 1\n\
         max-headers = \"1KiB\"\nmax-stream-topics = 1\n",
    );
    let mut new = server.connect();
    new.register(&["a", "b"]);
    new.expect_error("too-many-topics");
    new.send(format!("{{\"message\":\"{}\"}}", "x".repeat(300)).as_bytes());
    new.expect_error("too-long");
    let mut deep = server.connect();
    deep.send(b"[[[[[1]]]]]");
    deep.expect_error("too-deep");
    server.connect().expect_error("registration-timeout");
    let stream = Http::at(server.v4()).get("/-/stream?topic=a&topic=b", &[]);
    stream.expect_problem(400, "too-many-topics");
    let header = format!("x-long: {}", "x".repeat(2_000));
    assert_eq!(
        Http::at(server.v4()).get("/-/health", &[&header]).status,
        431
    );
    // It began with others.
    old.join(&["c"]);
    old.say("c", &"x".repeat(300));
    old.sync();
}

#[test]
fn how_many_connections_there_may_be_changes_at_once_and_ends_none() {
    let configured = Configured::start("", &[]);
    let server = &configured.server;
    let mut first = server.join(&["t"]);
    let mut second = server.join(&["t"]);
    configured.reload("max-connections = 2\n");
    server.connect().expect_error("too-many-connections");
    configured.reload("max-connections-per-address = 1\n");
    let why = server.connect().expect_error("too-many-connections");
    assert!(why.contains("your address"), "{why}");
    first.say("t", "still here");
    second.expect("t", "still here");
    configured.reload("");
    server.join(&["t"]);
}

#[test]
fn sites_names_and_proxies_are_let_in_and_shut_out_at_once() {
    let configured = Configured::start("", &[]);
    // One connection, as a browser keeps it.
    let mut http = Http::at(configured.server.v4());
    let site = ["origin: https://wiki.example"];
    assert_eq!(http.post("/t", &site, b"no").status, 403);
    let mut http = Http::at(configured.server.v4());
    configured.reload("allow-origin = [\"https://wiki.example\"]\n");
    assert_eq!(http.post("/t", &site, b"yes").status, 200);
    configured.reload("allow-host = [\"chat.example\"]\n");
    let mut named = Http::at(configured.server.v4());
    assert!(named.send(b"GET /-/topics HTTP/1.1\r\nhost: chat.example\r\n\r\n"));
    assert_eq!(named.answer().status, 200);
    assert_eq!(
        http.post("/t", &site, b"no").status,
        403,
        "it was open before"
    );
    configured.reload("trust-proxy = [\"127.0.0.1\"]\n");
    let mut forwarded = configured.server.connect();
    forwarded.send(b"PROXY TCP4 192.168.1.9 127.0.0.1 4000 20000\r\n");
    forwarded.join(&["t"]);
    configured.reload("");
    let mut forged = configured.server.connect();
    forged.send(b"PROXY TCP4 192.168.1.9 127.0.0.1 4000 20000\r\n");
    forged.expect_error("not-json");
}

#[test]
fn the_log_says_more_and_less() {
    let configured = Configured::start("log = \"info\"\n", &[]);
    configured.reload("log = \"debug\"\n");
    drop(configured.server.join(&["t"]));
    configured.server.wait_for("the connection ends");
    configured.reload("log = \"error\"\n");
    let before = configured.server.log().len();
    let mut client = configured.server.connect();
    client.send(b"nonsense");
    client.expect_error("not-json");
    configured.reload("log = \"info\"\n");
    configured.reload("log = \"info\"\nmax-topics = 5\n");
    configured.server.wait_for("reloaded: max-topics");
    let log = configured.server.log();
    let since = &log[before..];
    assert!(
        !since.iter().any(|line| line.contains("not-json")),
        "{since:#?}"
    );
}

/// Also of a topic that is there already, and to which nothing more comes.
#[test]
fn what_is_kept_changes_in_memory_and_on_disk() {
    let configured = Configured::start("", &[]);
    let mut publisher = configured.server.join(&["t"]);
    let kept = |server: &Process| {
        let mut client = server.connect();
        client.register_extended(&[], json!({}));
        client.ask(json!({"history": {"topic": "t"}}));
        client.expect_event("history")["first"].as_u64().unwrap()
    };
    (0..100).for_each(|number| publisher.say("t", &number.to_string()));
    publisher.sync();
    assert_eq!(kept(&configured.server), 1);
    configured.reload("history-messages = 10\n");
    eventually("less in memory", || {
        (kept(&configured.server) == 91).then_some(())
    });
    let before = Metrics::of(&configured.server).get("natter_history_memory_bytes");
    assert!(before > 0.0);
    configured.reload("history-memory = 0\n");
    eventually("nothing in memory", || {
        let bytes = Metrics::of(&configured.server).get("natter_history_memory_bytes");
        (bytes == 0.0).then_some(())
    });

    let data = Directory::new();
    let on_disk = ["--data", data.path().to_str().unwrap()];
    let configured = Configured::start("history-messages = 1\n", &on_disk);
    let mut publisher = configured.server.connect();
    publisher.register_extended(&["t"], json!({}));
    for number in 0..100 {
        publisher.say_with_id("t", "kept", &number.to_string());
        publisher.expect_ack("t", &number.to_string());
    }
    assert_eq!(kept(&configured.server), 1);
    configured.reload("history-messages = 1\nkeep-messages = 10\n");
    eventually("less on disk", || {
        (kept(&configured.server) > 80).then_some(())
    });
}

#[test]
fn queues_get_other_limits_at_once() {
    let configured = Configured::start("", &[]);
    let mut publisher = configured.server.join(&["t"]);
    let mut slow = Client::connect_narrow(configured.server.v4());
    slow.join(&["t"]);
    let text = "x".repeat(10_000);
    let closed = || Metrics::of(&configured.server).get("natter_slow_readers_closed_total");
    // What its socket takes, and some that waits.
    eventually("something to wait", || {
        (0..10).for_each(|_| publisher.say("t", &text));
        publisher.sync();
        let waiting = Metrics::of(&configured.server).get("natter_outbox_bytes");
        (waiting > 100_000.0).then_some(())
    });
    assert_eq!(closed(), 0.0);
    configured.reload("max-outbox = \"64KiB\"\n");
    publisher.say("t", &text);
    publisher.sync();
    eventually("the slow reader to be closed", || {
        (closed() == 1.0).then_some(())
    });
}

#[test]
fn the_time_for_the_end_is_that_of_the_last_reload() {
    let mut configured = Configured::start("drain-announce = 3600\n", &[]);
    let mut client = configured.server.join(&["t"]);
    configured.reload("drain-announce = 0\ndrain-spread = 1\n");
    let began = Instant::now();
    configured.server.signal("TERM");
    client.expect_error("shutting-down");
    assert!(began.elapsed() < LIMIT);
    assert_eq!(configured.server.wait().code(), Some(0));
}

/// With messages on their way all the time.
#[test]
#[expect(clippy::too_many_lines, reason = "it is one story, told in its order")]
fn reloading_again_and_again_loses_nothing() {
    // CI has an hour for everything; a release build is tried for longer.
    let time = Duration::from_secs(if cfg!(debug_assertions) { 2 } else { 10 });
    let files = [
        "max-outbox = \"2MiB\"\nhistory-messages = 2000\n",
        "max-queued = \"300MiB\"\nmax-mailbox = \"64KiB\"\nallow-host = [\"a.example\"]\n",
        "max-frame = \"32KiB\"\nmax-connections = 900\nkeep-messages = 5000\nmax-ids = 70000\n",
    ];
    let data = Directory::new();
    let on_disk = ["--data", data.path().to_str().unwrap()];
    let configured = Configured::start(files[0], &on_disk);
    let server = &configured.server;
    let mut classic = server.join(&["t"]);
    let (mut extended, _) = {
        let mut client = server.connect();
        let answer = client.register_extended(&["t"], json!({}));
        (client, answer)
    };
    let mut stream = Lines::at(server.v4(), "/t", &[]);
    let mut publisher = server.connect();
    publisher.register_extended(&["t"], json!({}));
    let over = Arc::new(AtomicBool::new(false));
    let publishing = {
        let over = over.clone();
        std::thread::spawn(move || {
            let mut count: u64 = 0;
            while !over.load(Ordering::Relaxed) {
                publisher.say_with_id("t", &count.to_string(), &count.to_string());
                publisher.expect_ack("t", &count.to_string());
                count += 1;
            }
            publisher.say_with_id("t", "end", "end");
            publisher.expect_ack("t", "end");
            count
        })
    };
    let until_end = |mut next: Box<dyn FnMut() -> String + Send>| {
        std::thread::spawn(move || {
            let mut count: u64 = 0;
            loop {
                match next() {
                    text if text == "end" => return count,
                    text => assert_eq!(text, count.to_string()),
                }
                count += 1;
            }
        })
    };
    let receivers = [
        until_end(Box::new(move || classic.message().1)),
        until_end(Box::new(move || extended.delivered().text)),
        until_end(Box::new(move || {
            let mut frames = std::iter::from_fn(|| Some(stream.frame()));
            let text =
                frames.find_map(|frame| frame["message"]["text"].as_str().map(str::to_owned));
            text.unwrap()
        })),
    ];
    let began = Instant::now();
    let mut reloads = 0;
    while began.elapsed() < time {
        configured.write(files[reloads % files.len()]);
        server.signal("HUP");
        reloads += 1;
    }
    // The last one, with an answer.
    configured.reload("max-topics = 77\n");
    over.store(true, Ordering::Relaxed);
    let published = publishing.join().unwrap();
    for receiver in receivers {
        assert_eq!(receiver.join().unwrap(), published);
    }
    println!("{reloads} reloads were asked for, and {published} messages published");
    assert!(reloads > 20 && published > 100, "{reloads}, {published}");
    let log = server.log();
    let done = log.iter().filter(|line| line.contains("reloaded: "));
    assert!(done.count() > 20);
    assert!(!log.iter().any(|line| line.contains("nothing was reloaded")));
}
