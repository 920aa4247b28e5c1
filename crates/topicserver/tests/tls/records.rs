//! Records that no client of good will sends.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::common::tls::TlsEnd;
use crate::common::{Bystanders, Client, TestServer, registration};
use crate::server;

/// A connection that has registered, and then sends this beneath TLS. What it still gets.
fn breaks(server: &TestServer, sent: &[u8]) {
    let end = server::end_with(server.addr(), server::config()).unwrap();
    end.write_all(&registration(&["t"])).unwrap();
    let mut socket = end.socket();
    let _ = socket.write_all(sent);
    let _ = socket.shutdown(Shutdown::Write);
    // An alert, which the client's library understands, or the end.
    let mut bytes = [0; 4096];
    while end.read_some(&mut bytes).is_ok_and(|count| count > 0) {}
}

#[test]
fn records_that_are_too_long_damaged_or_foreign_end_their_connection_only() {
    let server = server::optional();
    let mut bystanders = Bystanders::on(&server);
    let record = |kind: u8, length: u16, content: &[u8]| {
        let [high, low] = length.to_be_bytes();
        [&[kind, 3, 3, high, low], content].concat()
    };
    // The longest that TLS 1.3 allows has 16 KiB and 256 bytes.
    for length in [16_384 + 1, 16_384 + 256 + 1, 16_384 + 2048 + 1, u16::MAX] {
        breaks(&server, &record(23, length, &vec![7; usize::from(length)]));
    }
    breaks(&server, &record(23, 40, &[7; 40]));
    breaks(&server, &record(22, 4, &[0; 4]));
    breaks(&server, &record(23, 0, &[]).repeat(100));
    breaks(
        &server,
        b"{\"message\":{\"topic\":\"t\",\"text\":\"in plain\"}}",
    );
    breaks(&server, b"GET / HTTP/1.1\r\n\r\n");
    breaks(&server, &[0xff; 100_000]);
    bystanders.talk();
}

#[test]
fn what_was_whole_before_a_damaged_record_is_relayed() {
    let server = server::optional();
    let mut watcher = server.join(&["t"]);
    let end: TlsEnd = server::end_with(server.addr(), server::config()).unwrap();
    let said = crate::common::message("t", "whole");
    end.write_all(&[registration(&["t"]), said].concat())
        .unwrap();
    end.socket().write_all(&[23, 3, 3, 0, 20, 1, 2, 3]).unwrap();
    end.socket().write_all(&[7; 17]).unwrap();
    watcher.expect("t", "whole");
    let mut rest = Vec::new();
    let _ = end.socket().read_to_end(&mut rest);
}

#[test]
fn a_record_may_come_byte_by_byte_and_a_half_one_may_wait() {
    let server = server::optional();
    let mut watcher = server.join(&["t"]);
    let end = server::end_with(server.addr(), server::config()).unwrap();
    let sealed = end.seal(&[registration(&["t"]), crate::common::message("t", "slowly")].concat());
    for byte in &sealed[..sealed.len() - 1] {
        end.socket().write_all(&[*byte]).unwrap();
    }
    // Others talk meanwhile, also to this one.
    let mut other = Client::connect(server.addr());
    other.join(&["t"]);
    other.say("t", "meanwhile");
    watcher.expect("t", "meanwhile");
    end.socket().write_all(&sealed[sealed.len() - 1..]).unwrap();
    watcher.expect("t", "slowly");
}
