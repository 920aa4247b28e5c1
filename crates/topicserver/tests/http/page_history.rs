//! Long conversations: the end stays in view, much that comes at once, what is older, and
//! what is still known after a reload.

use serde_json::json;
use topicserver::Config;

use crate::browser::{Browser, Driver, ENTER, ESCAPE};
use crate::common::{Client, TestServer, eventually};
use crate::page::{TOPIC, connected, join, say};
use crate::requests::Http;

const IS_AT_END: &str = "(() => { const s = document.querySelector('.scroll:not([hidden])');
    return s.scrollHeight - s.scrollTop - s.clientHeight < 3; })()";
pub const LAST: &str =
    "[...document.querySelectorAll('.scroll:not([hidden]) .text')].at(-1)?.innerText";

pub fn large() -> TestServer {
    TestServer::with(Config {
        history_messages: 30_000,
        history_bytes: 64 * 1024 * 1024,
        ..Config::default()
    })
}

pub fn publish(client: &mut Client, topic: &str, texts: impl Iterator<Item = String>) {
    let frames: Vec<u8> = texts
        .flat_map(|text| crate::common::message(topic, &text))
        .collect();
    client.send(&frames);
    client.sync_topic(topic);
}

/// A browser at the end of a topic with 80 lines.
fn at_the_end(driver: &Driver, server: &TestServer) -> Browser {
    let (mut bob, _) = server.extended(&[TOPIC], json!({"user": "bob"}));
    publish(&mut bob, TOPIC, (1..=80).map(|n| format!("line {n}")));
    let browser = driver.browser(400, 800);
    join(&browser, server.addr(), "alice");
    browser.wait(&format!("{LAST} === 'line 80' && {IS_AT_END}"));
    assert!(from_end(&browser) < 3.0);
    browser
}

/// Runs a script in the page, and says how many pixels of the messages are below what is
/// seen when all that it has begun has come to its end: two frames later.
fn from_end_after(browser: &Browser, script: &str) -> f64 {
    let pixels = browser.run_async(&format!(
        "const done = arguments[0];
         const s = document.querySelector('.scroll:not([hidden])');
         {script};
         const look = () => done(s.scrollHeight - s.scrollTop - s.clientHeight);
         requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(look)));"
    ));
    pixels.as_f64().unwrap()
}

fn from_end(browser: &Browser) -> f64 {
    from_end_after(browser, "")
}

fn scroll_up(browser: &Browser) {
    browser.run("document.querySelector('.scroll:not([hidden])').scrollTop = 0");
}

#[test]
fn the_end_stays_in_view_for_who_is_there_and_is_told_of_otherwise() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let (mut bob, _) = server.extended(&[TOPIC], json!({"user": "bob"}));
    publish(&mut bob, TOPIC, (1..=80).map(|n| format!("line {n}")));
    let browser = driver.browser(400, 800);
    join(&browser, server.addr(), "alice");
    browser.wait(&format!("{LAST} === 'line 80'"));
    browser.wait(IS_AT_END);
    // A phone's keyboard, a narrower window, a composer of more rows.
    browser.resize(400, 420);
    browser.wait(IS_AT_END);
    browser.resize(330, 800);
    browser.wait(IS_AT_END);
    // It shrinks while an event of scrolling is on its way, as the browser sends them: in
    // the next frame, before anybody who observes sizes.
    browser.run(
        "const s = document.querySelector('.scroll:not([hidden])');
        s.scrollTop -= 1; document.body.style.height = '300px'",
    );
    browser.wait(IS_AT_END);
    browser.run("document.body.style.height = ''");
    browser.wait(IS_AT_END);
    browser.write(
        "#say",
        "one\u{e008}\u{e007}\u{e008}two\u{e008}\u{e007}\u{e008}three",
    );
    browser.wait(IS_AT_END);
    bob.say(TOPIC, "81");
    browser.wait(&format!("{LAST} === '81' && {IS_AT_END}"));
    assert_eq!(
        browser.run("return document.querySelector('#to-end').hidden"),
        true
    );
    // Who reads above stays there, and is told.
    scroll_up(&browser);
    browser.wait("!document.querySelector('#to-end').hidden");
    for text in ["82", "83", "84"] {
        bob.say(TOPIC, text);
    }
    browser.wait("document.querySelector('#to-end').innerText === '3 new ↓'");
    let top = "return document.querySelector('.scroll:not([hidden])').scrollTop";
    assert_eq!(browser.run(top), 0);
    browser.click("#to-end");
    browser.wait(&format!("{LAST} === '84' && {IS_AT_END}"));
    browser.wait("document.querySelector('#to-end').hidden");
}

#[test]
fn typing_moves_neither_who_is_at_the_end_nor_who_reads_above() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = at_the_end(&driver, &server);
    let rows = "document.querySelector('#say').offsetHeight";
    // The browser shows each step, so that no later one hides what it has moved.
    for row in 1..=6 {
        for typed in ["a", "\u{e008}\u{e007}\u{e008}", "b"] {
            browser.write("#say", typed);
            let pixels = from_end(&browser);
            assert!(pixels < 3.0, "{pixels} pixels from the end in row {row}");
        }
    }
    let high = browser.run(&format!("return {rows}"));
    assert!(high.as_u64().unwrap() > 130, "{high} pixels of rows");
    let above = from_end_after(&browser, "s.scrollTop -= 70");
    browser.wait("!document.querySelector('#to-end').hidden");
    browser.write("#say", "c");
    assert!((from_end(&browser) - above).abs() < 3.0, "from {above}");
    // A text that becomes shorter gives the room back.
    browser.click("#to-end");
    browser.wait(IS_AT_END);
    browser.write("#say", ENTER);
    browser.wait(&format!("{rows} < 50 && {IS_AT_END}"));
    assert!(from_end(&browser) < 3.0);
}

#[test]
fn nothing_that_changes_sizes_for_a_moment_moves_the_end_out_of_view() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = at_the_end(&driver, &server);
    // The line about the connection goes, something is laid out, and it comes back.
    let away = "document.querySelector('#status').dataset.state = 'away'";
    let lines = "document.querySelector('#status').style.minHeight = '90px'";
    assert!(from_end_after(&browser, &format!("{lines}; {away}")) < 3.0);
    let refused = "document.querySelector('#say').value = '/leave nowhere';
        document.querySelector('#composer').requestSubmit()";
    let script =
        format!("document.querySelector('#status').dataset.state = 'on'; {refused}; {away}");
    let pixels = from_end_after(&browser, &script);
    assert!(pixels < 3.0, "{pixels} pixels from the end");
    browser.wait("document.querySelector('.scroll .note')");
    // What is shown becomes longer while an event of scrolling is on its way.
    let script = "s.scrollTop -= 1; s.querySelector('.msg').style.height = '300px'";
    let pixels = from_end_after(&browser, script);
    assert!(pixels < 3.0, "{pixels} pixels from the end");
    // But a person can leave it, and comes back to it.
    assert!(from_end_after(&browser, "s.scrollTop -= 100") > 90.0);
    browser.wait("!document.querySelector('#to-end').hidden");
    from_end_after(&browser, "s.scrollTop += 90");
    browser.wait("document.querySelector('#to-end').hidden");
}

#[test]
fn what_is_found_above_is_shown_to_who_was_at_the_end() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = at_the_end(&driver, &server);
    say(&browser, "/search line 12");
    browser.wait("document.querySelector('.found-now')");
    assert!(from_end(&browser) > 1000.0);
    let seen = "(({ top, bottom }) => top > 0 && bottom < innerHeight)(
        document.querySelector('.found-now').getBoundingClientRect())";
    browser.wait(seen);
    browser.wait("!document.querySelector('#to-end').hidden");
    // It stays there when a message comes, and when the search is closed.
    let mut http = Http::to(&server);
    assert_eq!(http.post(&format!("/{TOPIC}"), &[], b"news").status, 200);
    browser.wait("document.querySelector('#to-end').innerText.startsWith('1 new')");
    browser.press(&[ESCAPE]);
    assert!(from_end(&browser) > 1000.0);
}

#[test]
fn those_who_read_above_stay_there_when_the_window_changes() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let (mut bob, _) = server.extended(&[TOPIC], json!({"user": "bob"}));
    let words = "as long as it takes for the text to be wrapped in a narrow window";
    publish(&mut bob, TOPIC, (1..=90).map(|n| format!("{n} {words}")));
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    browser.wait("document.querySelectorAll('.msg').length === 90");
    browser.run("document.querySelector('.scroll').scrollTop = 900");
    browser.wait("!document.querySelector('#to-end').hidden");
    let top = "(() => { const { top } = document.querySelector('.scroll').getBoundingClientRect();
        return [...document.querySelectorAll('.msg')].find((m) => m.getBoundingClientRect().bottom > top)
          .querySelector('.text').innerText.split(' ')[0]; })()";
    let first = browser.run(&format!("return {top}"));
    for (width, height) in [(320, 640), (1000, 400), (400, 800), (1000, 700)] {
        browser.resize(width, height);
        browser.wait(&format!("{top} === {first}"));
    }
}

#[test]
fn older_messages_come_as_one_scrolls_up_and_newer_ones_on_the_way_back() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = large();
    let (mut bob, _) = server.extended(&[TOPIC], json!({"user": "bob"}));
    publish(&mut bob, TOPIC, (1..=4000).map(|n| n.to_string()));
    let browser = driver.browser(800, 700);
    join(&browser, server.addr(), "alice");
    browser.wait(&format!("{LAST} === '4000'"));
    let first = "document.querySelector('.scroll:not([hidden]) .text').innerText";
    // Those above what is seen are put there afterwards.
    browser.wait(&format!("{first} === '3901'"));
    // What one reads stays where it is when older messages are put before it.
    let moved = browser.run_async(
        "const done = arguments[0];
         const scroll = document.querySelector('.scroll:not([hidden])');
         scroll.scrollTop = 100;
         const seen = document.querySelectorAll('.text')[2];
         const before = seen.getBoundingClientRect().top;
         const look = () => (document.querySelector('.text').innerText === '3801'
           ? done(Math.abs(seen.getBoundingClientRect().top - before)) : setTimeout(look, 10));
         look();",
    );
    assert!(moved.as_f64().unwrap() < 2.0, "{moved}");
    eventually("the first message", || {
        scroll_up(&browser);
        (browser.run(&format!("return {first}")) == "1").then_some(())
    });
    let many = browser.run("return document.querySelectorAll('.msg').length");
    assert!(many.as_u64().unwrap() <= 1600, "{many} elements");
    browser.wait("document.querySelector('.older').innerText.includes('Nothing older')");
    let texts =
        "return [...document.querySelectorAll('.text')].map((text) => Number(text.innerText))";
    let numbers: Vec<u64> = serde_json::from_value(browser.run(texts)).unwrap();
    assert!(numbers.is_sorted() && numbers.windows(2).all(|two| two[0] + 1 == two[1]));
    // On the way back, those that were taken out come again.
    eventually("the last message", || {
        browser.run("document.querySelector('.scroll:not([hidden])').scrollTop = 1e9");
        (browser.run(&format!("return {LAST}")) == "4000").then_some(())
    });
    let numbers: Vec<u64> = serde_json::from_value(browser.run(texts)).unwrap();
    assert!(
        numbers.windows(2).all(|two| two[0] + 1 == two[1]),
        "{numbers:?}"
    );
    say(&browser, "and I");
    browser.wait("document.querySelector('.mine:not(.pending)')");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn what_was_read_and_what_is_new_outlive_a_reload() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let (mut bob, _) = server.extended(&[TOPIC, "other"], json!({"user": "bob"}));
    publish(&mut bob, TOPIC, (1..=3).map(|n| n.to_string()));
    publish(&mut bob, "other", (1..=3).map(|n| n.to_string()));
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    browser.write("#add-name", &format!("other{ENTER}"));
    browser.wait(&format!(
        "document.title.startsWith('other') && {LAST} === '3'"
    ));
    browser.write("#say", "for the other topic");
    browser.run("document.querySelectorAll('.topic')[0].click()");
    browser.wait(&format!("document.title.startsWith('{TOPIC}')"));
    assert_eq!(
        browser.run("return document.querySelector('#say').value"),
        ""
    );
    // Nothing that came before one was here is new.
    assert_eq!(
        browser.run("return document.querySelectorAll('.badge, .new').length"),
        0
    );
    // Away from it, also while there is no page.
    let mut http = Http::to(&server);
    let mut post = |text: &str| http.post("/other?user=carl", &[], text.as_bytes());
    assert_eq!(post("4").status, 200);
    browser.wait("document.querySelector('.badge')?.innerText.startsWith('1')");
    browser.wait("document.title.startsWith('(1)')");
    browser.wait("document.querySelector('#icon').href.includes('icon-unread')");
    browser.open("about:blank");
    assert_eq!(post("5").status, 200);
    browser.open(&format!("http://{}/{TOPIC}", server.addr()));
    connected(&browser);
    browser.wait("document.querySelector('.badge')?.innerText.startsWith('2')");
    browser.run("document.querySelectorAll('.topic')[1].click()");
    browser.wait("document.querySelector('.scroll:not([hidden]) .new')");
    let after = "return document.querySelector('.scroll:not([hidden]) .new').nextSibling.querySelector('.text').innerText";
    assert_eq!(browser.run(after), "4");
    assert_eq!(
        browser.run("return document.querySelector('#say').value"),
        "for the other topic"
    );
    browser.wait("!document.querySelector('.badge') && !document.title.startsWith('(')");
    browser.wait("!document.querySelector('#icon').href.includes('icon-unread')");
    browser.reload();
    connected(&browser);
    browser.wait(&format!("{LAST} === '5'"));
    assert_eq!(
        browser.run("return document.querySelectorAll('.badge, .new').length"),
        0
    );
    // Days are told apart.
    assert_eq!(
        browser.run("return document.querySelectorAll('.scroll:not([hidden]) .day').length"),
        1
    );
}

#[test]
fn what_comes_while_one_is_elsewhere_is_set_apart() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let mut http = Http::to(&server);
    let mut post = |text: &str| {
        let path = format!("/{TOPIC}?user=bob");
        assert_eq!(http.post(&path, &[], text.as_bytes()).status, 200);
    };
    post("3");
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    browser.wait(&format!("{LAST} === '3'"));
    browser.write("#add-name", &format!("other{ENTER}"));
    browser.wait("document.title.startsWith('other')");
    post("4");
    post("5");
    browser.wait("document.querySelector('.badge')?.innerText.startsWith('2')");
    browser.run("document.querySelectorAll('.topic')[0].click()");
    browser.wait(&format!("{LAST} === '5'"));
    let after = "return document.querySelector('.scroll:not([hidden]) .new').nextSibling.querySelector('.text').innerText";
    browser.wait("document.querySelector('.scroll:not([hidden]) .new')");
    assert_eq!(browser.run(after), "4");
    // It stays where it was while one reads, and goes when one answers.
    post("6");
    browser.wait(&format!("{LAST} === '6'"));
    assert_eq!(browser.run(after), "4");
    say(&browser, "seen");
    browser.wait("!document.querySelector('.new')");
}

#[test]
fn many_topics_push_nothing_off_the_screen_and_can_be_filtered_and_left() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(800, 800);
    join(&browser, server.addr(), "alice");
    for number in 1..=15 {
        browser.write("#add-name", &format!("topic {number}{ENTER}"));
    }
    browser.wait("document.querySelectorAll('#topics li').length === 16");
    for (width, height) in [(800, 800), (800, 500), (320, 640)] {
        browser.resize(width, height);
        if width < 500 {
            browser.click("#menu");
        }
        for id in ["add-name", "people", "me", "rename"] {
            let inside = format!(
                "(() => {{ const {{ top, bottom }} = document.querySelector('#{id}').getBoundingClientRect();
                   return top >= 0 && bottom <= innerHeight + 1 && bottom > top; }})()"
            );
            browser.wait(&inside);
        }
    }
    browser.write("#add-name", "topic 1");
    // 1 and 10 to 15.
    browser.wait("document.querySelectorAll('#topics li').length === 7");
    browser.run("document.querySelector('#topics li:nth-child(2) .gone').click()");
    browser.wait("document.querySelectorAll('#topics li').length === 6");
    browser.run(
        "document.querySelector('#add-name').value = '';
         document.querySelector('#add-name').dispatchEvent(new Event('input'))",
    );
    browser.wait("document.querySelectorAll('#topics li').length === 15");
    browser.reload();
    connected(&browser);
    browser.wait("document.querySelectorAll('#topics li').length === 15");
    // All of them can go.
    for left in (0..15).rev() {
        browser.run("document.querySelector('#topics .gone').click()");
        browser.wait(&format!(
            "document.querySelectorAll('#topics li').length === {left}"
        ));
    }
    browser.wait("document.querySelector('#nothing').offsetParent");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_listener_that_leaves_is_counted_out() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let listener = server.join(&[TOPIC]);
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    browser.wait("document.querySelector('#count').innerText === '2 people'");
    drop(listener);
    let mut http = Http::to(&server);
    eventually("the server to notice", || {
        let who = http.get(&format!("/-/topics/{TOPIC}/who"), &[]);
        who.text().contains("\"count\":1").then_some(())
    });
    // It is asked again when somebody looks.
    browser.run("document.dispatchEvent(new Event('visibilitychange'))");
    browser.wait("document.querySelector('#count').innerText === '1 person'");
}
