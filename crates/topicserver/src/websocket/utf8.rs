//! Checks that text that comes in pieces is UTF-8.

/// The beginning of an incomplete character.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    bytes: [u8; 4],
    length: u8,
}

/// The bytes aren't UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

impl Utf8 {
    /// Checks the next piece.
    pub(super) fn take(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while self.length > 0 {
            let Some((first, rest)) = piece.split_first() else {
                return Ok(());
            };
            self.bytes[usize::from(self.length)] = *first;
            self.length += 1;
            piece = rest;
            match std::str::from_utf8(&self.bytes[..usize::from(self.length)]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return Err(NotUtf8),
                Err(_) => {}
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(NotUtf8),
            Err(error) => {
                let begun = &piece[error.valid_up_to()..];
                self.bytes[..begun.len()].copy_from_slice(begun);
                self.length = begun.len() as u8;
                Ok(())
            }
        }
    }

    /// Ends the text: an incomplete character is an error.
    pub(super) fn finish(&mut self) -> Result<(), NotUtf8> {
        match std::mem::take(&mut self.length) {
            0 => Ok(()),
            _ => Err(NotUtf8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&[u8]]) -> bool {
        let mut utf8 = Utf8::default();
        pieces.iter().all(|piece| utf8.take(piece).is_ok()) && utf8.finish().is_ok()
    }

    #[test]
    fn text_may_be_cut_anywhere() {
        let text = "a\u{e9}\u{20ac}\u{1f600}z";
        for cut in 0..=text.len() {
            let (one, two) = text.as_bytes().split_at(cut);
            assert!(check(&[one, two]), "{cut}");
        }
        let bytes: Vec<_> = text.as_bytes().chunks(1).collect();
        assert!(check(&bytes));
    }

    #[test]
    fn what_is_no_text_is_found_as_soon_as_it_can_be() {
        for wrong in [
            &[&b"\xff"[..]][..],
            &[b"\xc3", b"x"],
            &[b"\xed", b"\xa0"],
            &[b"\xf4", b"\x90"],
            &[b"\xc3"],
            &[b"\xf0\x9f", b"\x98"],
        ] {
            assert!(!check(wrong), "{wrong:?}");
        }
        // A surrogate is detected at its second byte.
        let mut utf8 = Utf8::default();
        assert!(utf8.take(b"\xed").is_ok());
        assert_eq!(utf8.take(b"\xa0"), Err(NotUtf8));
    }
}
