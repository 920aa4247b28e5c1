//! The fingerprint of a server's public key.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use base64::Engine as _;
use base64::engine::DecodePaddingMode::Indifferent;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

/// The prefix of a pin as a text.
const PREFIX: &str = "sha256:";

/// The usual alphabet. A pin may be copied without the `=` at its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(Indifferent),
);

/// SHA-256 of a certificate's public key, with its algorithm (the `SubjectPublicKeyInfo`).
///
/// It is of the key and not of the certificate, so it stays the same when a server renews its
/// certificate. As a text it is `sha256:` and base64; other programs compute the same value
/// for `curl --pinnedpubkey`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin([u8; SHA256_OUTPUT_LEN]);

/// A text is no pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fingerprint of a key: it is sha256: and 44 characters of base64")]
pub struct PinError(String);

impl Pin {
    /// The pin of a key, which is given as `SubjectPublicKeyInfo` in DER.
    pub fn of_key(key: &[u8]) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, key).as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PinError(text.into());
        let encoded = text.strip_prefix(PREFIX).ok_or_else(error)?;
        let bytes = BASE64.decode(encoded).map_err(|_| error())?;
        Ok(Self(bytes.try_into().map_err(|_| error())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_it_is_written() {
        let pin = Pin::of_key(b"");
        let text = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(pin.to_string(), text);
        assert_eq!(text.parse(), Ok(pin));
        assert_eq!(text.trim_end_matches('=').parse(), Ok(pin));
        assert_ne!(Pin::of_key(b"x"), pin);
    }

    #[test]
    fn anything_else_is_no_pin() {
        for text in [
            "",
            "sha256:",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==",
            "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFVV",
            "sha256:*7DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ] {
            let error = text.parse::<Pin>().expect_err(text);
            assert!(error.to_string().contains("44 characters"), "{error}");
        }
    }
}
