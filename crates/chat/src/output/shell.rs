//! Words of a command line that can be copied into a shell.

use std::fmt;

/// A word, quoted if a shell would read anything else in it.
pub(crate) struct Word<T>(pub(crate) T);

impl<T: AsRef<str>> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.0.as_ref();
        let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+,=".contains(c);
        if !word.is_empty() && word.chars().all(is_plain) {
            return f.write_str(word);
        }
        write!(f, "'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::Word;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        for (word, quoted) in [
            ("lab-3.example:20000", "lab-3.example:20000"),
            ("grüße", "grüße"),
            ("[::1]:20000", "'[::1]:20000'"),
            ("two words", "'two words'"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(Word(word).to_string(), quoted);
        }
    }
}
