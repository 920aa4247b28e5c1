//! Frames as they came → frames as extended connections get them, each with its
//! envelope: made once, whoever gets them, and kept as they are.

use bytes::{Bytes, BytesMut};
use wire::EnvelopeWriter;

use crate::run::Run;

/// Bytes that are rendered into one piece of memory, unless a single line is longer:
/// what is forgotten at once, and what a reader keeps from being forgotten who is
/// sent one line of it.
const PIECE: usize = 16 * 1024;

/// Renders what was published at one moment. What belongs together lies together, in
/// few pieces of memory, because an allocation for each message costs more than its
/// rendering.
pub(crate) struct Renderer {
    /// Bytes that are still to be rendered, at least.
    expected: usize,
    memory: BytesMut,
    line: Vec<u8>,
}

impl Renderer {
    /// For messages of so many bytes, with their envelopes.
    pub(crate) fn new(expected: usize) -> Self {
        Self {
            expected,
            memory: BytesMut::new(),
            line: Vec::new(),
        }
    }

    /// Renders the lines of `run`, numbered from `first` on; `None` for messages that
    /// aren't stored. Hands over parts of it in their order.
    pub(crate) fn render(
        &mut self,
        run: &Run,
        first: Option<u64>,
        envelope: &EnvelopeWriter,
        mut give: impl FnMut(Run),
    ) {
        let lines = run.bytes();
        let (mut start, mut count, mut seq) = (0, 0, first);
        for end in memchr::memchr_iter(b'\n', lines) {
            self.line.clear();
            envelope.write(seq, &lines[start..=end], &mut self.line);
            if !self.has_room() {
                self.give(&mut count, &mut give);
                self.make_room();
            }
            self.memory.extend_from_slice(&self.line);
            count += 1;
            seq = seq.map(|seq| seq + 1);
            start = end + 1;
        }
        self.give(&mut count, &mut give);
    }

    fn has_room(&self) -> bool {
        self.line.len() <= self.memory.capacity() - self.memory.len()
    }

    /// Takes memory for what is to come, as far as it goes into one piece.
    fn make_room(&mut self) {
        let size = self.expected.min(PIECE).max(self.line.len());
        self.memory = BytesMut::with_capacity(size);
    }

    fn give(&mut self, count: &mut u32, give: &mut impl FnMut(Run)) {
        if *count > 0 {
            let bytes: Bytes = self.memory.split().freeze();
            self.expected = self.expected.saturating_sub(bytes.len());
            give(Run::owned(bytes, *count));
            *count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(lines: &str, first: Option<u64>) -> (Vec<usize>, String) {
        let run = Run::new(lines.to_owned().into(), lines.lines().count() as u32);
        let envelope = EnvelopeWriter::new(5, None);
        let (mut counts, mut bytes) = (Vec::new(), Vec::new());
        let expected = lines.len() + lines.lines().count() * envelope.growth(first);
        Renderer::new(expected).render(&run, first, &envelope, |piece| {
            counts.push(piece.count() as usize);
            bytes.extend_from_slice(piece.bytes());
        });
        (counts, String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn every_line_gets_its_number() {
        let (counts, lines) = rendered("{\"a\":1}\n{\"b\":2}\n", Some(1));
        assert_eq!(counts, [2]);
        let expected = "{\"extended\":{\"seq\":1,\"time\":5},\"a\":1}\n\
                        {\"extended\":{\"seq\":2,\"time\":5},\"b\":2}\n";
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

    #[test]
    fn what_is_published_together_lies_together() {
        let run = Run::new(Bytes::from_static(b"{\"a\":1}\n"), 1);
        let envelope = EnvelopeWriter::new(5, None);
        let size = run.bytes().len() + envelope.growth(Some(1));
        let mut renderer = Renderer::new(3 * size);
        let mut parts = Vec::new();
        for seq in 1..=3 {
            renderer.render(&run, Some(seq), &envelope, |part| parts.push(part));
        }
        assert_eq!(parts.len(), 3);
        let at = |part: &Run| part.bytes().as_ptr().addr();
        assert_eq!(at(&parts[1]), at(&parts[0]) + size);
        assert_eq!(at(&parts[2]), at(&parts[1]) + size);
    }
}
