//! The entry points of the fuzz targets: the parts of the transports that parse what peers send.
//! They are only compiled for cargo-fuzz (`cfg(fuzzing)`), and for tests, which try damaged seeds
//! of the corpus where cargo-fuzz isn't installed.

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
    // Before an error, more or fewer bytes may have been accepted.
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

/// Reads the head of a request as its handlers do. The parts that may go into a header of the
/// answer must be valid there.
pub fn http_head(request: &Request<()>) {
    http::fuzz_head(request, &Config::default());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::http::Request;
    use proptest::prelude::*;

    /// The files of a corpus.
    fn corpus(name: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        let files = std::fs::read_dir(folder.join(name)).unwrap();
        let seeds: Vec<_> = files
            .map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect();
        assert!(!seeds.is_empty());
        seeds
    }

    /// A seed with some bytes changed, and cut off somewhere.
    fn damaged(name: &str) -> impl Strategy<Value = Vec<u8>> {
        let change = (any::<prop::sample::Index>(), any::<u8>());
        let changes = prop::collection::vec(change, 0..4);
        let seed = prop::sample::select(corpus(name));
        (seed, changes, any::<prop::sample::Index>()).prop_map(|(mut seed, changes, end)| {
            for (at, byte) in changes {
                let at = at.index(seed.len());
                seed[at] = byte;
            }
            seed.truncate(1 + end.index(seed.len()));
            seed
        })
    }

    /// Parses the lines of a head, if they are valid.
    fn request(head: &[u8]) -> Option<Request<()>> {
        let mut lines = head.split(|byte| *byte == b'\n');
        let mut words = lines.next()?.split(|byte| *byte == b' ');
        let mut request = Request::builder().method(words.next()?).uri(words.next()?);
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':');
            let Some((name, value)) = colon.map(|colon| line.split_at(colon)) else {
                break;
            };
            request = request.header(name, value[1..].trim_ascii());
        }
        request.body(()).ok()
    }

    proptest! {
        #[test]
        fn damaged_frames_are_read_alike_however_they_are_cut(
            bytes in damaged("websocket"),
            size in 1..20_usize,
        ) {
            super::websocket(&bytes, size);
        }

        #[test]
        fn damaged_heads_are_read_without_a_panic(head in damaged("http_head")) {
            if let Some(request) = request(&head) {
                super::http_head(&request);
            }
        }
    }

    #[test]
    fn the_seeds_are_heads() {
        for seed in corpus("http_head") {
            super::http_head(&request(&seed).unwrap());
        }
    }
}
