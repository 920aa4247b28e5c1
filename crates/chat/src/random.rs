//! What nobody else can guess.
//!
//! The standard library keys each of its hashers with what the system's random
//! numbers gave it, so that nobody can foresee what they make of anything.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use wire::ClientKey;

/// A number nobody can foresee.
pub(crate) fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// So many hexadecimal digits.
pub(crate) fn digits(count: usize) -> String {
    let mut digits = String::new();
    while digits.len() < count {
        digits += &format!("{:016x}", number());
    }
    digits.truncate(count);
    digits
}

/// A client's secret: 128 bits.
pub(crate) fn client_key() -> ClientKey {
    const DIGITS: usize = 128 / 4;
    const { assert!(DIGITS <= ClientKey::MAX_BYTES) };
    ClientKey::new(&digits(DIGITS)).unwrap_or_else(|| unreachable!("its length is right"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hexadecimal_and_each_is_another() {
        let (one, other) = (client_key(), client_key());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 32);
        assert!(one.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one.as_str()[..16], one.as_str()[16..]);
    }
}
