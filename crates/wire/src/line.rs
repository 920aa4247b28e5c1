//! A frame as it is written: one line.

use serde::ser::Serialize;

/// Writing strings into memory can't fail; were it to, nothing is written.
pub(crate) fn to_line(frame: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(frame).unwrap_or_default();
    line.push(b'\n');
    line
}
