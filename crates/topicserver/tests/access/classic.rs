//! Clients that know nothing of accounts.

use crate::accounts::Accounts;
use crate::common::Client;

#[test]
fn a_classic_client_may_do_what_everyone_may() {
    let accounts = Accounts::new("[everyone]\nallow = [\"read write lobby\", \"read news\"]");
    let server = accounts.serve();
    let mut one = server.join(&["lobby", "news"]);
    let mut other = server.join(&["lobby"]);
    one.say("lobby", "hello");
    other.expect("lobby", "hello");
    one.say("news", "x");
    let text = one.expect_error("unauthenticated");
    assert!(text.contains("write to \"news\" as everyone"), "{text}");
    other.register(&["lobby", "secret"]);
    let text = other.expect_error("unauthenticated");
    assert!(text.contains("read \"secret\" as everyone"), "{text}");
    other.say("lobby", "goes on");
    one.expect("lobby", "goes on");
}

#[test]
fn a_classic_client_is_known_by_its_address() {
    let text = "[users.devices]\nallow = [\"write lab\"]\n[users.watcher]\n\
                allow = [\"read lab\"]\n[[addresses]]\nfrom = \"127.0.0.2\"\nas = \"devices\"\n\
                [[addresses]]\nfrom = \"127.0.0.3\"\nas = \"watcher\"\n";
    let accounts = Accounts::new(text);
    let server = accounts.serve();
    let from = |ip: &str| Client::connect_from(ip.parse().unwrap(), server.addr());
    let mut watcher = from("127.0.0.3");
    watcher.send(b"{\"topics\":[\"lab\"],\"extended\":{}}");
    watcher.expect_event("registered");
    let mut device = from("127.0.0.2");
    device.join(&["lab"]);
    device.say("lab", "23.5");
    let frame = watcher.frame();
    assert_eq!(frame["message"]["text"], "23.5");
    assert_eq!(frame["extended"]["account"], "devices");
    watcher.say("lab", "x");
    let error = watcher.expect_extended_error("forbidden");
    assert_eq!(error["text"], "you may not write to \"lab\" as watcher");
    // It only writes, so nothing comes to it, and its last words arrive.
    device.say("lab", "24");
    device.finish_sending();
    device.expect_end();
    assert_eq!(watcher.frame()["message"]["text"], "24");
}
