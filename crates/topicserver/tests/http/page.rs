//! The page, in a real browser, as a person uses it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::browser::{Browser, Driver, ENTER, ESCAPE};
use crate::common::{Client, Process, TestServer, eventually, program};
use crate::requests::Http;

pub const TOPIC: &str = "lame-conversation";

/// Opens the page at a topic, and gives a name.
pub fn join(browser: &Browser, addr: SocketAddr, name: &str) {
    browser.open(&format!("http://{addr}/{TOPIC}"));
    browser.wait("document.querySelector('#join').open");
    browser.write("#name", &format!("{name}{ENTER}"));
    connected(browser);
}

pub fn connected(browser: &Browser) {
    browser.wait("document.querySelector('#status').dataset.state === 'on'");
}

pub fn say(browser: &Browser, text: &str) {
    browser.write("#say", &format!("{text}{ENTER}"));
}

/// What is shown as said, in its order: who and what.
pub fn said(browser: &Browser) -> Vec<(String, String)> {
    let script = "return Array.from(document.querySelectorAll('.log > .msg'), (item) =>
        [item.querySelector('.who').innerText, item.querySelector('.text').innerText])";
    serde_json::from_value(browser.run(script)).unwrap()
}

#[track_caller]
pub fn expect_said(browser: &Browser, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(who, what)| ((*who).to_owned(), (*what).to_owned()))
        .collect();
    let start = std::time::Instant::now();
    while said(browser) != expected {
        let limit = crate::common::LIMIT;
        assert!(
            start.elapsed() < limit,
            "{:?} is not {expected:?}",
            said(browser)
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    browser.wait("!document.querySelector('.pending')");
}

/// The program on a port that another one had. It is killed when this is dropped.
struct Restarted(Child);

impl Restarted {
    fn at(addr: SocketAddr, options: &[&str]) -> Self {
        let mut command = program();
        command.arg(addr.port().to_string()).args(options);
        let again = Self(command.stderr(Stdio::null()).spawn().unwrap());
        let connect = || std::net::TcpStream::connect(addr).ok();
        eventually("the server to be there again", connect);
        again
    }
}

impl Drop for Restarted {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that says what it is told to, and prints what it hears.
struct Speaker(Child);

impl Speaker {
    /// `chat`, if it has been built beside the server; else it is left out, and that is
    /// said.
    fn chat(addr: SocketAddr) -> Option<Self> {
        let chat = std::path::Path::new(env!("CARGO_BIN_EXE_topicserver")).with_file_name("chat");
        let help = Command::new(&chat).arg("--help").output();
        let knows_names = |help: Output| String::from_utf8_lossy(&help.stdout).contains("--name");
        if !help.is_ok_and(knows_names) {
            println!("without chat: {} isn't built, or old", chat.display());
            return None;
        }
        let child = Command::new(chat)
            .args(["-topic", &addr.to_string(), TOPIC, "--name", "chat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Some(Self(child.unwrap()))
    }

    /// The twenty lines of Python in docs/protocol.md.
    fn python(addr: SocketAddr) -> Self {
        let page = include_str!("../../../../docs/protocol.md");
        let code = page.split("```python\n").nth(1).unwrap();
        let code = code.split("```").next().unwrap();
        let child = Command::new("python3")
            .args(["-u", "-c", code])
            .args([&addr.ip().to_string(), &addr.port().to_string(), TOPIC])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    fn say(&mut self, text: &str) {
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    /// All that it printed, when it has sent everything.
    fn end(mut self) -> Vec<String> {
        drop(self.0.stdin.take());
        let printed = BufReader::new(self.0.stdout.take().unwrap());
        let lines = printed.lines().map(Result::unwrap).collect();
        self.0.wait().unwrap();
        lines
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is one story, told in its order")]
fn people_and_programs_of_every_kind_see_each_other() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let mut python = Speaker::python(server.addr());
    python.say("python here");
    let (mut program, _) = server.extended(&[TOPIC], json!({"user": "program"}));
    let is_there = || {
        let seq = Http::to(&server).get("/-/topics", &[]).json()["topics"][0]["seq"].clone();
        (seq == 1).then_some(())
    };
    eventually("Python's first message", is_there);
    let chat = Speaker::chat(server.addr());
    let has_chat = || {
        let who = Http::to(&server).get(&format!("/-/topics/{TOPIC}/who"), &[]);
        (chat.is_none() || who.text().contains("\"chat\"")).then_some(())
    };
    eventually("chat", has_chat);
    let alice = driver.browser(1000, 700);
    join(&alice, server.addr(), "alice");
    let bob = driver.browser(1000, 700);
    join(&bob, server.addr(), "bob");
    say(
        &alice,
        "hello \u{1f388}, this is @bob's page: http://127.0.0.1/x.",
    );
    bob.wait("document.querySelector('.call')");
    say(&bob, "hi alice");
    alice.wait("document.body.innerText.includes('hi alice')");
    program.say(TOPIC, "and I am a program");
    alice.wait("document.body.innerText.includes('a program')");
    let expected = [
        ("somebody", "python here"),
        (
            "alice",
            "hello \u{1f388}, this is @bob's page: http://127.0.0.1/x.",
        ),
        ("bob", "hi alice"),
        ("program", "and I am a program"),
    ];
    expect_said(&alice, &expected);
    expect_said(&bob, &expected);
    assert_eq!(
        alice.run("return document.querySelector('.text a').href"),
        "http://127.0.0.1/x"
    );
    let people = "document.querySelector('#people').innerText.replace(/\\n+/g, '|')";
    let and_chat = if chat.is_some() { "|chat" } else { "" };
    bob.wait(&format!(
        "{people} === 'alice|bob (you){and_chat}|program|and one without a name'"
    ));
    let texts = [
        "hello \u{1f388}, this is @bob's page: http://127.0.0.1/x.",
        "hi alice",
        "and I am a program",
    ];
    let heard = texts.map(|text| format!("{TOPIC}:{text}"));
    if let Some(mut chat) = chat {
        chat.say("and chat");
        alice.wait("document.body.innerText.includes('and chat')");
        assert_eq!(chat.end(), heard);
    }
    assert_eq!(python.end()[..3], heard);
    drop(bob);
    alice.wait("!document.querySelector('#people').innerText.includes('bob')");
    assert_eq!(alice.complaints(), [""; 0]);
}

#[test]
fn a_reload_keeps_the_place() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    say(&browser, "one");
    browser.write("#add-name", &format!("a/b <i>{ENTER}"));
    browser.wait("document.title.startsWith('a/b <i>')");
    say(&browser, "elsewhere");
    expect_said(&browser, &[("alice", "one"), ("alice", "elsewhere")]);
    browser.write("#say", "half a thou");
    browser.reload();
    connected(&browser);
    browser.wait("document.title.startsWith('a/b <i>')");
    assert_eq!(
        browser.run("return document.querySelector('#say').value"),
        "half a thou"
    );
    // Of the other topic nothing is loaded before it is looked at.
    expect_said(&browser, &[("alice", "elsewhere")]);
    // What is said in another topic is counted.
    assert_eq!(
        Http::to(&server)
            .post(&format!("/{TOPIC}"), &[], b"news")
            .status,
        200
    );
    browser.wait("document.querySelector('#topics .badge')?.innerText.startsWith('1')");
    browser.wait("document.title.startsWith('(1)')");
    // The keyboard alone goes there.
    browser.press(&["\u{e00a}", "\u{e015}"]);
    browser.wait("document.title === 'lame-conversation \u{b7} natter'");
    browser.wait("document.querySelectorAll('.msg').length === 3");
    let path = browser.run("return location.pathname");
    assert_eq!(path, "/lame-conversation");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_server_that_is_killed_and_comes_back_has_lost_nothing() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let data = std::env::temp_dir().join(format!("natter-page-data-{}", std::process::id()));
    let options = ["--data", data.to_str().unwrap()];
    let mut server = Process::start(&options);
    let addr = server.v4();
    let browser = driver.browser(1000, 700);
    join(&browser, addr, "alice");
    say(&browser, "before");
    let mut program = Client::connect(addr);
    program.register_extended(&[TOPIC], json!({"user": "program"}));
    program.say_with_id(TOPIC, "stored", "1");
    program.expect_ack(TOPIC, "1");
    expect_said(&browser, &[("alice", "before"), ("program", "stored")]);
    server.signal("KILL");
    server.wait();
    browser.wait("document.querySelector('#status').innerText.includes('lost')");
    say(&browser, "into the void");
    browser.wait("document.querySelector('.pending')");
    let again = Restarted::at(addr, &options);
    // Somebody is faster than the page.
    assert_eq!(
        Http::at(addr)
            .post(&format!("/{TOPIC}?user=cron"), &[], b"after")
            .status,
        200
    );
    connected(&browser);
    browser.wait("!document.querySelector('.pending')");
    // If the page was faster after all, the last one comes after the answer to its own.
    let mut texts = eventually("all four", || {
        let texts = said(&browser);
        (texts.len() >= 4).then_some(texts)
    });
    texts.sort();
    let mut expected = [
        ("alice", "before"),
        ("program", "stored"),
        ("cron", "after"),
        ("alice", "into the void"),
    ]
    .map(|(who, what)| (who.to_owned(), what.to_owned()));
    expected.sort();
    assert_eq!(texts, expected);
    browser.wait("document.querySelector('.note:last-of-type, .note') && document.body.innerText.includes('Back again')");
    // What the server has is the same, in the same order.
    let shown = said(&browser);
    let lines = Http::at(addr).get(&format!("/{TOPIC}?poll=1"), &[]);
    let kept: Vec<_> = lines
        .text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|frame| frame["message"]["text"].as_str().map(str::to_owned))
        .collect();
    let shown: Vec<_> = shown.into_iter().map(|(_, text)| text).collect();
    assert_eq!(shown, kept);
    drop(again);
    std::fs::remove_dir_all(data).unwrap();
}

#[test]
fn a_script_in_a_message_or_a_name_does_nothing() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let texts = [
        "<script>window.pwned = 1</script>",
        "<img src=x onerror=\"window.pwned = 1\">",
        "\"><svg onload=window.pwned=1>",
        "javascript:window.pwned=1",
        "http://x/\"onmouseover=\"window.pwned=1",
        "\u{202e}gnp.exe",
    ];
    for text in texts {
        let body = json!({"text": text, "user": "<b onclick=window.pwned=1>x</b>"}).to_string();
        let json = "content-type: application/json";
        let answer = Http::to(&server).post(&format!("/{TOPIC}"), &[json], body.as_bytes());
        assert_eq!(answer.status, 200);
    }
    let name = json!({"user": "<img src=x onerror=window.pwned=1>"});
    let (_somebody, _) = server.extended(&[TOPIC], name);
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "<u>eve</u>");
    say(
        &browser,
        "<iframe src=\"javascript:window.parent.pwned=1\">",
    );
    browser.wait("document.querySelectorAll('.log > .msg').length === 7");
    browser.wait("document.querySelector('#people').innerText.includes('<img src')");
    let shown: Vec<_> = said(&browser).into_iter().map(|(_, text)| text).collect();
    // What turns the direction of writing is shown, as in the terminal.
    let texts = texts.map(|text| text.replace('\u{202e}', r"\u202e"));
    assert_eq!(shown[..6], texts);
    assert_eq!(browser.run("return window.pwned ?? null"), Value::Null);
    let forbidden = "return document.querySelectorAll('#logs script, #logs img, #logs svg, \
                     #logs iframe, #logs b, #people img, aside u').length";
    assert_eq!(browser.run(forbidden), 0);
    let addresses = "return Array.from(document.querySelectorAll('#logs a'), (a) => a.href)";
    assert_eq!(browser.run(addresses), json!(["http://x/"]));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn it_fits_a_phone_and_a_wide_screen() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let post = |user: &str, text: &str| {
        let path = format!("/{TOPIC}?user={user}");
        assert_eq!(
            Http::to(&server).post(&path, &[], text.as_bytes()).status,
            200
        );
    };
    post(
        "carol",
        "Has anybody seen http://example.org/a/very/long/address/that/goes/on/and/on/and/on?",
    );
    post("dave", &"averylongwordthatnobodycanbreak".repeat(5));
    for (name, width, height, scheme) in [("phone", 320, 640, "dark"), ("wide", 1280, 800, "light")]
    {
        let browser = driver.browser(width, height);
        browser.prefer(scheme);
        join(&browser, server.addr(), name);
        say(&browser, "This is such a lame message");
        browser.wait("!document.querySelector('.pending') && document.querySelector('.mine')");
        let overflow = "return document.documentElement.scrollWidth - innerWidth";
        assert_eq!(browser.run(overflow), 0, "{name}");
        browser.keep_picture(&format!("page-{name}"));
        if width < 500 {
            browser.click("#menu");
            browser.wait("document.querySelector('#add-name').offsetParent");
            browser.keep_picture(&format!("page-{name}-topics"));
            browser.click("#menu");
        }
        browser.click("#share");
        browser.wait("document.querySelector('#qr svg')");
        assert_eq!(browser.run(overflow), 0, "{name}");
        browser.keep_picture(&format!("page-{name}-share"));
        browser.press(&[ESCAPE]);
        browser.wait("!document.querySelector('#link').open");
    }
}
