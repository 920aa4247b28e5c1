//! What the fuzz targets call: the parts of the doors that read what peers send. It is only
//! there when cargo-fuzz builds (`cfg(fuzzing)`).

use axum::extract::Request;

use crate::config::Config;
use crate::http;
use crate::websocket::reader::FrameReader;

/// Bytes of a message that the targets allow.
const MAX: usize = 1000;

/// Reads WebSocket frames that come whole, and the same in pieces of at most `size` bytes:
/// both must give the same.
pub fn websocket(bytes: &[u8], size: usize) {
    let (lines, pongs, end) = frames(bytes, bytes.len().max(1));
    let (pieces, pongs_of_pieces, end_of_pieces) = frames(bytes, size.max(1));
    assert_eq!(end, end_of_pieces);
    assert_eq!(pongs, pongs_of_pieces);
    // Of what is wrong, more or less may have been taken before.
    let is_prefix = lines.starts_with(&pieces) || pieces.starts_with(&lines);
    assert!(is_prefix && (end.is_some() || lines == pieces));
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        assert!(line.len() <= bytes.len() + 1);
    }
}

/// The bytes of the messages, what is sent back, and why nothing more is read.
fn frames(bytes: &[u8], size: usize) -> (Vec<u8>, Vec<u8>, Option<String>) {
    let mut reader = FrameReader::new(MAX);
    let (mut lines, mut pongs) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        if reader.take_line_end() {
            lines.push(b'\n');
        }
        let mut piece = piece.to_vec();
        let decoded = reader.decode(&mut piece);
        lines.extend(&piece[..decoded.length]);
        pongs.extend(decoded.pongs);
        if let Some(end) = decoded.end {
            return (lines, pongs, Some(format!("{end:?}")));
        }
    }
    if reader.take_line_end() {
        lines.push(b'\n');
    }
    (lines, pongs, None)
}

/// Reads the head of a request as its handlers do. What of it may stand in a header of the
/// answer must be fit for one.
pub fn http_head(request: &Request<()>) {
    http::fuzz_head(request, &Config::default());
}
