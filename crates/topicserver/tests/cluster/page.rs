//! What the page shows of a cluster, in a real browser.

use topicserver::simulation::Misfortune;

use crate::Cluster;
use crate::browser::{Browser, Driver, ENTER};

/// The state of the connection, as it can be read.
const STATE: &str = "document.querySelector('#status')";

fn connected(browser: &Browser) {
    browser.wait(&format!("{STATE}.dataset.state === 'on'"));
}

#[test]
fn the_page_says_that_nothing_is_stored_as_long_as_that_is_so() {
    let Some(driver) = Driver::start() else {
        return;
    };
    let cluster = Cluster::start();
    let browser = driver.browser(1000, 700);
    browser.open(&format!("http://{}/lab", cluster.servers[0].addr()));
    browser.wait("document.querySelector('#join').open");
    browser.write("#name", &format!("alice{ENTER}"));
    connected(&browser);
    browser.write("#say", &format!("before{ENTER}"));
    browser.wait("document.querySelector('.msg:not(.pending)')");

    cluster.world.suffer(&Misfortune::StopLog);
    browser.wait(&format!(
        "{STATE}.innerText.startsWith('Stored nowhere right now: ')"
    ));
    // It is before everybody's eyes, also of those who have a narrow screen.
    for (width, scheme) in [
        (1000, "light"),
        (1000, "dark"),
        (400, "light"),
        (400, "dark"),
    ] {
        browser.resize(width, 700);
        browser.prefer(scheme);
        browser.wait(&format!("{STATE}.getBoundingClientRect().height > 20"));
        browser.wait("document.documentElement.scrollWidth <= innerWidth");
        browser.keep_picture(&format!("stored-nowhere-{width}-{scheme}"));
    }
    // Who comes meanwhile sees it too.
    let late = driver.browser(1000, 700);
    late.open(&format!("http://{}/lab", cluster.servers[0].addr()));
    late.wait("document.querySelector('#join').open");
    late.write("#name", &format!("ben{ENTER}"));
    late.wait(&format!(
        "{STATE}.innerText.startsWith('Stored nowhere right now: ')"
    ));
    // What is said meanwhile waits, and isn't lost.
    browser.write("#say", &format!("meanwhile{ENTER}"));
    browser.wait("document.querySelector('.msg.pending')");

    cluster.world.suffer(&Misfortune::Heal);
    connected(&browser);
    connected(&late);
    browser.wait("document.querySelectorAll('.msg:not(.pending)').length === 2");
    assert_eq!(browser.text("#status-text"), "Connected");
    assert_eq!(browser.complaints(), [""; 0]);
}
