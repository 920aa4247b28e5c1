//! Reading the value of `extended`, and saying what is wrong with it.

use serde::Deserialize;

use crate::FrameError;

/// Reads an object; `json` is valid JSON.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, FrameError> {
    // serde would take an array as an object's members in their order.
    if !json.starts_with(b"{") {
        return Err(FrameError::BadExtended("it is no object".into()));
    }
    serde_json::from_slice(json).map_err(|error| FrameError::BadExtended(plain_words(&error)))
}

/// The longest explanation that a peer is told, in characters: what is wrong may
/// quote what it sent, which may be long.
const LONGEST_EXPLANATION: usize = 120;

/// The text of `serde_json`'s error, without its line and column: a frame is one line, and
/// the peer cannot see from where the columns count.
fn plain_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let explanation = text.strip_suffix(&place).unwrap_or(&text);
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    explanation
        .chars()
        .map(shown)
        .take(LONGEST_EXPLANATION)
        .collect()
}
