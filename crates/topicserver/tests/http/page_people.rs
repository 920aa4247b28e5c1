//! Names: tabs of one browser are one person, a name is kept until another is granted, and
//! text of all people is shown as it is meant.

use serde_json::json;

use crate::browser::{Driver, ENTER, ESCAPE};
use crate::common::TestServer;
use crate::page::{TOPIC, connected, expect_said, join, said, say};
use crate::requests::Http;

#[test]
fn tabs_of_one_browser_are_one_person() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    let address = format!("http://{}/{TOPIC}", server.addr());
    join(&browser, server.addr(), "anna");
    let first = browser.tab();
    let second = browser.open_tab();
    browser.open(&address);
    connected(&browser);
    assert_eq!(browser.text("#me"), "anna");
    say(&browser, "from the second tab");
    browser.use_tab(&first);
    expect_said(&browser, &[("anna", "from the second tab")]);
    say(&browser, "from the first tab");
    browser.use_tab(&second);
    let both = [
        ("anna", "from the second tab"),
        ("anna", "from the first tab"),
    ];
    expect_said(&browser, &both);
    browser.wait("document.querySelector('#count').innerText === '1 person'");
    // A name, and a topic, are those of all tabs.
    say(&browser, "/nick berta");
    browser.write("#add-name", &format!("more{ENTER}"));
    browser.use_tab(&first);
    browser.wait("document.querySelector('#me').innerText === 'berta'");
    browser.wait("document.querySelectorAll('#topics li').length === 2");
    // The connection is not the closed tab's.
    browser.close_tab();
    browser.use_tab(&second);
    // In one step: the list is drawn anew while the other tab's end is noticed.
    browser.wait("(document.querySelector('.topic').click(), true)");
    say(&browser, "still here");
    browser.wait(
        "document.body.innerText.includes('still here') && !document.querySelector('.pending')",
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn where_workers_cant_be_shared_the_newest_tab_goes_on() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    browser.without("SharedWorker");
    join(&browser, server.addr(), "anna");
    let first = browser.tab();
    browser.open_tab();
    browser.without("SharedWorker");
    browser.open(&format!("http://{}/{TOPIC}", server.addr()));
    connected(&browser);
    say(&browser, "here now");
    expect_said(&browser, &[("anna", "here now")]);
    browser.use_tab(&first);
    browser.wait("document.querySelector('#status').innerText.includes('another window')");
    browser.click("#again");
    connected(&browser);
    browser.wait("document.body.innerText.includes('here now')");
    say(&browser, "back");
    browser.wait("!document.querySelector('.pending')");
    let texts: Vec<_> = said(&browser).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["here now", "back"]);
}

/// A worker that begins when the page doesn't wait for it any longer, and counts what it answers.
const LATE_WORKER: &str = "const Worker = SharedWorker;
    window.answers = 0;
    window.SharedWorker = function Late(...how) {
      const { port1, port2 } = new MessageChannel();
      this.port = port1;
      const begin = () => {
        if (document.querySelector('#status').dataset.state !== 'on') return setTimeout(begin, 50);
        const { port } = new Worker(...how);
        port.onmessage = () => { window.answers += 1; };
        port2.onmessage = ({ data }) => port.postMessage(data);
      };
      begin();
    };";

#[test]
fn a_worker_that_begins_late_takes_nothing_from_its_page() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    browser.run_first(LATE_WORKER);
    join(&browser, server.addr(), "anna");
    browser.wait("window.answers > 0");
    // Each of these takes longer than the worker needs for a connection.
    for text in ["1", "2", "3", "4", "5"] {
        say(&browser, text);
        browser.wait("!document.querySelector('.pending')");
    }
    let state = "return document.querySelector('#status').dataset.state";
    assert_eq!(browser.run(state), "on");
    assert_eq!(said(&browser).len(), 5);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_name_is_kept_until_another_one_is_granted() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let (mut bob, _) = server.extended(&[TOPIC], json!({"user": "bob"}));
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    browser.click("#rename");
    browser.run("document.querySelector('#name').value = ''");
    browser.write("#name", &format!("bob{ENTER}"));
    browser.wait("document.querySelector('#join-why').innerText.includes('somebody else')");
    assert_eq!(browser.text("#me"), "alice");
    browser.press(&[ESCAPE]);
    browser.wait("!document.querySelector('#join').open");
    bob.say(TOPIC, "I am bob");
    browser.wait("document.querySelector('.msg:not(.mine)')?.innerText.includes('I am bob')");
    say(&browser, "and I am alice");
    expect_said(
        &browser,
        &[("bob", "I am bob"), ("alice", "and I am alice")],
    );
    browser.click("#rename");
    browser.run("document.querySelector('#name').value = ''");
    browser.write("#name", &format!("carol{ENTER}"));
    browser.wait("document.querySelector('#me').innerText === 'carol'");
    browser.wait("!document.querySelector('#join').open");
    browser.wait(
        "document.querySelector('#people').innerText.replace(/\\n+/g, '|') === 'bob|carol (you)'",
    );
}

#[test]
fn the_first_question_can_be_cancelled_and_a_taken_name_too() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let (mut bob, _) = server.extended(&[TOPIC], json!({"user": "bob"}));
    let browser = driver.browser(1000, 700);
    browser.open(&format!("http://{}/{TOPIC}", server.addr()));
    browser.wait("document.querySelector('#join').open");
    browser.press(&[ESCAPE]);
    connected(&browser);
    bob.say(TOPIC, "for readers");
    browser.wait("document.body.innerText.includes('for readers')");
    // Who wants to write is asked again; the text stays.
    say(&browser, "me too");
    browser.wait("document.querySelector('#join').open");
    browser.write("#name", &format!("bob{ENTER}"));
    browser.wait("document.querySelector('#join-why').innerText.includes('somebody else')");
    browser.click("#join-cancel");
    assert_eq!(
        browser.run("return document.querySelector('#say').value"),
        "me too"
    );
    // A name that somebody has taken meanwhile.
    browser.run("localStorage.setItem('natter.name', '\"bob\"')");
    // The connection is the browser's: it ends with its last tab.
    browser.open("about:blank");
    browser.open(&format!("http://{}/{TOPIC}", server.addr()));
    browser.wait("document.querySelector('#join').open");
    browser.press(&[ESCAPE]);
    browser.wait("document.querySelector('#me').innerText.includes('without a name')");
    bob.say(TOPIC, "still for readers");
    browser.wait("document.body.innerText.includes('still for readers')");
    assert_eq!(
        browser.run("return document.querySelectorAll('.mine').length"),
        0
    );
}

#[test]
fn text_and_names_of_all_people_are_shown_as_they_are_meant() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(500, 700);
    join(&browser, server.addr(), "anna");
    let post = |user: &str, text: &str| {
        let body = json!({"text": text, "user": user}).to_string();
        let kind = "content-type: application/json";
        let answer = Http::to(&server).post(&format!("/{TOPIC}"), &[kind], body.as_bytes());
        assert_eq!(answer.status, 200);
    };
    // A Cyrillic letter, and one that can't be seen.
    post("\u{430}nna", "one");
    post("an\u{200d}na", "two");
    post("فاطمة", "صباح الخير abc");
    post("x", &format!("{} end", "w".repeat(300)));
    browser.wait("document.querySelectorAll('.msg').length === 4");
    assert_eq!(
        browser.run("return document.querySelectorAll('.warn').length"),
        1
    );
    let names: Vec<_> = said(&browser).into_iter().map(|(who, _)| who).collect();
    assert_eq!(names, ["\u{430}nna(!)", r"an\u200dna", "فاطمة", "x"]);
    let direction = "return getComputedStyle(document.querySelectorAll('.text')[2]).direction";
    assert_eq!(browser.run(direction), "rtl");
    let overflow = "return document.documentElement.scrollWidth - innerWidth";
    assert_eq!(browser.run(overflow), 0);
    for (text, is_call) in [
        ("Anna, look", true),
        ("thanks @anna!", true),
        ("ANNA?", true),
        ("annabel is here", false),
        ("joanna is here", false),
        ("anna_2", false),
        ("(anna)", true),
    ] {
        post("bob", text);
        browser.wait(&format!(
            "[...document.querySelectorAll('.text')].at(-1).innerText === {text:?}"
        ));
        let called = browser
            .run("return [...document.querySelectorAll('.msg')].at(-1).classList.contains('call')");
        assert_eq!(called, is_call, "{text}");
    }
}

/// The table of `docs/mentions.md`, which the terminal's test reads too.
fn documented_mentions() -> Vec<(String, String, bool)> {
    let page = include_str!("../../../../docs/mentions.md");
    let mut cases = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let columns: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let quoted = |text: &'static str| text.split('`').skip(1).step_by(2);
        let name = quoted(columns[0]).next().unwrap();
        let is_mention = columns[2].trim() == "yes";
        cases.extend(quoted(columns[1]).map(|text| (name.into(), text.into(), is_mention)));
    }
    cases
}

#[test]
fn a_name_is_mentioned_as_the_document_says() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    let cases = documented_mentions();
    assert!(cases.len() > 30, "{cases:?}");
    let answers = browser.run_async(&format!(
        "const done = arguments[0];
         import('/-/page/people.js').then(({{ mentions }}) => done(
           {}.map(([name, text]) => mentions(text, name))));",
        json!(cases)
    ));
    for ((name, text, is_mention), answer) in cases.iter().zip(answers.as_array().unwrap()) {
        assert_eq!(answer, is_mention, "{name}: {text}");
    }
}
