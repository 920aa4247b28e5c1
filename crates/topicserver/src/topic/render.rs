//! Encodes frames as extended connections get them, each with its envelope. They are encoded once
//! for all receivers, and kept in this form.

use std::sync::Arc;

use bytes::Bytes;
use wire::{EnvelopeWriter, UserName};

use crate::identity::Identity;
use crate::outbox::batch::Batch;
use crate::topic::publication::Publication;

/// Bytes that are encoded into one piece of memory, unless a single line is longer. A piece is
/// freed as a whole: a reader to whom one line of it is still being sent keeps all of it.
const PIECE: usize = 16 * 1024;

/// What an envelope without a name adds to a frame, with a number of one digit.
const ENVELOPE_COST: usize = r#""extended":{"seq":1,"time":1763796000123},"#.len();

/// What a name adds, without the name itself.
const NAME_COST: usize = r#","user":"""#.len();

/// What an account adds, without the account itself.
const ACCOUNT_COST: usize = r#","account":"""#.len();

/// Encodes messages that were published at this time in this epoch of their topic, and numbered
/// from `first` on; `None` for messages that aren't stored.
pub(crate) fn render(
    publications: &[Publication],
    time: u64,
    first: Option<u64>,
    epoch: u64,
) -> Vec<EncodedBatch> {
    let mut envelopes = Envelopes::at(time);
    let mut next = first;
    let size = rendered_size(publications, first.unwrap_or(0));
    let mut renderer = Renderer::new(size, epoch);
    for (index, publication) in publications.iter().enumerate() {
        let envelope = envelopes.of(publication.identity.as_ref());
        renderer.add(index, &publication.batch, next, envelope);
        next = next.map(|next| next + u64::from(publication.batch.count()));
    }
    renderer.finish()
}

/// Encodes what was published at one moment into a few pieces of memory, because an allocation
/// for each message costs more than its encoding.
struct Renderer {
    /// Roughly how many bytes are still to be encoded.
    expected: usize,
    /// The piece of memory that is being filled, and the parts in it.
    memory: Vec<u8>,
    open: Vec<Open>,
    done: Vec<EncodedBatch>,
    /// The epoch of the topic.
    epoch: u64,
}

/// A part of the piece that is being filled.
struct Open {
    publication: usize,
    first: Option<u64>,
    count: u32,
    start: usize,
}

/// Consecutive lines of one publication, encoded.
#[derive(Debug)]
pub(crate) struct EncodedBatch {
    /// The index of the publication.
    pub(crate) publication: usize,
    /// The sequence number of its first message; `None` if it isn't stored.
    pub(crate) first: Option<u64>,
    pub(crate) batch: Batch,
}

impl Renderer {
    /// A renderer for messages of this many bytes, with their envelopes, in an epoch of their
    /// topic.
    fn new(expected: usize, epoch: u64) -> Self {
        Self {
            expected,
            epoch,
            memory: Vec::new(),
            open: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Renders the lines of a publication, numbered from `first` on; `None` for
    /// messages that aren't stored.
    fn add(
        &mut self,
        publication: usize,
        batch: &Batch,
        mut first: Option<u64>,
        envelope: &EnvelopeWriter,
    ) {
        let lines = batch.bytes();
        let (mut start, mut count) = (0, 0);
        self.begin(publication, first);
        for end in memchr::memchr_iter(b'\n', lines) {
            let line = &lines[start..=end];
            let seq = first.map(|first| first + u64::from(count));
            let size = line.len() + envelope.growth(seq);
            if self.memory.capacity() - self.memory.len() < size {
                self.end(count);
                self.seal(size);
                (first, count) = (seq, 0);
                self.begin(publication, first);
            }
            envelope.write(seq, line, &mut self.memory);
            count += 1;
            start = end + 1;
        }
        self.end(count);
    }

    /// Everything that was encoded, in its order.
    fn finish(mut self) -> Vec<EncodedBatch> {
        self.seal(0);
        self.done
    }

    fn begin(&mut self, publication: usize, first: Option<u64>) {
        self.open.push(Open {
            publication,
            first,
            count: 0,
            start: self.memory.len(),
        });
    }

    fn end(&mut self, count: u32) {
        match self.open.last_mut() {
            Some(open) if count > 0 => open.count = count,
            _ => drop(self.open.pop()),
        }
    }

    /// Finishes this piece of memory, and begins another one with room for at least `size` bytes.
    fn seal(&mut self, size: usize) {
        let filled = Bytes::from(std::mem::take(&mut self.memory));
        self.expected = self.expected.saturating_sub(filled.len());
        let mut end = filled.len();
        let at = self.done.len();
        for open in self.open.drain(..).rev() {
            let batch = Batch::owned(filled.slice(open.start..end), open.count);
            self.done.push(EncodedBatch {
                publication: open.publication,
                first: open.first,
                batch: batch.of_epoch(self.epoch),
            });
            end = open.start;
        }
        self.done[at..].reverse();
        self.memory
            .reserve_exact(self.expected.min(PIECE).max(size));
    }
}

/// The envelopes of one moment. Mostly all of them have the same publisher.
struct Envelopes {
    time: u64,
    last: Option<(Option<Arc<Identity>>, EnvelopeWriter)>,
}

impl Envelopes {
    fn at(time: u64) -> Self {
        Self { time, last: None }
    }

    fn of(&mut self, identity: Option<&Arc<Identity>>) -> &EnvelopeWriter {
        let time = self.time;
        let is_same =
            |(last, _): &(Option<Arc<Identity>>, _)| names(last.as_ref()) == names(identity);
        if !self.last.as_ref().is_some_and(is_same) {
            self.last = None;
        }
        let make = || {
            let (user, account) = names(identity);
            let writer = EnvelopeWriter::new(time, user, account);
            (identity.cloned(), writer)
        };
        &self.last.get_or_insert_with(make).1
    }
}

/// The name and the account that an envelope shows.
fn names(identity: Option<&Arc<Identity>>) -> (Option<&UserName>, Option<&UserName>) {
    identity.map_or((None, None), |identity| {
        (identity.user.as_ref(), identity.account.as_ref())
    })
}

/// Estimates how many bytes messages take with their envelopes. For a single message without a
/// name it is exact.
fn rendered_size(publications: &[Publication], next: u64) -> usize {
    let size = |publication: &Publication| {
        let (user, account) = names(publication.identity.as_ref());
        let name = user.map_or(0, |user| NAME_COST + user.as_str().len());
        let account = account.map_or(0, |account| ACCOUNT_COST + account.as_str().len());
        let growth = ENVELOPE_COST + next.checked_ilog10().unwrap_or(0) as usize + name + account;
        publication.batch.bytes().len() + publication.batch.count() as usize * growth
    };
    publications.iter().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(lines: &str, first: Option<u64>) -> (Vec<usize>, String) {
        let batch = Batch::new(lines.to_owned().into(), lines.lines().count() as u32);
        let envelope = EnvelopeWriter::new(5, None, None);
        let expected = lines.len() + lines.lines().count() * envelope.growth(first);
        let mut renderer = Renderer::new(expected, 0);
        renderer.add(0, &batch, first, &envelope);
        let parts = renderer.finish();
        let mut next = first;
        for part in &parts {
            assert_eq!((part.publication, part.first), (0, next));
            next = next.map(|next| next + u64::from(part.batch.count()));
        }
        let counts = parts
            .iter()
            .map(|part| part.batch.count() as usize)
            .collect();
        let bytes: Vec<_> = parts
            .iter()
            .flat_map(|part| part.batch.bytes().to_vec())
            .collect();
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
        let batch = Batch::new(Bytes::from_static(b"{\"a\":1}\n"), 1);
        let envelope = EnvelopeWriter::new(5, None, None);
        let size = batch.bytes().len() + envelope.growth(Some(1));
        let mut renderer = Renderer::new(3 * size, 0);
        for seq in 1..=3_u8 {
            renderer.add(seq.into(), &batch, Some(seq.into()), &envelope);
        }
        let parts = renderer.finish();
        assert_eq!(parts.len(), 3);
        let at = |part: &EncodedBatch| part.batch.bytes().as_ptr().addr();
        assert_eq!(at(&parts[1]), at(&parts[0]) + size);
        assert_eq!(at(&parts[2]), at(&parts[1]) + size);
    }
}
