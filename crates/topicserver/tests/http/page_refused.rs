//! What the page, or the server, refuses: it never blocks what comes after, never loops, and
//! survives no reload.

use serde_json::{Value, json};
use topicserver::Config;

use crate::browser::{Browser, Driver, ENTER};
use crate::common::TestServer;
use crate::page::{TOPIC, connected, expect_said, join, said, say};

/// Puts a text into the box without pressing each key.
fn paste(browser: &Browser, text: &str) {
    let text = serde_json::to_string(text).unwrap();
    browser.run(&format!(
        "const box = document.querySelector('#say');
         box.value = {text};
         box.dispatchEvent(new Event('input'));"
    ));
    browser.write("#say", ENTER);
}

fn stored(browser: &Browser, key: &str) -> Value {
    browser.run(&format!("return localStorage.getItem('natter.{key}')"))
}

#[test]
fn a_message_that_is_too_long_is_refused_with_its_text_and_blocks_nothing() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    // 66,000 bytes in 33,000 characters.
    paste(&browser, &"ä".repeat(33_000));
    browser.wait("document.querySelector('.failed .state')?.innerText.includes('too long')");
    assert_eq!(stored(&browser, "pending"), Value::Null);
    // However long the text is, one sees why, and what can be done.
    browser.wait(
        "(({ top, bottom }) => top > 0 && bottom < innerHeight)(document.querySelector('.failed .state').getBoundingClientRect())",
    );
    say(&browser, "after");
    browser.wait("document.querySelectorAll('.msg.mine:not(.pending):not(.failed)').length === 1");
    // It is there to be edited.
    browser.run(
        "[...document.querySelectorAll('.failed button')]
            .find((button) => button.innerText === 'Edit').click()",
    );
    browser.wait("!document.querySelector('.failed')");
    assert_eq!(
        browser.run("return document.querySelector('#say').value.length"),
        33_000
    );
    browser.run("document.querySelector('#say').value = ''");
    browser.run("document.querySelector('#say').dispatchEvent(new Event('input'))");
    browser.reload();
    connected(&browser);
    expect_said(&browser, &[("alice", "after")]);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn what_only_the_server_refuses_is_refused_alone() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::with(Config {
        frame_limits: wire::Limits {
            max_frame: 2_000,
            ..wire::Limits::default()
        },
        ..Config::default()
    });
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    say(&browser, "before");
    paste(&browser, &"x".repeat(3_000));
    browser.wait("document.querySelector('.failed .state')?.innerText.includes('2000 bytes')");
    connected(&browser);
    say(&browser, "after");
    browser.wait("document.querySelectorAll('.msg.mine:not(.pending):not(.failed)').length === 2");
    browser.run(
        "[...document.querySelectorAll('.failed button')]
            .find((button) => button.innerText === 'Discard').click()",
    );
    expect_said(&browser, &[("alice", "before"), ("alice", "after")]);
    browser.wait("localStorage.getItem('natter.pending') === '{}'");
}

#[test]
fn a_topic_that_cant_be_joined_takes_no_other_down() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::with(Config {
        max_topics: 3,
        ..Config::default()
    });
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    for wrong in ["x".repeat(400), "ä".repeat(128)] {
        browser.write("#add-name", &format!("{wrong}{ENTER}"));
        browser.wait("document.querySelector('#add-wrong').innerText.includes('255 bytes')");
        browser.run("document.querySelector('#add-name').value = ''");
    }
    for topic in ["two", "three", "four"] {
        browser.write("#add-name", &format!("{topic}{ENTER}"));
    }
    browser.wait("document.body.innerText.includes('“four” can\\'t be joined')");
    browser.wait("document.querySelectorAll('#topics li').length === 3");
    say(&browser, "here");
    browser.wait("document.querySelector('.scroll:not([hidden]) .mine:not(.pending)')");
    // Names that were kept by an older page, or by a hand.
    browser.run(
        r#"localStorage.setItem('natter.topics', JSON.stringify(["", "a\tb", "two", 7, "x".repeat(256)]));
           localStorage.setItem('natter.name', JSON.stringify("a\tb"));
           localStorage.setItem('natter.client', JSON.stringify("x".repeat(100)));
           localStorage.setItem('natter.pending', '[1,');"#,
    );
    browser.open(&format!("http://{}/two", server.addr()));
    browser.wait("document.querySelector('#join').open");
    browser.write("#name", &format!("alicia{ENTER}"));
    connected(&browser);
    let kept = stored(&browser, "topics");
    let kept: Vec<String> = serde_json::from_str(kept.as_str().unwrap()).unwrap();
    let known = [TOPIC, "two", "three"];
    assert!(
        kept.iter().all(|topic| known.contains(&topic.as_str())),
        "{kept:?}"
    );
    say(&browser, "again");
    browser.wait("document.querySelector('.mine:not(.pending)')");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn commands_are_understood_and_what_is_none_is_never_published() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    say(&browser, "/wave to all");
    browser.wait("document.querySelector('.note')?.innerText.includes('/wave is no command')");
    let kept = browser.run("return document.querySelector('#say').value");
    assert_eq!(kept, "/wave to all");
    browser.run("document.querySelector('#say').value = ''");
    say(&browser, "//etc/hosts");
    say(&browser, "/me waves");
    expect_said(
        &browser,
        &[("alice", "/etc/hosts"), ("alice", "* alice waves")],
    );
    say(&browser, "/nick alicia");
    browser.wait("document.querySelector('#me').innerText === 'alicia'");
    say(&browser, "/join elsewhere");
    browser.wait("document.title.startsWith('elsewhere')");
    say(&browser, "hi");
    browser.wait("document.querySelector('.scroll:not([hidden]) .mine:not(.pending)')");
    say(&browser, "/leave");
    browser.wait(&format!("document.title.startsWith('{TOPIC}')"));
    browser.wait("document.querySelectorAll('#topics li').length === 1");
    assert_eq!(said(&browser).len(), 2);
}

/// The page's library treats every code; here: what a person reads about each that a message
/// can meet.
#[test]
fn every_error_code_has_a_treatment_in_the_page() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    let codes = browser.run_async(
        "const done = arguments[0];
         import('/-/page/natter.js').then(({ CODES }) => done(Object.keys(CODES)));",
    );
    let page = include_str!("../../../../docs/protocol.md");
    let table = page.split("\n## Errors\n").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut documented: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
    let mut known: Vec<String> = serde_json::from_value(codes).unwrap();
    documented.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, documented);
}
