//! Writes the messages of a history as lines, and the list of its topics.

use std::io::Write as _;

use bytes::Bytes;

use super::facts::Size;
use super::lines::{About, End, Parts, lines_of, write_text};
use super::walk::{Passing, Visitor, Whole};
use crate::history::entry::{Entry, RememberedId};
use crate::store::error::Damaged;
use crate::store::record;

/// Whether an export has what the server needs to go on where the old one was: its secret, the
/// hashes of the messages' ids and the numbers of their publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    With,
    Without,
}

/// Writes everything.
pub(super) struct Export {
    ids: Ids,
    /// Whether the lines besides the messages are written.
    is_framed: bool,
    end: End,
    /// The beginning of each line of the topic: its name and epoch.
    head: Vec<u8>,
}

impl Export {
    pub(super) fn new(ids: Ids) -> Self {
        Self {
            ids,
            is_framed: true,
            end: End::default(),
            head: Vec::new(),
        }
    }

    /// Writes messages and nothing else.
    pub(super) fn of_messages() -> Self {
        Self {
            is_framed: false,
            ..Self::new(Ids::Without)
        }
    }

    fn entries(&mut self, topic: &Passing, entries: &[Entry], ids: &[RememberedId]) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in entries {
            if let Err(error) = self.entry(topic, entry, ids, &mut out) {
                let (name, seq) = (Some(&*topic.facts.name), Some(entry.first));
                self.problem(name, seq, &error, &mut out);
            }
        }
        out
    }

    fn entry(
        &mut self,
        topic: &Passing,
        entry: &Entry,
        ids: &[RememberedId],
        out: &mut Vec<u8>,
    ) -> Result<(), Damaged> {
        let lines = lines_of(&entry.lines, entry.count)?;
        for (seq, line) in (entry.first..).zip(lines) {
            if (topic.start..topic.end).contains(&seq) {
                let id = ids.binary_search_by_key(&seq, |id| id.seq);
                let id = id.ok().and_then(|at| ids.get(at));
                self.message(seq, entry, line, id, out)?;
            }
        }
        Ok(())
    }

    fn message(
        &mut self,
        seq: u64,
        entry: &Entry,
        line: &[u8],
        id: Option<&RememberedId>,
        out: &mut Vec<u8>,
    ) -> Result<(), Damaged> {
        let not_text = |_| Damaged("a message that isn't UTF-8");
        let Parts { envelope, frame } = Parts::of(seq, line)?;
        let (key, text) = match &frame {
            Some(frame) => ("frame", std::str::from_utf8(frame)),
            None => ("line", std::str::from_utf8(line)),
        };
        let text = text.map_err(not_text)?;
        out.extend_from_slice(&self.head);
        // Writing into memory can't fail, here and below.
        let _ = write!(out, "\"seq\":{seq}");
        if let Some(time) = envelope.time {
            let _ = write!(out, ",\"time\":{time}");
        }
        if envelope.time != Some(entry.time) {
            let _ = write!(out, ",\"index\":{}", entry.time);
        }
        for (key, name) in [("user", &envelope.user), ("account", &envelope.account)] {
            if let Some(name) = name {
                let _ = write!(out, ",\"{key}\":");
                write_text(name, out);
            }
        }
        if self.ids == Ids::With && entry.publisher != 0 {
            let _ = write!(out, ",\"publisher\":\"{:016x}\"", entry.publisher);
        }
        if let Some(id) = id {
            let _ = write!(out, ",\"id\":[\"{:016x}\",\"{:016x}\"]", id.origin, id.id);
        }
        let _ = write!(out, ",\"{key}\":");
        write_text(text, out);
        out.extend_from_slice(b"}\n");
        self.end.messages += 1;
        Ok(())
    }
}

impl Visitor for Export {
    fn begin(&mut self, whole: &Whole, out: &mut Vec<u8>) {
        if self.is_framed {
            let about = About {
                time: whole.now.stamp,
                secret: whole.secret.filter(|_| self.ids == Ids::With),
                corrections: &whole.corrections,
            };
            about.write(out);
        }
    }

    fn topic(&mut self, topic: &Passing, _: &Size, out: &mut Vec<u8>) {
        let facts = &topic.facts;
        self.head = b"{\"topic\":".to_vec();
        write_text(&facts.name, &mut self.head);
        let _ = write!(self.head, ",\"epoch\":\"{}\",", facts.epoch());
        if let Some(lost) = &facts.lost {
            let what = format!("the messages {} to {} are lost", lost.start(), lost.end());
            self.problem(Some(&facts.name), Some(*lost.start()), &what, out);
        }
    }

    fn record(&mut self, topic: &Passing, seq: u64, record: Bytes, out: &mut Vec<u8>) {
        let ids = match self.ids {
            Ids::With => record::read_ids(seq, &record),
            Ids::Without => Ok(Vec::new()),
        };
        match (record::read_history(seq, record), ids) {
            (Ok(entries), Ok(ids)) => {
                let lines = self.entries(topic, &entries, &ids);
                out.extend_from_slice(&lines);
            }
            (Err(error), _) | (_, Err(error)) => {
                self.problem(Some(&topic.facts.name), Some(seq), &error, out);
            }
        }
    }

    fn leave(&mut self, topic: &Passing, out: &mut Vec<u8>) {
        self.end.topics += 1;
        if self.is_framed {
            let facts = &topic.facts;
            out.extend_from_slice(b"{\"head\":");
            out.extend_from_slice(&self.head);
            let (first, seq) = (facts.first, facts.next.saturating_sub(1));
            let _ = writeln!(out, "\"first\":{first},\"seq\":{seq}}}}}");
        }
    }

    fn counts(&mut self) -> &mut End {
        &mut self.end
    }
}

/// Writes a line for each topic.
#[derive(Default)]
pub(super) struct Topics {
    end: End,
}

impl Visitor for Topics {
    fn begin(&mut self, _: &Whole, _: &mut Vec<u8>) {}

    fn wants_records(&self) -> bool {
        false
    }

    fn topic(&mut self, topic: &Passing, size: &Size, out: &mut Vec<u8>) {
        let facts = &topic.facts;
        let (first, seq) = (facts.first, facts.next.saturating_sub(1));
        let messages = facts.next.saturating_sub(first);
        self.end.topics += 1;
        self.end.messages += messages;
        out.extend_from_slice(b"{\"topic\":");
        write_text(&facts.name, out);
        let _ = write!(
            out,
            ",\"epoch\":\"{}\",\"messages\":{messages},\"first\":{first},\"seq\":{seq},\"bytes\":{}",
            facts.epoch(),
            size.bytes
        );
        if size.time > 0 {
            let _ = write!(out, ",\"time\":{}", size.time);
        }
        out.extend_from_slice(b"}\n");
    }

    fn record(&mut self, _: &Passing, _: u64, _: Bytes, _: &mut Vec<u8>) {}

    fn leave(&mut self, _: &Passing, _: &mut Vec<u8>) {}

    fn counts(&mut self) -> &mut End {
        &mut self.end
    }
}
