//! A walk through a history, in steps. Each step reads a bounded number of bytes, and holds the
//! database's lock for no longer than a reader does. So a server goes on meanwhile, can open its
//! database again after a failure, and needs memory for one step.
//!
//! Each topic is seen as it is when the walk comes to it. No snapshot is taken: nothing joins two
//! topics, a message never changes, and deleting for age or number would take messages away from
//! a snapshot all the same.

use std::fmt::Display;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use wire::TopicName;

use super::facts::{Facts, Size};
use super::lines::{End, write_problem};
use crate::clock::{Correction, Reading};
use crate::store::database::{Tables, record_of};
use crate::store::directory::Directory;
use crate::store::error::StoreError;
use crate::store::high_water_marks::HighWaterMarks;
use crate::store::reader::record_that_holds;
use crate::store::record;
use crate::store::shared::Shared;
use crate::store::types::TopicId;
use crate::store::writer::{self, corrections};

/// Bytes that a step reads or writes: a millisecond or two of a disk's work, and enough that the
/// way between the threads costs nothing beside it.
const STEP: usize = 256 * 1024;

/// Topics at which a step looks, however little they hold.
const TOPICS: usize = 128;

/// Records in a row that can't be read before the rest of their topic is given up.
const ERRORS: usize = 16;

/// What a walk passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Topic(TopicName),
    /// Some messages of a topic: from a number on, or the newest.
    Messages {
        topic: TopicName,
        from: Option<u64>,
        count: u64,
    },
}

/// What is known of the whole history.
pub(super) struct Whole {
    pub(super) now: Reading,
    pub(super) secret: Option<[u8; 16]>,
    pub(super) corrections: Vec<Correction>,
}

/// What is done with what a walk passes.
pub(super) trait Visitor: Send {
    /// The walk begins.
    fn begin(&mut self, whole: &Whole, out: &mut Vec<u8>);

    /// Whether the records of the topics are read.
    fn wants_records(&self) -> bool {
        true
    }

    /// A topic begins. `size` is known if no records are read.
    fn topic(&mut self, topic: &Passing, size: &Size, out: &mut Vec<u8>);

    /// A record of the topic.
    fn record(&mut self, topic: &Passing, seq: u64, record: Bytes, out: &mut Vec<u8>);

    /// The topic ends.
    fn leave(&mut self, topic: &Passing, out: &mut Vec<u8>);

    /// What the last line says.
    fn counts(&mut self) -> &mut End;

    /// Something is damaged.
    fn problem(
        &mut self,
        topic: Option<&str>,
        seq: Option<u64>,
        what: &dyn Display,
        out: &mut Vec<u8>,
    ) {
        self.counts().problems += 1;
        write_problem(topic, seq, what, out);
    }

    /// After the topics: checks some of the catalogue, from this topic's number on. Returns where
    /// to go on.
    fn check_catalogue(
        &mut self,
        _tables: &Tables,
        _from: u32,
        _out: &mut Vec<u8>,
    ) -> Result<Option<u32>, StoreError> {
        Ok(None)
    }

    /// The walk ends.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.counts().write(out);
    }
}

/// A topic that the walk passes.
pub(super) struct Passing {
    pub(super) facts: Facts,
    /// Its name in the catalogue.
    key: Vec<u8>,
    /// The messages that are wanted.
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where reading goes on.
    at: u64,
    /// Errors in a row.
    errors: usize,
}

/// What a step brings.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// What is to be printed.
    pub(crate) bytes: Vec<u8>,
    /// Bytes that were read.
    pub(crate) read: usize,
    pub(crate) is_last: bool,
}

impl Step {
    fn is_full(&self) -> bool {
        self.read >= STEP || self.bytes.len() >= STEP
    }
}

/// How far a walk has come.
enum Place {
    Begin,
    /// Topics after this name.
    After(Option<Vec<u8>>),
    Within(Box<Passing>),
    Catalogue(u32),
}

/// A walk. Nothing happens between its steps.
pub(crate) struct Walk {
    shared: Arc<Shared>,
    marks: HighWaterMarks,
    scope: Scope,
    visitor: Box<dyn Visitor>,
    place: Place,
    /// Keeps servers out. It goes last, after the database is closed.
    _lock: Option<Directory>,
}

impl Walk {
    pub(super) fn new(
        shared: Arc<Shared>,
        marks: HighWaterMarks,
        scope: Scope,
        visitor: Box<dyn Visitor>,
        lock: Option<Directory>,
    ) -> Self {
        Self {
            shared,
            marks,
            scope,
            visitor,
            place: Place::Begin,
            _lock: lock,
        }
    }

    /// Goes on for a bounded time.
    pub(crate) fn step(&mut self) -> Result<Step, StoreError> {
        let shared = self.shared.clone();
        let tables = shared.tables.read();
        let tables = tables.as_ref().map_err(Clone::clone)?;
        let mut step = Step::default();
        for _ in 0..TOPICS {
            if step.is_full() || step.is_last {
                break;
            }
            let place = std::mem::replace(&mut self.place, Place::Begin);
            self.place = match place {
                Place::Begin => {
                    let whole = self.whole(tables)?;
                    self.visitor.begin(&whole, &mut step.bytes);
                    Place::After(None)
                }
                Place::After(name) => self.next_topic(tables, name.as_deref(), &mut step)?,
                Place::Within(passing) => self.pass(tables, *passing, &mut step)?,
                Place::Catalogue(from) => self.end(tables, from, &mut step)?,
            };
        }
        Ok(step)
    }

    fn whole(&self, tables: &Tables) -> Result<Whole, StoreError> {
        Ok(Whole {
            now: self.shared.clock.read(),
            secret: writer::read_secret(tables)?,
            corrections: corrections::read(tables)?,
        })
    }

    fn next_topic(
        &mut self,
        tables: &Tables,
        after: Option<&[u8]>,
        step: &mut Step,
    ) -> Result<Place, StoreError> {
        let next = match &self.scope {
            Scope::All => next_name(tables, after)?,
            Scope::Topic(_) | Scope::Messages { .. } if after.is_some() => None,
            Scope::Topic(topic) | Scope::Messages { topic, .. } => {
                let id = tables.names.get(topic.as_str())?;
                id.map(|id| Named {
                    name: topic.as_str().into(),
                    id: id.to_vec(),
                })
            }
        };
        let Some(Named { name, id }) = next else {
            return Ok(Place::Catalogue(0));
        };
        match self.begin_topic(tables, &name, &id) {
            Ok((passing, size)) => {
                self.visitor.topic(&passing, &size, &mut step.bytes);
                Ok(Place::Within(Box::new(passing)))
            }
            Err(error) => {
                let shown = String::from_utf8_lossy(&name);
                self.visitor
                    .problem(Some(&*shown), None, &error, &mut step.bytes);
                Ok(Place::After(Some(name)))
            }
        }
    }

    fn begin_topic(
        &self,
        tables: &Tables,
        name: &[u8],
        id: &[u8],
    ) -> Result<(Passing, Size), StoreError> {
        let id = record::read_id(id)?;
        let facts = Facts::read(tables, &self.shared, &self.marks, id)?;
        let (start, end) = match self.scope {
            Scope::All | Scope::Topic(_) => (facts.first, facts.next),
            Scope::Messages { from, count, .. } => {
                let newest = facts.next.saturating_sub(count);
                let start = from.unwrap_or(newest).max(facts.first);
                (start, start.saturating_add(count).min(facts.next))
            }
        };
        let (mut at, mut size) = (end, Size::default());
        if self.visitor.wants_records() {
            let holds = record_that_holds(tables, id, facts.first, start)?;
            at = holds.unwrap_or(start);
        } else {
            size = facts.size(tables)?;
        }
        let passing = Passing {
            facts,
            key: name.to_owned(),
            start,
            end,
            at,
            errors: 0,
        };
        Ok((passing, size))
    }

    /// Reads on in a topic.
    fn pass(
        &mut self,
        tables: &Tables,
        mut passing: Passing,
        step: &mut Step,
    ) -> Result<Place, StoreError> {
        let id = passing.facts.id;
        if self.visitor.wants_records() {
            // Messages may have been deleted since the last step.
            let first = self.first_now(tables, id)?.max(passing.facts.first);
            (passing.facts.first, passing.at) = (first, passing.at.max(first));
            for record in Tables::records(&tables.history, id, passing.at) {
                let out = &mut step.bytes;
                match record_of(record) {
                    Ok((seq, _)) if seq >= passing.end => break,
                    Ok((seq, record)) => {
                        (passing.at, passing.errors) = (seq + 1, 0);
                        step.read += record.len();
                        let record = Bytes::from_owner(record);
                        self.visitor.record(&passing, seq, record, out);
                    }
                    Err(error) => {
                        passing.errors += 1;
                        let (name, at) = (Some(&*passing.facts.name), Some(passing.at));
                        self.visitor.problem(name, at, &error, out);
                        if passing.errors > ERRORS {
                            break;
                        }
                    }
                }
                if step.is_full() {
                    return Ok(Place::Within(Box::new(passing)));
                }
            }
        }
        self.visitor.leave(&passing, &mut step.bytes);
        Ok(Place::After(Some(passing.key)))
    }

    /// The oldest message that a topic still has.
    fn first_now(&self, tables: &Tables, id: TopicId) -> Result<u64, StoreError> {
        let loaded = self.shared.bounds.lock().get(&id).map(|one| one.first());
        match loaded {
            Some(first) => Ok(first),
            None => Ok(crate::store::catalogue::find_record(tables, id)?.first),
        }
    }

    fn end(&mut self, tables: &Tables, from: u32, step: &mut Step) -> Result<Place, StoreError> {
        let next = match self.scope {
            Scope::All => self
                .visitor
                .check_catalogue(tables, from, &mut step.bytes)?,
            _ => None,
        };
        Ok(match next {
            Some(next) => Place::Catalogue(next),
            None => {
                self.visitor.end(&mut step.bytes);
                step.is_last = true;
                Place::Catalogue(u32::MAX)
            }
        })
    }
}

/// A name in the catalogue and its topic's number, both as the bytes that they are.
struct Named {
    name: Vec<u8>,
    id: Vec<u8>,
}

/// The first name after another one.
fn next_name(tables: &Tables, after: Option<&[u8]>) -> Result<Option<Named>, StoreError> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut following = tables.names.range::<&[u8], _>((start, Bound::Unbounded));
    let Some(next) = following.next() else {
        return Ok(None);
    };
    let (name, id) = next.into_inner()?;
    Ok(Some(Named {
        name: name.to_vec(),
        id: id.to_vec(),
    }))
}
