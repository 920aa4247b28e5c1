//! The page when its connection was lost: what it got, and what it says of the rest.

use serde_json::Value;
use topicserver::Config;

use crate::browser::{Driver, ENTER};
use crate::common::TestServer;
use crate::page::{TOPIC, connected, expect_said, join, said, say};
use crate::proxy::Proxy;
use crate::requests::Http;

/// The keys that go to another topic.
const ALT: &str = "\u{e00a}";
const DOWN: &str = "\u{e015}";

fn publish(server: &TestServer, texts: &[&str]) {
    let mut http = Http::to(server);
    for text in texts {
        let path = format!("/{TOPIC}?user=cron");
        assert_eq!(http.post(&path, &[], text.as_bytes()).status, 200);
    }
}

#[test]
fn what_was_missed_is_caught_up_and_what_is_gone_is_counted() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::with(Config {
        history_messages: 5,
        ..Config::default()
    });
    let network = Proxy::before(server.addr());
    let browser = driver.browser(1000, 700);
    join(&browser, network.addr(), "alice");
    publish(&server, &["1", "2"]);
    expect_said(&browser, &[("cron", "1"), ("cron", "2")]);

    network.cut();
    browser.wait("document.querySelector('#status').innerText.includes('lost')");
    publish(&server, &["3", "4"]);
    network.restore();
    browser.wait("document.body.innerText.includes('Back again, 2 messages caught up')");
    let four = [("cron", "1"), ("cron", "2"), ("cron", "3"), ("cron", "4")];
    expect_said(&browser, &four);

    network.cut();
    browser.wait("document.querySelector('#status').innerText.includes('lost')");
    publish(&server, &["5", "6", "7", "8", "9", "10", "11", "12"]);
    network.restore();
    browser.wait("document.body.innerText.includes('3 messages could not be recovered')");
    connected(&browser);
    browser.wait("document.body.innerText.includes('12')");
    let texts: Vec<_> = said(&browser).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["1", "2", "3", "4", "8", "9", "10", "11", "12"]);
}

#[test]
fn a_server_that_has_forgotten_everything_is_not_passed_over_in_silence() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let network = Proxy::before(server.addr());
    let browser = driver.browser(1000, 700);
    join(&browser, network.addr(), "alice");
    say(&browser, "before");
    expect_said(&browser, &[("alice", "before")]);
    network.cut();
    browser.wait("document.querySelector('#status').innerText.includes('lost')");
    drop(server);
    say(&browser, "meanwhile");
    let server = TestServer::start();
    publish(&server, &["after"]);
    network.lead_to(server.addr());
    network.restore();
    browser.wait("document.body.innerText.includes('history began anew')");
    let expected = [
        ("alice", "before"),
        ("cron", "after"),
        ("alice", "meanwhile"),
    ];
    expect_said(&browser, &expected);
}

#[test]
fn what_one_said_is_read_although_the_server_got_it_when_one_had_gone_on() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let network = Proxy::before(server.addr());
    let browser = driver.browser(1000, 700);
    join(&browser, network.addr(), "alice");
    browser.write("#add-name", &format!("zoo{ENTER}"));
    browser.wait("document.title.startsWith('zoo')");
    let goes_on = || browser.press(&[ALT, DOWN]);
    goes_on();
    browser.wait("document.title.startsWith('lame-conversation')");
    connected(&browser);
    network.cut();
    browser.wait("document.querySelector('#status').innerText.includes('lost')");
    say(&browser, "on its way");
    browser.wait("document.querySelector('.pending')");
    goes_on();
    browser.wait("document.title.startsWith('zoo')");
    network.restore();
    browser.wait("JSON.parse(localStorage['natter.read.lame-conversation']).seq === 1");
    browser.reload();
    connected(&browser);
    browser.wait("document.title.startsWith('zoo')");
    assert_eq!(
        browser.run("return document.querySelector('#topics .badge')"),
        Value::Null
    );
}
