//! Nothing keeps the page busy: neither how much comes, nor how much is there already, nor
//! what somebody has written. A browser calls a task long that takes 50 milliseconds;
//! people notice one of 100.

use std::time::Instant;

use serde_json::json;

use crate::browser::{Browser, Driver, ENTER};
use crate::common::{Client, TestServer};
use crate::page::{TOPIC, connected, join};
use crate::page_history::{LAST, large, publish};
use crate::requests::Http;

/// Milliseconds, where a task has a processor to itself. Other programs and the other tests
/// only add to what it takes: it may take as much longer as anything does at that moment, and
/// a thing is tried several times.
const MOST: f64 = 100.0;
const ATTEMPTS: usize = 3;

const WATCH: &str = "window.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
    }).observe({ type: 'longtask', buffered: true });";

/// By how much longer something takes now than its work, because others have the processors.
fn slowness() -> f64 {
    let used = || -> Option<f64> {
        let read = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let nanoseconds: f64 = read.split(' ').next()?.parse().ok()?;
        Some(nanoseconds / 1e9)
    };
    let started = Instant::now();
    let Some(before) = used() else {
        return 1.0;
    };
    loop {
        let worked = used().unwrap() - before;
        if worked > 0.05 {
            return f64::max(1.0, started.elapsed().as_secs_f64() / worked);
        }
    }
}

/// Tries a thing until it takes no long task, and says what the longest one was.
#[track_caller]
fn expect_no_long_task(browser: &Browser, what: &str, mut work: impl FnMut()) {
    let mut told = String::new();
    for _ in 0..ATTEMPTS {
        browser.run("window.longest = 0");
        let before = slowness();
        work();
        // Until nothing changes any more: a task is told of after its end.
        browser.run_async(
            "const [done] = arguments;
             let timer;
             const observer = new MutationObserver(() => again());
             const again = () => {
               clearTimeout(timer);
               timer = setTimeout(() => { observer.disconnect(); done(); }, 300);
             };
             observer.observe(document.body, { childList: true, subtree: true });
             again();",
        );
        let longest = browser.run("return window.longest").as_f64().unwrap();
        let slowness = before.max(slowness());
        told = format!(
            "{what}: the longest task took {longest:.0} ms, everything {slowness:.1} times as long as alone"
        );
        println!("{told} (0: less than 50)");
        if longest < MOST * slowness {
            return;
        }
    }
    panic!("{told}");
}

/// What 10,000 lines take until the last one is there, and what the same nodes take bare.
fn flood(browser: &Browser, bob: &mut Client, round: usize) -> f64 {
    let last = format!("line 10000 of round {round} ");
    browser.run(&format!(
        "window.began = 0; window.ended = 0;
         new MutationObserver((_, observer) => {{
           window.began ||= performance.now();
           if (![...document.querySelectorAll('.text')].at(-1)?.textContent.startsWith({last:?})) return;
           window.ended = performance.now();
           observer.disconnect();
         }}).observe(document.querySelector('.log'), {{ childList: true }});"
    ));
    let line =
        |n| format!("line {n} of round {round} of a conversation that is about as long as usual");
    publish(bob, TOPIC, (1..=10_000).map(line));
    browser.wait("window.ended > 0");
    let taken = browser.run("return window.ended - window.began");
    taken.as_f64().unwrap()
}

/// The same nodes without anything of the page's, in the same browser.
fn bare(browser: &Browser) -> f64 {
    let taken = browser.run_async(
        "const done = arguments[0];
         const model = document.querySelector('.msg:not(.cont)') ?? document.querySelector('.msg');
         const scroll = document.querySelector('.scroll:not([hidden])').cloneNode(false);
         const log = document.querySelector('.log').cloneNode(false);
         scroll.append(log);
         document.querySelector('#logs').append(scroll);
         const began = performance.now();
         let count = 0;
         const frame = () => {
           for (let n = 0; n < 120; n += 1) {
             const node = model.cloneNode(true);
             node.querySelector('.text').textContent = `line ${count += 1} of a conversation that is about as long as usual`;
             log.append(node);
           }
           scroll.scrollTop = scroll.scrollHeight;
           if (count < 10000) return requestAnimationFrame(frame);
           scroll.remove();
           return done(performance.now() - began);
         };
         requestAnimationFrame(frame);",
    );
    taken.as_f64().unwrap()
}

#[test]
fn ten_thousand_lines_come_into_an_open_page_without_freezing_it() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = large();
    let browser = driver.browser(1000, 700);
    browser.run_first(WATCH);
    join(&browser, server.addr(), "alice");
    let (mut bob, _) = server.extended(&[TOPIC], json!({"user": "bob"}));
    let mut round = 0;
    let mut pages = Vec::new();
    expect_no_long_task(&browser, "10,000 lines", || {
        round += 1;
        pages.push(flood(&browser, &mut bob, round));
    });
    let page = pages.into_iter().fold(f64::INFINITY, f64::min);
    let bare = bare(&browser);
    println!("10,000 lines: {page:.0} ms; the same nodes bare {bare:.0} ms");
    assert!(page < 1.5 * bare, "{page:.0} ms, and {bare:.0} ms bare");
}

/// Texts as people write them, longer than most.
fn talk(n: usize) -> String {
    let texts = [
        "Morning! Has anybody looked at the failing nightly build? It says `connection reset`, see https://example.org/builds/1234.",
        "هل يمكننا تأجيل الاجتماع إلى الساعة الثالثة؟ الملف جاهز وسأرسله إلى الجميع بعد قليل.",
        "昨日のデプロイの件ですが、設定ファイルの読み込み順序が原因でした。環境変数が先に評価されます。",
        "Перевірила на стенді — все працює 👩‍💻👨‍👩‍👧‍👦🏳️‍🌈",
    ];
    format!(
        "{n}: {}",
        [texts[n % 4], texts[(n + 1) % 4], texts[n % 4]].join(" ")
    )
}

/// Publishes over HTTP: a message for each line.
fn post(server: &TestServer, topic: &str, texts: &[String]) {
    let mut http = Http::to(server);
    for some in texts.chunks(80) {
        let path = format!("/{topic}?user=bob&split=lines");
        let answer = http.post(&path, &[], some.join("\n").as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[test]
fn a_long_history_is_shown_without_freezing_the_page() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = large();
    let topics = [TOPIC, "other"];
    for topic in topics {
        post(&server, topic, &["0".to_owned()]);
    }
    let browser = driver.browser(1000, 700);
    browser.run_first(WATCH);
    join(&browser, server.addr(), "alice");
    browser.write("#add-name", &format!("other{ENTER}"));
    browser.wait(&format!(
        "document.title.startsWith('other') && {LAST} === '0'"
    ));
    let address = format!("http://{}/{TOPIC}", server.addr());
    let mut last = 0;
    // A browser may keep the worker, which has them all then, and the page shows the newest hundred.
    let is_whole = |last: usize| {
        format!(
            "(() => {{ const texts = [...document.querySelectorAll('.scroll:not([hidden]) .text')];
               return texts.length >= 100 && texts.at(-1).innerText.startsWith('{last}:'); }})()"
        )
    };
    // A page that begins with much that is new.
    expect_no_long_task(&browser, "a reload", || {
        browser.open("about:blank");
        let texts: Vec<_> = (last + 1..=last + 480).map(talk).collect();
        last += texts.len();
        for topic in topics {
            post(&server, topic, &texts);
        }
        browser.open(&address);
        connected(&browser);
        browser.wait(&is_whole(last));
    });
    // Another topic, for the first time, and to and fro.
    let mut number = 0;
    expect_no_long_task(&browser, "another topic", || {
        number = 1 - number;
        browser.run(&format!(
            "document.querySelectorAll('.topic')[{number}].click()"
        ));
        browser.wait(&format!("{LAST}.startsWith('{last}:')"));
    });
    expect_no_long_task(&browser, "and back", || {
        number = 1 - number;
        browser.run(&format!(
            "document.querySelectorAll('.topic')[{number}].click()"
        ));
        browser.wait(&format!("{LAST}.startsWith('{last}:')"));
    });
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn no_text_keeps_the_page_busy() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    browser.run_first(WATCH);
    join(&browser, server.addr(), "alice");
    let (mut bob, _) = server.extended(&[TOPIC], json!({"user": "bob"}));
    let mut number = 0;
    for (what, text) in [
        ("backticks", "`".repeat(60_000)),
        (
            "a fence that never begins",
            format!("```{}x", " ".repeat(60_000)),
        ),
        (
            "code that never ends",
            (1..340).map(|n| "`".repeat(n) + "a").collect(),
        ),
        ("code without end", "`a` ".repeat(15_000)),
        (
            "dots behind an address",
            format!("http://{}x", ".".repeat(60_000)),
        ),
        (
            "brackets behind an address",
            format!("http://x{}", ")".repeat(60_000)),
        ),
        ("addresses", "http://a ".repeat(6_600)),
        ("lines", "a\n".repeat(20_000)),
        ("Arabic", "هل يمكننا تأجيل الاجتماع ".repeat(1_200)),
        ("one word", "w".repeat(60_000)),
    ] {
        expect_no_long_task(&browser, what, || {
            number += 1;
            bob.say(TOPIC, &text);
            browser.wait(&format!(
                "document.querySelectorAll('.msg').length === {number}"
            ));
        });
    }
    // All of it is there for those who want to read on.
    browser.run("[...document.querySelectorAll('.more')].at(-1).click()");
    let length = "[...document.querySelectorAll('.text')].at(-1).textContent.length";
    browser.wait(&format!("{length} === 60000"));
    assert_eq!(browser.complaints(), [""; 0]);
}
