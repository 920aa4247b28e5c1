//! What makes the page good to read and to write in, held in a real browser.

use serde_json::{Value, json};

use crate::browser::{Browser, Driver, ENTER, ESCAPE};
use crate::common::TestServer;
use crate::page::{TOPIC, join, say};
use crate::requests::Http;

const UP: &str = "\u{e013}";
const SHIFT: &str = "\u{e008}";

fn post(server: &TestServer, user: &str, text: &str) {
    let body = json!({"text": text, "user": user}).to_string();
    let kind = "content-type: application/json";
    let answer = Http::to(server).post(&format!("/{TOPIC}"), &[kind], body.as_bytes());
    assert_eq!(answer.status, 200);
}

fn wait_for_messages(browser: &Browser, count: usize) {
    browser.wait(&format!(
        "document.querySelectorAll('.msg').length === {count}"
    ));
}

#[test]
fn consecutive_messages_of_one_person_stand_under_one_name() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    for (user, text) in [("bob", "1"), ("bob", "2"), ("carl", "3"), ("bob", "4")] {
        post(&server, user, text);
    }
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    wait_for_messages(&browser, 4);
    let joined =
        "return [...document.querySelectorAll('.msg')].map((m) => m.classList.contains('cont'))";
    assert_eq!(browser.run(joined), json!([false, true, false, false]));
    post(&server, "bob", "5");
    wait_for_messages(&browser, 5);
    assert_eq!(
        browser.run(joined),
        json!([false, true, false, false, true])
    );
    // Who can't see it still hears the name, and the time can be had.
    let last = "document.querySelectorAll('.msg')[4]";
    assert_eq!(
        browser.run(&format!("return {last}.querySelector('.who').innerText")),
        "bob"
    );
    assert_eq!(
        browser.run(&format!(
            "return {last}.querySelector('time').dateTime.length"
        )),
        24
    );
}

#[test]
fn every_color_of_a_name_can_be_read_on_every_ground() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    let worst = "const light = (color) => {
        const [r, g, b] = color.match(/[\\d.]+/g).map((n) => n / 255)
          .map((c) => (c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4));
        return .2126 * r + .7152 * g + .0722 * b;
      };
      const probe = document.createElement('span');
      document.body.append(probe);
      const style = getComputedStyle(probe);
      const of = (name) => { probe.style.color = `var(${name})`; return light(style.color); };
      let worst = 99;
      const names = Array.from({ length: 12 }, (_, n) => `--c${n}`);
      for (const name of [...names, '--soft', '--bad', '--strong', '--text']) {
        for (const ground of ['--back', '--side', '--mine', '--call']) {
          const [a, b] = [of(name), of(ground)].sort((x, y) => y - x);
          worst = Math.min(worst, (a + .05) / (b + .05));
        }
      }
      probe.remove();
      return worst;";
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        let contrast = browser.run(worst).as_f64().unwrap();
        assert!(contrast >= 4.5, "{scheme}: {contrast}");
    }
    // The same name has the same color everywhere, and names differ.
    let colors = browser.run_async(
        "const done = arguments[0];
         import('/-/page/people.js').then(({ colorOf }) =>
           done(Array.from({ length: 300 }, (_, n) => colorOf(`user-${n}`))));",
    );
    let mut colors: Vec<String> = serde_json::from_value(colors).unwrap();
    colors.sort();
    colors.dedup();
    assert_eq!(colors.len(), 12);
}

#[test]
fn lines_are_short_and_code_is_set_apart() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let prose = "The quick brown fox jumps over the lazy dog while everybody else is asleep. ";
    post(&server, "bob", &prose.repeat(6));
    let code = "first:\n```sh\nfor n in 1 2 3; do\n\techo `$n` **bold** <b>\ndone\n```\nthen `x = <i>` and ``a`b`` in a line, `not closed";
    post(&server, "carl", code);
    let browser = driver.browser(1280, 800);
    join(&browser, server.addr(), "alice");
    wait_for_messages(&browser, 2);
    // Characters in the longest line.
    let longest = browser.run(
        "const node = document.querySelector('.text').firstChild;
         const range = document.createRange();
         let longest = 0; let count = 0; let top = null;
         for (let at = 0; at < node.length; at += 1) {
           range.setStart(node, at); range.setEnd(node, at + 1);
           const box = range.getBoundingClientRect();
           if (top !== null && box.top > top + 5) { longest = Math.max(longest, count); count = 0; }
           top = box.top; count += 1;
         }
         return Math.max(longest, count);",
    );
    let longest = longest.as_u64().unwrap();
    assert!((55..=80).contains(&longest), "{longest} characters");
    let parts = "return [...document.querySelectorAll('.msg:nth-of-type(n) code')].map((c) => c.textContent)";
    assert_eq!(
        browser.run(parts),
        json!([
            "for n in 1 2 3; do\n\techo `$n` **bold** <b>\ndone",
            "x = <i>",
            "a`b"
        ])
    );
    assert_eq!(
        browser.run("return document.querySelectorAll('.log b, .log i, .log strong').length"),
        0
    );
    let faces =
        "return getComputedStyle(document.querySelector('pre code')).fontFamily.includes('mono')";
    assert_eq!(browser.run(faces), true);
    browser.run("document.querySelector('.copy').click()");
    browser.wait("['Copied', 'Select it, and press Ctrl-C'].includes(document.querySelector('.copy').innerText)");
    // What a link points at is not fetched.
    post(&server, "bob", "https://example.org/picture.png");
    wait_for_messages(&browser, 3);
    let loaded = "return performance.getEntriesByType('resource').filter(({ name }) => !name.startsWith(location.origin)).length";
    assert_eq!(browser.run(loaded), 0);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn enter_sends_shift_enter_breaks_the_line_and_up_recalls() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    say(&browser, "first");
    browser.write("#say", &format!("one{SHIFT}{ENTER}{SHIFT}two"));
    let value = "return document.querySelector('#say').value";
    assert_eq!(browser.run(value), "one\ntwo");
    browser.write("#say", ENTER);
    wait_for_messages(&browser, 2);
    browser.write("#say", UP);
    assert_eq!(browser.run(value), "one\ntwo");
    browser.write("#say", UP);
    assert_eq!(browser.run(value), "first");
    browser.write("#say", "\u{e015}");
    assert_eq!(browser.run(value), "one\ntwo");
    // What one has begun to write is not replaced.
    browser.run("document.querySelector('#say').value = ''");
    browser.write("#say", &format!("mine{UP}"));
    assert_eq!(browser.run(value), "mine");
}

#[test]
fn words_are_found_in_what_is_loaded_by_keyboard_alone() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    for number in 1..=60 {
        let word = if number % 20 == 0 { "Needle" } else { "hay" };
        post(&server, "bob", &format!("{word} {number}"));
    }
    let browser = driver.browser(1000, 500);
    join(&browser, server.addr(), "alice");
    wait_for_messages(&browser, 60);
    say(&browser, "/search needle");
    browser.wait("document.querySelectorAll('.found').length === 3");
    assert_eq!(browser.text("#found"), "1 of 3 messages");
    let now = "return document.querySelector('.found-now .text').innerText";
    assert_eq!(browser.run(now), "Needle 60");
    browser.press(&[ENTER]);
    browser.press(&[ENTER]);
    assert_eq!(browser.run(now), "Needle 20");
    browser.wait("(({ top, bottom }) => top > 0 && bottom < innerHeight)(document.querySelector('.found-now').getBoundingClientRect())");
    browser.press(&[ESCAPE]);
    browser.wait("document.querySelector('#finder').hidden && !document.querySelector('.found')");
    assert_eq!(browser.run("return document.activeElement.id"), "say");
}

#[test]
fn the_list_of_topics_keeps_the_keyboard_while_messages_come() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    browser.write("#add-name", &format!("elsewhere{ENTER}"));
    browser.wait("document.querySelectorAll('.topic').length === 2");
    // A click takes a while, too: the button must be the same at its end.
    browser.run("window.button = document.querySelector('.topic'); window.button.focus()");
    post(&server, "bob", "hello");
    browser.wait("document.querySelector('.badge')");
    let is_same = "return document.querySelector('.topic') === window.button && document.activeElement === window.button";
    assert_eq!(browser.run(is_same), true);
    browser.press(&[ENTER]);
    browser.wait(&format!(
        "document.title.startsWith('{TOPIC}') && !document.querySelector('.badge')"
    ));
}

#[test]
fn a_long_text_is_shown_in_part_until_one_reads_on() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let lines: String = (1..=200).map(|n| format!("line {n}\n")).collect();
    post(&server, "bob", &format!("A log:\n```\n{lines}```\nthe end"));
    post(&server, "bob", "short");
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    wait_for_messages(&browser, 2);
    let shown = "return document.querySelector('.text').innerText";
    let begins = browser.run(shown).as_str().unwrap().to_owned();
    assert!(
        begins.contains("line 20") && !begins.contains("line 40"),
        "{begins}"
    );
    // What isn't whole can't be copied.
    let is_copied = "return document.querySelector('.copy').offsetParent !== null";
    assert_eq!(browser.run(is_copied), false);
    browser.click(".more");
    let whole = browser.run(shown).as_str().unwrap().to_owned();
    assert!(
        whole.contains("line 200") && whole.ends_with("the end"),
        "{whole}"
    );
    assert_eq!(browser.run(is_copied), true);
}

#[test]
fn a_mention_elsewhere_is_notified_once_and_nothing_else_is() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    browser.write("#add-name", &format!("elsewhere{ENTER}"));
    browser.wait("document.title.startsWith('elsewhere')");
    browser.run(
        "window.shown = [];
         window.Notification = class {
           static permission = 'granted';
           constructor(title, { body }) { window.shown.push(`${title}: ${body}`); }
         };",
    );
    post(&server, "bob", "alicia, look");
    post(&server, "bob", "Alice, look");
    browser.wait("document.querySelector('.badge.called')?.innerText.startsWith('2')");
    assert_eq!(
        browser.run("return window.shown"),
        json!([format!("bob in {TOPIC}: Alice, look")])
    );
}

#[test]
fn a_phone_can_have_it_on_its_home_screen() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(320, 640);
    join(&browser, server.addr(), "alice");
    let manifest = browser.run_async(
        "const done = arguments[0];
         fetch(document.querySelector('link[rel=manifest]').href).then((a) => a.json()).then(done);",
    );
    assert_eq!(manifest["display"], "standalone");
    for icon in manifest["icons"].as_array().unwrap() {
        let answer = Http::to(&server).get(icon["src"].as_str().unwrap(), &[]);
        assert_eq!(answer.status, 200, "{icon}");
    }
    // 200 % zoom of a window of 640 pixels is this width.
    let overflow = "return document.documentElement.scrollWidth - innerWidth";
    assert_eq!(browser.run(overflow), 0);
    assert_eq!(browser.complaints(), [""; 0]);
}

/// The pictures that people look at: kept with the other files of the tests.
#[test]
fn a_conversation_of_many_scripts_fits_every_screen() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let talk = [
        (
            "Anna",
            "Morning! Has anybody looked at the failing nightly build?",
        ),
        (
            "Björn",
            "Found it:\n```rust\nlet (head, rest) = input.split_once('\\n')?;\n```\nThe `trim_end` eats the carriage return.",
        ),
        (
            "فاطمة",
            "هل يمكننا تأجيل الاجتماع إلى الساعة الثالثة؟ الملف `report.csv` جاهز",
        ),
        (
            "健太",
            "昨日のデプロイの件ですが、設定ファイルの読み込み順序が原因でした。環境変数が先に評価されるため、ファイルの値が上書きされていました。",
        ),
        (
            "Chloé",
            "👩‍💻👨‍👩‍👧‍👦🏳️‍🌈 https://example.org/a/very/long/path/without/any/break/that/goes/on/and/on/until/it/does/not/fit.html",
        ),
        (
            "Олена",
            "Перевірила на стенді — все працює, але журнал каже `connection reset` приблизно раз на годину, maria.",
        ),
        (
            "sam_42",
            "donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
        ),
    ];
    for (user, text) in talk.iter().cycle().take(500) {
        post(&server, user, text);
    }
    let browser = driver.browser(1280, 800);
    join(&browser, server.addr(), "maria");
    browser.wait("document.querySelectorAll('.msg').length >= 100");
    say(&browser, "Thanks! I'll have a look after lunch.");
    browser.wait("document.querySelector('.mine:not(.pending)')");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for (width, height) in [(1280, 800), (768, 1024), (320, 640)] {
            browser.resize(width, height);
            let wide = browser.run(
                "return [...document.querySelectorAll('body, main, .scroll, .text, .msg, .bar')]
                    .filter((e) => e.scrollWidth > e.clientWidth + 1 && !e.closest('pre')).map((e) => e.className)",
            );
            assert_eq!(wide, Value::Array(vec![]), "{scheme} {width}");
            browser.wait("(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight < 3)(document.querySelector('.scroll'))");
            browser.keep_picture(&format!("page-{width}-{scheme}"));
        }
    }
    assert_eq!(browser.complaints(), [""; 0]);
}
