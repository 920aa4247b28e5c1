//! Text as a part of a URL.

use std::fmt::Write as _;

/// Escapes every byte that means something in a URL, or that can't stand there.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing into memory can't fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
