//! The proof to a client that its request for a WebSocket was understood.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// RFC 6455, 1.3: appended to the client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The answer to a client's key; `None` if it is no key: sixteen bytes in base 64.
pub(crate) fn accept(key: &[u8]) -> Option<String> {
    let nonce = STANDARD.decode(key).ok()?;
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    (nonce.len() == 16).then(|| STANDARD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_answer_that_the_rfc_gives() {
        let accepted = accept(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accepted.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        for wrong in [
            &b""[..],
            b"x",
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZQ==",
        ] {
            assert_eq!(accept(wrong), None, "{wrong:?}");
        }
    }
}
