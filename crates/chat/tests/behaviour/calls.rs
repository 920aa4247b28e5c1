//! Direct calls beside a topic, as a person sees them.

use std::net::TcpStream;

use crate::peer::Peer;
#[cfg(target_os = "linux")]
use crate::peer::Silent;
use crate::pictures::{Other, joined};
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

/// Somebody calls, is told to try again later, and ends.
fn calls_in_vain(port: &str) {
    let mut other = Process::chat(&["-direct", "0", &format!("127.0.0.1:{port}")]);
    other.notice("try again later");
    assert_eq!(other.exit_code(), 1);
}

#[test]
fn who_calls_while_somebody_else_does_is_told_so_and_the_person_sees_it() {
    let server = start_server();
    let port = free_port().to_string();
    let bob = joined(20, 70, &server, &["--name", "bob", "--listen", &port]);
    let _first = Process::chat(&["-direct", "0", &format!("127.0.0.1:{port}")]);
    bob.sees("somebody at 127.0.0.1 calls you");
    let _alice = Other::named("alice", &server, "t");
    bob.sees("alice has joined");
    calls_in_vain(&port);
    bob.sees("-- alice called while somebody at 127.0.0.1 was calling");
}

#[test]
fn who_calls_somebody_in_a_call_is_told_so_and_the_person_sees_it() {
    let server = start_server();
    let port = free_port().to_string();
    let bob = joined(20, 70, &server, &["--name", "bob", "--listen", &port]);
    let alice = joined(20, 70, &server, &[]);
    alice.types("/call bob\r");
    bob.sees("alice (127.0.0.1) calls you");
    bob.types("/accept\r");
    bob.sees("you talk with alice now");
    calls_in_vain(&port);
    bob.sees("-- alice called while you were in a call");
    // The call goes on, and its end is somebody else's.
    alice.types("still there?\r");
    bob.sees("direct:still there?");
    alice.types("/hangup\r");
    bob.sees("-- the call with alice has ended");
    assert_eq!(bob.rings(), 1);
}

#[test]
fn a_caller_is_called_by_the_names_of_those_who_are_there_now() {
    let server = start_server();
    let port = free_port().to_string();
    let bob = joined(20, 90, &server, &["--name", "bob", "--listen", &port]);
    let is_called = |expected: &str, told: &str| {
        let _caller = Process::chat(&["-direct", "0", &format!("127.0.0.1:{port}")]);
        bob.sees(&format!("!! {expected} calls you"));
        bob.types("/decline\r");
        bob.sees(&format!("-- {told} is told that you can't"));
    };
    let nobody = "somebody at 127.0.0.1";
    is_called(nobody, nobody);
    let alice = Other::named("alice", &server, "t");
    bob.sees("alice has joined");
    is_called("alice (127.0.0.1)", "alice");
    let _carol = Other::named("carol", &server, "t");
    bob.sees("carol has joined");
    is_called("alice or carol (127.0.0.1)", "alice or carol");
    drop(alice);
    bob.sees("alice has left");
    is_called("carol (127.0.0.1)", "carol");
    let _dave = Other::named("dave", &server, "t");
    bob.sees("dave has joined");
    let _erin = Other::named("erin", &server, "t");
    bob.sees("erin has joined");
    let many = "carol, dave or somebody else at 127.0.0.1";
    is_called(many, many);
}

#[test]
fn a_caller_who_hangs_up_calls_no_longer() {
    let server = start_server();
    let port = free_port().to_string();
    let bob = joined(20, 70, &server, &["--name", "bob", "--listen", &port]);
    let alice = joined(20, 70, &server, &[]);
    alice.types("/call bob\r");
    bob.sees("alice (127.0.0.1) calls you");
    alice.sees("it rings at bob's");
    alice.types("/hangup\r");
    bob.sees("-- alice has hung up");
    bob.types("/accept\r");
    bob.sees("-- nobody calls you");
    // Somebody else gets through.
    alice.types("/leave\r");
    alice.sees(" t · 2 here");
    alice.types("/call bob\r");
    alice.sees("it rings at bob's");
    alice.types("now?\r");
    bob.types("\u{15}/accept\r");
    bob.sees("direct:now?");
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
    // It must not be given up before it is hung up.
    let alice = joined(20, 70, &server, &["--connect-timeout", "600"]);
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
