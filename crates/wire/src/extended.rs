//! Reads the value of `extended`, and explains what is wrong with it.

use serde::Deserialize;

/// The longest explanation that a peer is sent, in characters: it may quote what the peer
/// sent, which may be long.
const LONGEST_EXPLANATION: usize = 120;

/// Why the value of `extended` can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtendedError {
    /// It is an array, a string or something else that has no members.
    #[error("it is no object")]
    NotAnObject,
    /// One of its members is missing, unknown, or not what it must be.
    #[error(transparent)]
    BadMember(#[from] MemberError),
}

/// What is wrong with a member of `extended`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{explanation}")]
pub struct MemberError {
    explanation: Box<str>,
}

/// Reads an object; `json` is valid JSON.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, ExtendedError> {
    // serde would take an array as an object's members in their order.
    if !json.starts_with(b"{") {
        return Err(ExtendedError::NotAnObject);
    }
    serde_json::from_slice(json).map_err(|error| MemberError::new(&error).into())
}

impl MemberError {
    /// The text of `serde_json`'s error, without its line and column: a frame is one line,
    /// and the peer cannot see from where the columns count.
    fn new(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let explanation = text.strip_suffix(&place).unwrap_or(&text);
        let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let explanation = explanation.chars().map(shown).take(LONGEST_EXPLANATION);
        Self {
            explanation: explanation.collect(),
        }
    }
}
