//! The fast way through text: most of a frame is plain characters in strings.

/// What was found at the front of some bytes of a string.
pub(crate) struct Plain {
    /// Bytes before the first quotation mark, backslash or control character.
    pub(crate) length: usize,
    /// A byte beyond ASCII was found, here or just after.
    pub(crate) non_ascii: bool,
}

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH: u64 = ONES << 7;

/// Runs over plain text, eight bytes at a time.
#[inline]
pub(crate) fn plain_prefix(bytes: &[u8]) -> Plain {
    let mut length = 0;
    let mut seen = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        seen |= word;
        let special = special_bytes(word);
        if special != 0 {
            length += (special.trailing_zeros() / 8) as usize;
            return Plain {
                length,
                non_ascii: seen & HIGH != 0,
            };
        }
        length += 8;
    }
    let plain = rest.iter().take_while(|byte| is_plain(**byte)).count();
    Plain {
        length: length + plain,
        non_ascii: seen & HIGH != 0 || !rest.is_ascii(),
    }
}

fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

/// The high bit of each byte of `word` that ends plain text. A borrow can also
/// set bits above the lowest one that is right, never below it.
#[inline]
fn special_bytes(word: u64) -> u64 {
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = is_zero(word ^ (ONES * b'"' as u64));
    let backslash = is_zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_ends_where_a_slow_reading_says(bytes in proptest::collection::vec(
            prop_oneof![4 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\'), 1 => 0u8..0x22], 0..64))
        {
            let slow = bytes.iter().take_while(|byte| is_plain(**byte)).count();
            let plain = plain_prefix(&bytes);
            prop_assert_eq!(plain.length, slow);
            prop_assert!(plain.non_ascii || bytes[..slow].is_ascii());
        }
    }
}
