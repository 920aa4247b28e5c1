//! Protocol detection: which protocol a connection speaks, from its first bytes.
//!
//! The session that reads them asks here, and goes on if it is JSON. So a silent connection costs
//! nothing more, and JSON is read as before.

use crate::access::proxy;

/// The first byte of a TLS record that carries a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// What HTTP requests begin with.
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"OPTIONS ",
    b"PUT ",
    b"DELETE ",
    b"PATCH ",
    b"CONNECT ",
    b"TRACE ",
];

/// The protocol that the first bytes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JSON, or bytes that are no protocol. The JSON scanner gives the best error for those.
    Json,
    Http,
    Tls,
    /// JSON in plain text, where TLS is required.
    PlainJson,
    /// A PROXY header from a peer that isn't a trusted proxy.
    Proxy,
}

/// Which protocols are accepted. HTTP isn't among them, because it has its own answer for plain
/// text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// JSON or TLS.
    Both,
    /// JSON, because the connection is encrypted already.
    Json,
    /// TLS, because the server takes nothing else.
    Tls,
}

impl Protocol {
    /// The protocol of a connection with these first bytes. There must be at least one.
    pub(crate) fn of(bytes: &[u8], allowed: Allowed) -> Self {
        match (bytes.first(), allowed) {
            (Some(b'{'), Allowed::Both | Allowed::Json) => Self::Json,
            (Some(&TLS_HANDSHAKE), Allowed::Both | Allowed::Tls) => Self::Tls,
            (Some(b'A'..=b'Z'), _) if METHODS.iter().any(|method| begins_like(bytes, method)) => {
                Self::Http
            }
            _ if proxy::begins_with_header(bytes) => Self::Proxy,
            (_, Allowed::Tls) => Self::PlainJson,
            (_, Allowed::Both | Allowed::Json) => Self::Json,
        }
    }
}

/// Whether `bytes` begin with `method`, as far as they go.
fn begins_like(bytes: &[u8], method: &[u8]) -> bool {
    let length = bytes.len().min(method.len());
    bytes[..length] == method[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_protocol() {
        for (bytes, protocol) in [
            (&b"{"[..], Protocol::Json),
            (b" \n{", Protocol::Json),
            (b"\n", Protocol::Json),
            (b"G", Protocol::Http),
            (b"GET / HTTP/1.1\r\n", Protocol::Http),
            (b"POST /lab", Protocol::Http),
            (b"OPTIO", Protocol::Http),
            (b"\x16\x03\x01", Protocol::Tls),
            (b"PROXY TCP4 1.2.3.4", Protocol::Proxy),
            (b"\r\n\r\n\0\r\nQUIT\n\x21", Protocol::Proxy),
            (b"\r\n\r\n\0\r\n", Protocol::Json),
            (b"PROXY", Protocol::Json),
            (b"GOT / HTTP/1.1", Protocol::Json),
            (b"HELO there", Protocol::Json),
            (b"GET/", Protocol::Json),
            (b"get / HTTP/1.1", Protocol::Json),
            (b"[1]", Protocol::Json),
            (b"\0", Protocol::Json),
        ] {
            assert_eq!(Protocol::of(bytes, Allowed::Both), protocol, "{bytes:?}");
        }
    }

    #[test]
    fn tls_is_not_spoken_within_tls_and_json_not_where_it_must_be() {
        for (bytes, within, required) in [
            (&b"{"[..], Protocol::Json, Protocol::PlainJson),
            (b"\n", Protocol::Json, Protocol::PlainJson),
            (b"GOT / HTTP/1.1", Protocol::Json, Protocol::PlainJson),
            (b"GET / HTTP/1.1\r\n", Protocol::Http, Protocol::Http),
            (b"\x16\x03\x01", Protocol::Json, Protocol::Tls),
        ] {
            assert_eq!(Protocol::of(bytes, Allowed::Json), within, "{bytes:?}");
            assert_eq!(Protocol::of(bytes, Allowed::Tls), required, "{bytes:?}");
        }
    }
}
