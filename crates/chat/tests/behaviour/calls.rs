//! Direct calls beside a topic, as a person sees them.

use std::net::TcpStream;

use crate::peer::Peer;
#[cfg(target_os = "linux")]
use crate::peer::Silent;
use crate::pictures::joined;
use crate::process::{Process, free_port};
use crate::server::start_server;

#[test]
fn a_call_by_name_is_asked_about_first_and_then_talks_both_ways() {
    let server = start_server();
    let port = free_port().to_string();
    let bob = joined(20, 70, &server, &["--name", "bob", "--listen", &port]);
    let alice = joined(20, 70, &server, &[]);
    alice.types("/call bob\r");
    alice.sees("-- it rings at bob's");
    alice.sees(" @bob");
    alice.types("are you there?\r");
    bob.sees("!! alice (127.0.0.1) calls you: /accept or /decline");
    assert_eq!(bob.rings(), 1);
    bob.types("in the topic\r");
    alice.sees("1:t 1");
    assert!(!bob.sees("in the topic").contains("are you there?"));
    bob.types("/accept\r");
    bob.sees("alice  direct:are you there?");
    bob.sees(" @alice");
    bob.types("yes\r");
    alice.sees("bob    direct:yes");
    alice.types("/hangup\r");
    bob.sees("-- the call with alice has ended");
    bob.types("hello?\r");
    // What was said to nobody is in the box again.
    bob.sees_above("not sent: nobody is on the line", "> hello?");
    bob.types("\u{15}/leave\r");
    bob.sees(" t · 2 here");
}

#[test]
fn a_call_that_is_declined_or_comes_to_nothing_is_said() {
    let server = start_server();
    let port = free_port().to_string();
    let bob = joined(20, 70, &server, &["--name", "bob", "--listen", &port]);
    let alice = joined(20, 70, &server, &[]);
    alice.types("/call carol\r");
    alice.sees("nobody here is called");
    alice.types("/call bob\r");
    bob.sees("calls you");
    bob.types("/decline\r");
    let picture = alice.sees("bob doesn't take the call now");
    assert!(!picture.contains("error:busy"), "{picture}");
    bob.types("/accept\r");
    bob.sees("-- nobody calls you");
}

#[test]
fn whom_a_server_knows_can_be_called_without_joining_anything() {
    let server = start_server();
    let port = free_port().to_string();
    let bob = joined(20, 70, &server, &["--name", "bob", "--listen", &port]);
    let mut caller = Process::chat(&["-direct", "0", &format!("bob@{server}")]);
    caller.notice(&format!("bob is at 127.0.0.1:{port}"));
    caller.types("psst");
    bob.sees("calls you");
    bob.types("/accept\r");
    bob.sees("direct:psst");
    bob.types("what?\r");
    assert_eq!(caller.line(), "direct:what?");
    let nobody = format!("carol@{server}");
    let mut nobody = Process::chat(&["-direct", "0", &nobody]);
    nobody.notice("can't call carol");
    assert_eq!(nobody.exit_code(), 1);
}

#[test]
fn a_block_that_is_pasted_in_a_call_arrives_whole() {
    const LINES: usize = 100;
    let server = start_server();
    let port = free_port().to_string();
    let bob = joined(20, 70, &server, &["--name", "bob", "--listen", &port]);
    let mut caller = Process::chat(&["-direct", "0", &format!("bob@{server}")]);
    caller.notice(&format!("bob is at 127.0.0.1:{port}"));
    bob.sees("calls you");
    bob.types("/accept\r");
    bob.sees(" @");
    let block: Vec<_> = (0..LINES).map(|number| format!("line {number}")).collect();
    bob.types(&format!("\u{1b}[200~{}\u{1b}[201~", block.join("\r")));
    bob.sees("100 lines: Enter asks");
    bob.types("\r");
    bob.sees("send these 100 lines?");
    bob.types("y\r");
    for line in block {
        assert_eq!(caller.line(), format!("direct:{line}"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_call_could_not_send_is_counted() {
    let server = start_server();
    let alice = joined(20, 70, &server, &[]);
    let silent = Silent::new();
    let port = silent.address.rsplit(':').next().unwrap();
    let mut carol = Peer::new(TcpStream::connect(&server).unwrap());
    let who = serde_json::json!({"user": "carol", "port": port});
    let registration = serde_json::json!({"topics": ["t"], "extended": who});
    carol.sends(registration.to_string().as_bytes());
    alice.sees("carol has joined");
    alice.types("/call carol\r");
    alice.sees("still connecting to");
    alice.types("are you there?\r");
    alice.types("hello?\r");
    alice.sees("2 unsent");
    alice.types("/hangup\r");
    alice.sees("!! 2 lines were not sent");
    alice.sees_above("you have hung up on carol", "  hello?");
}
