//! A topic's order: what number each message gets, what of it is remembered, and
//! which messages were there before.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use wire::EnvelopeWriter;

use crate::history::budget::Share;
use crate::history::entry::{Entry, RememberedId};
use crate::history::ids::{IdLimits, Ids};
use crate::history::memory::{History, HistoryLimits};
use crate::identity::{Identity, random};
use crate::outbox::SharedOutbox;
use crate::publication::{Publication, Tag};
use crate::render::render;
use crate::run::Run;

/// A topic's messages in their order.
pub(crate) struct TopicLog {
    /// One unbroken life of the topic.
    epoch: u64,
    history: History,
    ids: Ids,
    share: Share,
    /// When the newest message came: within a topic, time doesn't go back.
    time: u64,
}

/// A part of a publication as extended connections get it.
pub(crate) struct Piece {
    pub(crate) run: Run,
    /// The sequence number of its first message; `None` if it isn't stored.
    pub(crate) first: Option<u64>,
    /// Which publication it is a part of.
    pub(crate) publication: usize,
}

/// What a publisher is to be told of a message with an id.
pub(crate) struct Acknowledgement {
    pub(crate) to: SharedOutbox,
    pub(crate) id: Box<str>,
    pub(crate) seq: u64,
}

/// What was published, ready to be delivered.
#[derive(Default)]
pub(crate) struct Appended {
    /// In their order; empty if nobody wants them.
    pub(crate) pieces: Vec<Piece>,
    pub(crate) acknowledgements: Vec<Acknowledgement>,
}

impl TopicLog {
    pub(crate) fn new(history: HistoryLimits, ids: IdLimits, share: Share) -> Self {
        Self {
            epoch: random(),
            history: History::new(history, 1),
            ids: Ids::new(ids),
            share,
            time: 0,
        }
    }

    /// The life of the topic, as clients are told it.
    pub(crate) fn epoch(&self) -> String {
        format!("{:016x}", self.epoch)
    }

    /// The sequence number that the next message gets.
    pub(crate) fn next(&self) -> u64 {
        self.history.next()
    }

    /// The oldest message that can still be had; the next one if there is none.
    pub(crate) fn first(&self) -> u64 {
        self.history.first()
    }

    /// The first message that came at `time` or later; the next one if none did.
    pub(crate) fn first_since(&self, time: u64) -> u64 {
        self.history.first_since(time)
    }

    /// When the newest message came: milliseconds since the Unix epoch.
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    /// What is in memory.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Whether there is nothing for which the topic is worth keeping.
    pub(crate) fn is_empty(&self) -> bool {
        self.history.bytes() + self.ids.bytes() == 0
    }

    /// Forgets what is only kept in memory.
    pub(crate) fn forget(&mut self) {
        self.history.forget();
        self.ids.forget();
        self.count_bytes();
    }

    /// Gives the messages their numbers and remembers them. Those that were there
    /// before are taken out of `publications`. Pieces are made if somebody wants
    /// them.
    pub(crate) fn append(
        &mut self,
        publications: &mut Vec<Publication>,
        are_wanted: bool,
    ) -> Appended {
        self.time = now().max(self.time);
        let mut appended = Appended::default();
        self.number(publications, &mut appended.acknowledgements);
        if are_wanted || self.history.is_enabled() {
            self.remember(publications, &mut appended.pieces);
        } else {
            let count = publications.iter().map(|one| u64::from(one.run.count()));
            self.history.skip(count.sum());
        }
        self.count_bytes();
        appended
    }

    /// Takes out what was there before, and notes whom to acknowledge what.
    fn number(
        &mut self,
        publications: &mut Vec<Publication>,
        acknowledgements: &mut Vec<Acknowledgement>,
    ) {
        let mut next = self.history.next();
        publications.retain_mut(|publication| {
            let seq = match publication.tag.take() {
                None => None,
                Some(tag) => {
                    let known = self.known(&tag);
                    if known.is_none() {
                        self.ids.insert(remembered(&tag, next, self.time));
                    }
                    acknowledgements.push(Acknowledgement {
                        to: publication.from.clone(),
                        id: tag.id,
                        seq: known.unwrap_or(next),
                    });
                    known
                }
            };
            if seq.is_none() {
                next += u64::from(publication.run.count());
            }
            seq.is_none()
        });
    }

    /// The number of a message that was sent before under the same id.
    ///
    /// Where several publishers may use the same ids, because the server can't tell
    /// them apart, it is only the same message if it says the same.
    fn known(&self, tag: &Tag) -> Option<u64> {
        let known = self.ids.find(tag.origin, tag.id_hash, self.time)?;
        (!tag.is_shared || known.text == tag.text_hash).then_some(known.seq)
    }

    fn remember(&mut self, publications: &[Publication], pieces: &mut Vec<Piece>) {
        let mut envelopes = Envelopes::at(self.time);
        for (index, publication) in publications.iter().enumerate() {
            let identity = publication.identity.as_ref();
            let publisher = identity.map_or(0, |identity| identity.publisher);
            let envelope = envelopes.of(identity);
            for lines in render(&publication.run, Some(self.history.next()), envelope) {
                let first = self.history.next();
                let count = lines.count();
                self.history.append(Entry {
                    first,
                    count,
                    time: self.time,
                    publisher,
                    lines: lines.bytes().clone(),
                });
                pieces.push(Piece {
                    run: lines,
                    first: Some(first),
                    publication: index,
                });
            }
        }
    }

    fn count_bytes(&self) {
        self.share.set(self.history.bytes() + self.ids.bytes());
    }
}

/// The envelopes of one moment. Mostly, one publisher has said it all.
struct Envelopes {
    time: u64,
    last: Option<(Option<Arc<Identity>>, EnvelopeWriter)>,
}

impl Envelopes {
    fn at(time: u64) -> Self {
        Self { time, last: None }
    }

    fn of(&mut self, identity: Option<&Arc<Identity>>) -> &EnvelopeWriter {
        let user = |identity: Option<&Arc<Identity>>| identity.and_then(|i| i.user.clone());
        let is_same =
            |(last, _): &(Option<Arc<Identity>>, _)| user(last.as_ref()) == user(identity);
        if !self.last.as_ref().is_some_and(is_same) {
            self.last = None;
        }
        let time = self.time;
        let make = || {
            let writer = EnvelopeWriter::new(time, user(identity).as_ref());
            (identity.cloned(), writer)
        };
        &self.last.get_or_insert_with(make).1
    }
}

fn remembered(tag: &Tag, seq: u64, time: u64) -> RememberedId {
    RememberedId {
        origin: tag.origin,
        id: tag.id_hash,
        text: tag.text_hash,
        seq,
        time,
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
