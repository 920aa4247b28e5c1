//! The page, checked by axe-core for people who use it by keyboard or screen reader.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::browser::{Driver, ENTER, ESCAPE};
use crate::common::TestServer;
use crate::page::{TOPIC, connected, join, say};
use crate::requests::Http;

#[test]
fn everybody_can_use_it() {
    let (Some(driver), Some(check)) = (Driver::start(), axe()) else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    browser.open(&format!("http://{}/{TOPIC}", server.addr()));
    browser.wait("document.querySelector('#join').open");
    let what = "the question for a name";
    assert_eq!(browser.run_async(&check), json!([]), "{what}");
    browser.write("#name", &format!("alice{ENTER}"));
    connected(&browser);
    say(&browser, "hello http://example.org/");
    let text = "/lame-conversation?user=bob";
    Http::to(&server).post(text, &[], b"hey @alice");
    browser.wait("document.querySelector('.call')");
    for (scheme, width) in [("light", 1000), ("dark", 1000), ("dark", 320)] {
        browser.prefer(scheme);
        browser.resize(width, 700);
        assert_eq!(browser.run_async(&check), json!([]), "{scheme} {width}");
    }
    browser.click("#share");
    assert_eq!(browser.run_async(&check), json!([]), "the link");
}

/// What is code, what is long, refused, new, found, and unread elsewhere.
#[test]
fn everybody_can_use_what_is_seen_less_often() {
    let (Some(driver), Some(check)) = (Driver::start(), axe()) else {
        return;
    };
    let server = TestServer::start();
    let browser = driver.browser(1000, 700);
    join(&browser, server.addr(), "alice");
    let text = "/lame-conversation?user=bob";
    let log = "line of a log\n".repeat(100);
    Http::to(&server).post(text, &[], format!("```\n{log}```\nand `this`").as_bytes());
    Http::to(&server).post(text, &[], log.as_bytes());
    browser.wait("document.querySelectorAll('.more').length === 2");
    browser.run(
        "const box = document.querySelector('#say');
         box.value = 'x'.repeat(66000);
         box.dispatchEvent(new Event('input'));
         document.querySelector('#composer').requestSubmit();",
    );
    browser.wait("document.querySelector('.failed')");
    browser.write("#add-name", &format!("elsewhere{ENTER}"));
    browser.wait("document.title.startsWith('elsewhere')");
    Http::to(&server).post(text, &[], b"alice?");
    browser.wait("document.querySelector('.badge.called')");
    assert_eq!(browser.run_async(&check), json!([]), "another topic");
    browser.run("document.querySelector('.topic').click()");
    browser.wait("document.querySelector('.new')");
    browser.click("#find");
    browser.write("#find-text", "line");
    browser.wait("document.querySelector('.found-now')");
    for (scheme, width) in [("light", 1000), ("dark", 1000), ("light", 320)] {
        browser.prefer(scheme);
        browser.resize(width, 700);
        assert_eq!(browser.run_async(&check), json!([]), "{scheme} {width}");
    }
    browser.press(&[ESCAPE]);
    browser.click("#menu");
    assert_eq!(browser.run_async(&check), json!([]), "the lists");
}

/// A script that tells what an accessibility checker finds in the page; `None`, with the
/// reason printed, where it can't be had.
fn axe() -> Option<String> {
    let code = axe_code()?;
    Some(format!(
        "const done = arguments[arguments.length - 1]; {code};
         axe.run().then(({{ violations }}) => done(violations
            .map(({{ id, nodes }}) => `${{id}}: ${{nodes.map((n) => n.html).join(' ')}}`)))"
    ))
}

fn axe_code() -> Option<String> {
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = target.join("axe.min.js");
    if !file.exists() {
        // Each process installs in a folder of its own and moves the file into its place: two
        // installations in one folder remove each other's files.
        let scratch = target.join(format!("axe-{:016x}", getrandom::u64().unwrap()));
        let install = Command::new("npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--no-save",
                "--prefix",
            ])
            .arg(&scratch)
            .arg("axe-core@4")
            .stdin(Stdio::null())
            .status();
        let installed = scratch.join("node_modules/axe-core/axe.min.js");
        let is_there = install.is_ok_and(|status| status.success())
            && std::fs::rename(installed, &file).is_ok();
        let _ = std::fs::remove_dir_all(scratch);
        if !is_there {
            println!("skipped: npm can't install axe-core");
            return None;
        }
    }
    Some(std::fs::read_to_string(file).unwrap())
}
