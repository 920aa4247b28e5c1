//! Makes a history of exported lines: the same messages with the same numbers, in the same
//! epochs. Nothing can be opened before all of it is there.

mod error;
mod input;

use std::io::{self, BufRead};
use std::path::Path;

use bytes::Bytes;
use tokio::sync::oneshot;
use wire::TopicName;

use super::lines::{End, Head, Line};
use super::offline::{self, KEEP};
use crate::clock::Correction;
use crate::history::entry::{Entry, RememberedId};
use crate::store::catalogue;
use crate::store::database::CommitError;
use crate::store::directory::Directory;
use crate::store::error::OpenError;
use crate::store::types::{RecordBatch, TopicId};
use crate::store::writer::Writer;
use crate::store::writer::group::Access;
use crate::store::writer::queue::Request;
use crate::store::writer::{SECRET, corrections};
pub use error::{ImportError, LineError};
use input::{Lines, Message, check_version, epoch_of, hexadecimal, read_message};

/// Bytes of messages that are one record, unless a single one is longer.
const RECORD: usize = 64 * 1024;

/// Bytes that are written and flushed together: a flush costs little beside them.
const GROUP: usize = 8 * 1024 * 1024;

/// The same in requests, and in topics.
const REQUESTS: usize = 4096;

/// Imports the lines of an export into an empty directory, or one that is made. Returns what
/// there was.
pub(crate) fn import(directory: &Path, input: impl BufRead) -> Result<End, ImportError> {
    let mut import = Import::begin(directory)?;
    let mut lines = Lines::of(input);
    let at = |number, what| ImportError::Line { number, what };
    while let Some((number, line)) = lines.next()? {
        if let Some(end) = import.line(number, line)? {
            if let Some((number, _)) = lines.next()? {
                let what = LineError::Wrong("it comes after the last one");
                return Err(at(number, what));
            }
            import.finish(directory)?;
            return Ok(end);
        }
    }
    Err(at(lines.number, LineError::CutOff))
}

/// A topic whose lines are being read.
struct Topic {
    id: TopicId,
    name: TopicName,
    epoch: u64,
    next: u64,
    /// The messages that become one record.
    batch: RecordBatch,
    /// Lines of the entry that is being put together.
    lines: Vec<u8>,
    bytes: usize,
}

/// A topic of which all lines were read.
struct Complete {
    id: TopicId,
    first: u64,
    seq: u64,
}

struct Import {
    writer: Writer,
    has_begun: bool,
    topic: Option<Box<Topic>>,
    /// The name of the last topic that has begun.
    last: Option<TopicName>,
    group: Vec<Request>,
    bytes: usize,
    complete: Vec<Complete>,
    found: End,
}

impl Import {
    fn begin(directory: &Path) -> Result<Self, ImportError> {
        if !is_empty(directory)? {
            return Err(ImportError::NotEmpty(directory.to_owned()));
        }
        if directory.exists() {
            Directory::check_owner(directory)?;
        }
        let (clock, settings) = (offline::clock(), offline::settings());
        let (writer, _) = Writer::open(directory, KEEP, clock, settings)?;
        let marked = writer.directory.set_unfinished();
        marked.map_err(|cause| ImportError::Write {
            path: directory.to_owned(),
            cause,
        })?;
        Ok(Self {
            writer,
            has_begun: false,
            topic: None,
            last: None,
            group: Vec::new(),
            bytes: 0,
            complete: Vec::new(),
            found: End::default(),
        })
    }

    /// Takes a line. Returns what the last one says.
    fn line(&mut self, number: u64, line: &[u8]) -> Result<Option<End>, ImportError> {
        let at = |what| ImportError::Line { number, what };
        let parsed: Result<Line<'_>, _> = serde_json::from_slice(line);
        if !self.has_begun {
            let line = parsed.map_err(|_| at(LineError::NoExport))?;
            self.has_begun = true;
            check_version(&line).map_err(at)?;
            self.note(&line)?;
            return Ok(None);
        }
        let line = parsed.map_err(|error| at(error.into()))?;
        if let Some(end) = line.end {
            self.check_end(end).map_err(at)?;
            self.write()?;
            return Ok(Some(end));
        }
        if line.problem.is_some() {
            self.found.problems += 1;
        } else if let Some(head) = &line.head {
            self.head(head, at)?;
        } else {
            self.message(&line, at)?;
        }
        Ok(None)
    }

    /// Notes what the first line says about all topics.
    fn note(&mut self, line: &Line<'_>) -> Result<(), ImportError> {
        let tables = self.writer.tables()?;
        let mut batch = tables.batch();
        if let Some(secret) = &line.secret {
            let what = LineError::Wrong("the secret isn't 32 hexadecimal digits");
            let secret = hexadecimal(secret, 32).ok_or(ImportError::Line { number: 1, what })?;
            batch.insert(&tables.meta, SECRET, secret.to_be_bytes());
        }
        let correction = |&(from, to, shift): &(u64, u64, i64)| Correction { from, to, shift };
        let noted: Vec<_> = line.corrections.iter().map(correction).collect();
        if !noted.is_empty() {
            batch.insert(&tables.meta, corrections::KEY, corrections::write(&noted));
        }
        if !batch.is_empty() {
            tables.commit(batch).map_err(CommitError::into_error)?;
        }
        Ok(())
    }

    fn message(
        &mut self,
        line: &Line<'_>,
        at: impl Fn(LineError) -> ImportError,
    ) -> Result<(), ImportError> {
        let message = read_message(line).map_err(&at)?;
        let (Some(name), Some(epoch)) = (&line.topic, &line.epoch) else {
            return Err(at(LineError::Wrong("a message has a topic and an epoch")));
        };
        let mut topic = match self.topic.take() {
            Some(topic) => topic,
            None => self.begin_topic(name, epoch, message.seq).map_err(&at)?,
        };
        if topic.name.as_str() != name || Some(topic.epoch) != epoch_of(epoch) {
            let what = "another topic or epoch begins before the head of the last one";
            return Err(at(LineError::Wrong(what)));
        }
        if message.seq < topic.next {
            return Err(at(LineError::Wrong(
                "its number isn't higher than the one before",
            )));
        }
        if message.seq > topic.next {
            self.end_record(&mut topic);
            self.write()?;
            self.skip_to(&topic, message.seq);
            topic.next = message.seq;
        }
        let is_other = topic
            .batch
            .entries
            .last()
            .is_some_and(|last| last.time != message.index);
        if is_other || topic.bytes >= RECORD {
            self.end_record(&mut topic);
        }
        topic.add(message);
        self.found.messages += 1;
        if self.bytes >= GROUP || self.group.len() >= REQUESTS {
            self.write()?;
        }
        self.topic = Some(topic);
        Ok(())
    }

    fn head(
        &mut self,
        head: &Head<'_>,
        at: impl Fn(LineError) -> ImportError,
    ) -> Result<(), ImportError> {
        let mut topic = match self.topic.take() {
            Some(topic) => topic,
            None => self
                .begin_topic(&head.topic, &head.epoch, head.first)
                .map_err(&at)?,
        };
        if topic.name.as_str() != head.topic || Some(topic.epoch) != epoch_of(&head.epoch) {
            return Err(at(LineError::Wrong(
                "it is the head of another topic or epoch",
            )));
        }
        let is_sound = head.seq.checked_add(1).is_some_and(|end| {
            // Messages may have been deleted while they were exported.
            topic.next <= end && (1..=end).contains(&head.first)
        });
        if !is_sound {
            let what = "its numbers don't fit to the messages before";
            return Err(at(LineError::Wrong(what)));
        }
        self.end_record(&mut topic);
        self.complete.push(Complete {
            id: topic.id,
            first: head.first,
            seq: head.seq,
        });
        self.found.topics += 1;
        if self.complete.len() >= REQUESTS {
            self.write()?;
        }
        Ok(())
    }

    fn begin_topic(
        &mut self,
        name: &str,
        epoch: &str,
        first: u64,
    ) -> Result<Box<Topic>, LineError> {
        let name = TopicName::new(name)?;
        let what = "an epoch has 16 hexadecimal digits";
        let epoch = epoch_of(epoch).ok_or(LineError::Wrong(what))?;
        if first == 0 {
            return Err(LineError::Wrong("numbers begin with 1"));
        }
        if self.last.replace(name.clone()) >= Some(name.clone()) {
            let what = "topics come in the order of their names, each once";
            return Err(LineError::Wrong(what));
        }
        let id = TopicId(self.writer.next_id);
        self.writer.next_id += 1;
        self.writer.keep(id, catalogue::make(name.clone(), epoch));
        let topic = Topic {
            id,
            name,
            epoch,
            next: first,
            batch: RecordBatch::default(),
            lines: Vec::new(),
            bytes: 0,
        };
        self.skip_to(&topic, first);
        Ok(Box::new(topic))
    }

    /// The topic's next message gets this number.
    fn skip_to(&mut self, topic: &Topic, next: u64) {
        if let Some(state) = self.writer.topics.get_mut(&topic.id) {
            (state.durable.next, state.pending.next) = (next, next);
            state.bounds.set(state.bounds.first(), next);
        }
    }

    /// Puts what was read of a topic into the group that is written next.
    fn end_record(&mut self, topic: &mut Topic) {
        topic.end_entry();
        let batch = std::mem::take(&mut topic.batch);
        if batch.entries.is_empty() {
            return;
        }
        self.bytes += std::mem::take(&mut topic.bytes);
        // Nobody waits for the answer: writing returns it.
        let (done, _) = oneshot::channel();
        self.group.push(Request::Append {
            topic: topic.id,
            batch,
            done,
            kib: 0,
        });
    }

    /// Writes what was read, and the catalogue's records of complete topics.
    fn write(&mut self) -> Result<(), ImportError> {
        self.bytes = 0;
        let group = std::mem::take(&mut self.group);
        let written = self.writer.write(&group, Access::Write);
        for result in written.map_err(CommitError::into_error)? {
            result?;
        }
        let tables = self.writer.tables()?;
        let mut batch = tables.batch();
        let mut marks = Vec::new();
        for Complete { id, first, seq } in self.complete.drain(..) {
            if let Some(state) = self.writer.topics.get_mut(&id) {
                state.durable.next = seq + 1;
                state.bounds.set(first, seq + 1);
                let number = id.0.to_be_bytes();
                batch.insert(&tables.names, state.name.as_str(), number);
                batch.insert(&tables.topics, number, state.record().write());
            }
            if seq > 0 {
                marks.push((id, seq));
            }
            self.writer.forget(id);
        }
        let next = self.writer.next_id.to_be_bytes();
        batch.insert(&tables.meta, catalogue::NEXT_ID, next);
        tables.commit(batch).map_err(CommitError::into_error)?;
        let noted = self.writer.high_water_marks.set(&mut marks);
        noted.map_err(|error| ImportError::Store(error.into()))
    }

    fn check_end(&self, end: End) -> Result<(), LineError> {
        if self.topic.is_some() {
            return Err(LineError::Wrong(
                "it comes before the head of the last topic",
            ));
        }
        let found = self.found;
        for (what, said, found) in [
            ("topics", end.topics, found.topics),
            ("messages", end.messages, found.messages),
            ("problems", end.problems, found.problems),
        ] {
            if said != found {
                return Err(LineError::Count { what, said, found });
            }
        }
        Ok(())
    }

    /// Makes all of it durable, and lets it be opened.
    fn finish(&self, directory: &Path) -> Result<(), ImportError> {
        self.writer.tables()?.flush()?;
        let finished = self.writer.high_water_marks.flush();
        let finished = finished.and_then(|()| self.writer.directory.set_finished());
        finished.map_err(|cause| ImportError::Write {
            path: directory.to_owned(),
            cause,
        })
    }
}

impl Topic {
    fn add(&mut self, message: Message) {
        let Message {
            seq,
            index,
            publisher,
            id,
            stored,
        } = message;
        let last = self.batch.entries.last();
        if last.is_none_or(|last| last.publisher != publisher) {
            self.end_entry();
            self.batch.entries.push(Entry {
                first: seq,
                count: 0,
                time: index,
                publisher,
                lines: Bytes::new(),
            });
        }
        if let Some(entry) = self.batch.entries.last_mut() {
            entry.count += 1;
        }
        if let Some((origin, id)) = id {
            let time = index;
            self.batch.ids.push(RememberedId {
                origin,
                id,
                seq,
                time,
            });
        }
        self.bytes += stored.len() + 1;
        self.lines.extend_from_slice(&stored);
        self.lines.push(b'\n');
        self.next = seq + 1;
    }

    fn end_entry(&mut self) {
        if let Some(entry) = self.batch.entries.last_mut()
            && !self.lines.is_empty()
        {
            entry.lines = std::mem::take(&mut self.lines).into();
        }
    }
}

/// Whether a directory has nothing in it, or isn't there.
fn is_empty(directory: &Path) -> Result<bool, ImportError> {
    match std::fs::read_dir(directory) {
        // The root of a file system has this one.
        Ok(entries) => Ok(entries
            .filter_map(Result::ok)
            .all(|entry| entry.file_name() == "lost+found")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(OpenError::NoDirectory(directory.to_owned()).into())
        }
        Err(source) => Err(OpenError::Unusable {
            path: directory.to_owned(),
            source,
        }
        .into()),
    }
}
