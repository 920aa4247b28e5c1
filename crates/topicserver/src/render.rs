//! Frames as they came → frames as extended connections get them, each with its
//! envelope: made once, whoever gets them, and kept as they are.

use wire::EnvelopeWriter;

use crate::run::Run;

/// Bytes of a run that are rendered into one piece, unless a single line is longer:
/// what is forgotten at once, and what a reader keeps from being forgotten who is
/// sent one line of it.
const PIECE: usize = 16 * 1024;

/// The lines of `run` with their envelopes, in pieces that have memory of their own.
/// They are numbered from `first` on; `None` for messages that aren't stored.
pub(crate) fn render(
    run: &Run,
    first: Option<u64>,
    envelope: &EnvelopeWriter,
) -> impl Iterator<Item = Run> {
    let mut rest = &run.bytes()[..];
    let mut next = first;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(cut(rest));
        rest = after;
        let run = render_piece(piece, next, envelope);
        next = next.map(|next| next + u64::from(run.count()));
        Some(run)
    })
}

/// Where a piece ends: after the last line that fits into it, or the first one.
fn cut(lines: &[u8]) -> usize {
    let within = &lines[..lines.len().min(PIECE)];
    let end = memchr::memrchr(b'\n', within).or_else(|| memchr::memchr(b'\n', lines));
    end.map_or(lines.len(), |end| end + 1)
}

fn render_piece(lines: &[u8], first: Option<u64>, envelope: &EnvelopeWriter) -> Run {
    let count = memchr::memchr_iter(b'\n', lines).count();
    // For a lone line, that is exact.
    let growth = envelope.growth(first.map(|first| first + count as u64 - 1));
    let mut rendered = Vec::with_capacity(lines.len() + count * growth);
    let (mut seq, mut start) = (first, 0);
    for end in memchr::memchr_iter(b'\n', lines) {
        envelope.write(seq, &lines[start..=end], &mut rendered);
        seq = seq.map(|seq| seq + 1);
        start = end + 1;
    }
    Run::owned(rendered.into(), u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(lines: &str, first: Option<u64>) -> (Vec<usize>, String) {
        let run = Run::new(lines.to_owned().into(), lines.lines().count() as u32);
        let envelope = EnvelopeWriter::new(5, None);
        let pieces: Vec<_> = render(&run, first, &envelope).collect();
        let counts = pieces.iter().map(|piece| piece.count() as usize).collect();
        let bytes: Vec<_> = pieces
            .iter()
            .flat_map(|piece| piece.bytes().to_vec())
            .collect();
        (counts, String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn every_line_gets_its_number() {
        let (counts, lines) = rendered("{\"a\":1}\n{\"b\":2}\n", Some(9));
        assert_eq!(counts, [2]);
        let expected = "{\"extended\":{\"seq\":9,\"time\":5},\"a\":1}\n\
                        {\"extended\":{\"seq\":10,\"time\":5},\"b\":2}\n";
        assert_eq!(lines, expected);
        assert!(rendered("{\"a\":1}\n", None).1.contains("\"stored\":false"));
    }

    #[test]
    fn long_runs_are_cut_between_lines() {
        let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(5000));
        let (counts, lines) = rendered(&line.repeat(7), Some(1));
        assert_eq!(counts, [3, 3, 1]);
        assert_eq!(lines.lines().count(), 7);
        assert!(lines.lines().last().unwrap().contains("\"seq\":7,"));
        let longer = format!("{{\"a\":\"{}\"}}\n", "x".repeat(2 * PIECE));
        assert_eq!(rendered(&longer.repeat(2), Some(1)).0, [1, 1]);
    }
}
