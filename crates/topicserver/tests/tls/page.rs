//! The page in a real browser that knows the server's key.

use crate::browser::{Driver, ENTER};
use crate::common::Process;
use crate::server;

const TOPIC: &str = "lame-conversation";

#[test]
fn the_page_works_through_tls_and_is_found_without() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let server = Process::start(&["--tls-self-signed", "--tls", "required"]);
    let line = server.wait_for("fingerprint sha256:");
    let (_, key) = line.split_once("sha256:").unwrap();
    let trust = format!("--ignore-certificate-errors-spki-list={key}");
    let browser = driver.browser_with(800, 600, &[trust]);
    // Whoever types the address without https comes to the same page.
    browser.open(&format!("http://{}/{TOPIC}", server.v4()));
    browser.wait("location.protocol === 'https:' && isSecureContext");
    browser.wait("document.querySelector('#join').open");
    browser.write("#name", &format!("anna{ENTER}"));
    browser.wait("document.querySelector('#status').dataset.state === 'on'");
    let mut other = server::join(server.v4(), TOPIC);
    browser.write("#say", &format!("from the page{ENTER}"));
    other.expect(TOPIC, "from the page");
    other.say(TOPIC, "to the page");
    let shown = "Array.from(document.querySelectorAll('.log > .msg .text'))";
    browser.wait(&format!(
        "{shown}.some((text) => text.innerText === 'to the page')"
    ));
}
