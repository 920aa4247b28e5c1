//! PROXY headers, whole, cut and wrong.

use proptest::prelude::*;

use super::*;

/// A header of version 2.
fn binary(command: u8, transport: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    let fixed = [0x20 | command, transport, length[0], length[1]];
    [SIGNATURE, &fixed, rest].concat()
}

fn v4(rest: &[u8]) -> Vec<u8> {
    let addresses = [203, 0, 113, 9, 10, 0, 0, 1, 0x1f, 0x90, 0, 80];
    binary(1, 0x11, &[&addresses, rest].concat())
}

fn v6() -> Vec<u8> {
    let client: Ipv6Addr = "2001:db8::9".parse().unwrap();
    let ports = [0x1f, 0x90, 0, 80];
    let addresses = [&client.octets()[..], &[0; 16], &ports].concat();
    binary(1, 0x21, &addresses)
}

/// Headers and their clients.
fn headers() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
    vec![
        (
            line("TCP4 203.0.113.9 10.0.0.1 8080 80"),
            Some("203.0.113.9:8080"),
        ),
        (
            line("TCP6 2001:db8::9 ::1 8080 80"),
            Some("[2001:db8::9]:8080"),
        ),
        (line("UNKNOWN"), None),
        (line("UNKNOWN ffff::1 ffff::2 1 2"), None),
        (v4(b""), Some("203.0.113.9:8080")),
        (v4(&[3, 0, 4, 1, 2, 3, 4]), Some("203.0.113.9:8080")),
        (v6(), Some("[2001:db8::9]:8080")),
        (binary(0, 0, b""), None),
        (binary(0, 0x11, &[0; 12]), None),
        (binary(1, 0, b""), None),
        (binary(1, 0x31, &[0; 216]), None),
    ]
}

#[test]
fn a_header_is_read_wherever_it_is_cut() {
    for (header, client) in headers() {
        for cut in 0..header.len() {
            assert_eq!(scan(&header[..cut]), Ok(Scan::Partial), "{header:?} {cut}");
        }
        let expected = Scan::Header(Header {
            length: header.len(),
            client: client.map(|client| client.parse().unwrap()),
        });
        for rest in [&b""[..], b"{\"topics\":[]}", b"GET / HTTP/1.1\r\n"] {
            let bytes = [&header, rest].concat();
            assert_eq!(scan(&bytes).as_ref(), Ok(&expected));
            assert!(begins_with_header(&bytes));
        }
    }
}

#[test]
fn everything_else_is_no_header() {
    for bytes in [
        &b"{"[..],
        b"\n",
        b"\r\n{",
        b"\r\n\r\n{",
        b"\r\n\r\n\0\r\nQUIP",
        b"GET / HTTP/1.1",
        b"POST / HTTP/1.1",
        b"PROXYTCP4",
        b"PUT",
        b"\x16\x03\x01",
    ] {
        assert_eq!(scan(bytes), Ok(Scan::None), "{bytes:?}");
        assert!(!begins_with_header(bytes));
    }
    // It could still become one.
    for bytes in [&b""[..], b"P", b"PROXY", b"\r\n\r\n"] {
        assert_eq!(scan(bytes), Ok(Scan::Partial), "{bytes:?}");
    }
}

#[test]
fn what_is_wrong_with_a_header_is_known() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 8080\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 8080 80 7\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 808000 80\r\n",
        "PROXY TCP4 2001:db8::9 ::1 8080 80\r\n",
        "PROXY TCP6 203.0.113.9 10.0.0.1 8080 80\r\n",
        "PROXY UDP4 203.0.113.9 10.0.0.1 8080 80\r\n",
        "PROXY  TCP4 203.0.113.9 10.0.0.1 8080 80\r\n",
        "PROXY TCP4 203.0.113.9 10.0.0.1 8080 80\n",
        "PROXY TCP4 lab 10.0.0.1 8080 80\r\n",
    ] {
        assert_eq!(scan(line.as_bytes()), Err(ProxyError::BadLine), "{line:?}");
    }
    let long = [LINE_START, &[b'x'; MAX_LINE]].concat();
    assert_eq!(scan(&long), Err(ProxyError::LongLine));
    let mut old = v4(b"");
    old[12] = 0x11;
    assert_eq!(scan(&old), Err(ProxyError::Version(1)));
    assert_eq!(scan(&binary(2, 0, b"")), Err(ProxyError::Command(2)));
    let datagrams = binary(1, 0x12, &[0; 12]);
    assert_eq!(scan(&datagrams), Err(ProxyError::Transport(0x12)));
    for (transport, length) in [(0x11, 11), (0x21, 35)] {
        let short = binary(1, transport, &vec![0; length]);
        assert_eq!(scan(&short), Err(ProxyError::Short));
    }
    let long = binary(1, 0x11, &[0; MAX_HEADER - FIXED + 1]);
    assert_eq!(scan(&long[..FIXED]), Err(ProxyError::Long(MAX_HEADER + 1)));
}

proptest! {
    /// Nothing makes it panic, and it never asks for more than it would take.
    #[test]
    fn any_bytes_are_looked_at(
        start in prop_oneof![Just(LINE_START), Just(SIGNATURE), Just(&b""[..])],
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [start, &rest].concat();
        match scan(&bytes) {
            Ok(Scan::Header(header)) => prop_assert!(header.length <= bytes.len()),
            Ok(Scan::Partial) => prop_assert!(bytes.len() < MAX_HEADER),
            Ok(Scan::None) | Err(_) => {}
        }
    }
}
