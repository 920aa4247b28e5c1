//! Where an extended connection is in a topic's order, and how one that is behind gets what it
//! missed: from the history, at its own pace.
//!
//! Every connection begins so: it is behind from the first message that it asked
//! for, even if that is the next one. So nothing can fall between what is replayed
//! and what is live, and nothing can come twice.

use std::sync::Arc;

use tokio::sync::oneshot;
use wire::{Event, Gap};

use crate::history::entry::Entry;
use crate::identity::{Identity, is_same_client};
use crate::metrics::{self, Count};
use crate::outbox::SharedOutbox;
use crate::outbox::batch::Batch;
use crate::store::StoreError;
use crate::topic::log::TopicLog;
use crate::topic::presence::PresenceState;
use crate::topic::publication::Publication;
use crate::topic::registration::RegistrationReply;
use crate::topic::render::EncodedBatch;

/// Bytes that a subscriber is sent in one step: as much as a socket takes at once, and little
/// enough that others hardly wait for it.
const STEP: usize = 128 * 1024;

/// Bytes that are read from disk for a subscriber at once. They are sent in one step.
pub(crate) const FETCH_BYTES: usize = STEP;

/// The position of a connection in a topic's order.
pub(crate) enum Cursor {
    /// The connection has been sent everything so far.
    Live,
    /// The connection is behind: the message `next` is the next that it gets.
    Behind {
        next: u64,
        /// What it waits for; `None` if it can be sent something now.
        until: Option<Until>,
    },
}

/// What a connection that is behind waits for.
pub(crate) enum Until {
    /// The answer to its registration, which comes before all messages; and the messages promised
    /// with it, if they may be forgotten meanwhile.
    Answer(Arc<RegistrationReply>, Option<Box<Snapshot>>),
    /// Room in its outbox.
    Room,
    /// The next messages, which are being read from disk.
    Read,
}

/// What the history held for a connection when it registered. The reply may have to wait for
/// other topics, and a busy topic's history moves on quickly.
pub(crate) struct Snapshot {
    /// The number of the oldest message at that time.
    first: u64,
    entries: Vec<Entry>,
    epoch: u64,
}

/// Messages that were read from disk for a connection.
pub(crate) struct Fetched {
    /// The first number that was asked for.
    pub(crate) from: u64,
    pub(crate) entries: Result<Vec<Entry>, StoreError>,
}

impl Fetched {
    /// The bytes of the messages.
    pub(crate) fn bytes(&self) -> usize {
        let lines = |entries: &Vec<Entry>| entries.iter().map(|entry| entry.lines.len()).sum();
        self.entries.as_ref().map_or(0, lines)
    }
}

/// How far a step has brought a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is caught up, and gets new messages at once.
    CaughtUp,
    /// There is more for it, now or when it has room.
    Behind,
    /// There is more for it, to be read from disk from this message on.
    Fetch(u64),
}

/// A request to read messages from disk.
pub(crate) struct Fetch {
    /// The outbox of the connection that has missed them.
    pub(crate) outbox: SharedOutbox,
    /// The first number to read.
    pub(crate) from: u64,
}

impl Cursor {
    /// The cursor of a connection whose outbox has no room for the message `next`.
    pub(crate) fn behind(next: u64) -> Self {
        let until = Some(Until::Room);
        Self::Behind { next, until }
    }

    /// The cursor of a connection that waits for the answer to its registration.
    pub(crate) fn unanswered(next: u64, answer: Arc<RegistrationReply>) -> Self {
        let until = Some(Until::Answer(answer, None));
        Self::Behind { next, until }
    }

    pub(crate) fn is_behind(&self) -> bool {
        matches!(self, Self::Behind { .. })
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self, Self::Behind { until: None, .. })
    }

    /// Its outbox has room.
    pub(crate) fn has_room(&mut self) {
        if let Self::Behind { until, .. } = self
            && matches!(until, Some(Until::Room))
        {
            *until = None;
        }
    }

    /// An answer to a registration was sent, perhaps to an earlier one than the last. Returns
    /// what was promised with it, which is sent first.
    pub(crate) fn open(&mut self, answer: &Arc<RegistrationReply>) -> Option<Box<Snapshot>> {
        if let Self::Behind { until, .. } = self
            && let Some(Until::Answer(awaited, snapshot)) = until
            && Arc::ptr_eq(awaited, answer)
        {
            let snapshot = snapshot.take();
            *until = None;
            return snapshot;
        }
        None
    }
}

/// An extended connection in a topic.
pub(crate) struct Subscriber {
    pub(crate) outbox: SharedOutbox,
    pub(crate) identity: Arc<Identity>,
    pub(crate) cursor: Cursor,
    /// The first message after it joined the topic.
    pub(crate) joined_at: u64,
    /// Before this message it gets its own messages too, because it asked for the newest messages
    /// and not for what it missed.
    pub(crate) own_before: u64,
    /// What it was told of members that join and leave.
    pub(crate) presence: PresenceState,
    /// It has finished sending, and leaves when it has caught up. Notified then.
    pub(crate) finished: Option<oneshot::Sender<()>>,
}

/// What sending messages has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Offered {
    /// Nothing. The connection got all of them, or was behind before.
    AsBefore,
    /// The outbox took only some. The connection gets the rest from the history.
    FellBehind,
}

impl Subscriber {
    pub(crate) fn take_finished(&mut self) -> Option<(SharedOutbox, oneshot::Sender<()>)> {
        let done = self.finished.take()?;
        Some((self.outbox.clone(), done))
    }

    /// Sends what others published, if this connection isn't behind.
    pub(crate) fn try_send(
        &mut self,
        publications: &[Publication],
        pieces: &[EncodedBatch],
        next: u64,
    ) -> Offered {
        if self.cursor.is_behind() {
            return Offered::AsBefore;
        }
        let is_others = |piece: &&EncodedBatch| {
            let publication = publications.get(piece.publication);
            publication.is_some_and(|publication| !publication.is_from(&self.outbox))
        };
        let others = pieces.iter().filter(is_others);
        let accepted = self
            .outbox
            .try_send_batch(others.clone().map(|piece| &piece.batch));
        count_delivered(others.clone().take(accepted).map(|piece| &piece.batch));
        let Some(refused) = others.clone().nth(accepted) else {
            return Offered::AsBefore;
        };
        self.cursor = Cursor::behind(refused.first.unwrap_or(next));
        Offered::FellBehind
    }

    /// Keeps what the connection is promised while the answer to its registration waits for other
    /// topics, if it is only in memory.
    pub(crate) fn keep_snapshot(&mut self, log: &TopicLog) {
        if let Cursor::Behind { next, until } = &mut self.cursor
            && let Some(Until::Answer(_, snapshot)) = until
            && *next < log.next()
            && log.place().is_none()
        {
            let entries = log.history().entries_from(*next).cloned().collect();
            let first = log.first();
            *snapshot = Some(Box::new(Snapshot {
                first,
                entries,
                epoch: log.epoch_number(),
            }));
        }
    }

    /// Sends what was promised, as much as the outbox takes. The remaining messages are sent from
    /// the history as the reader takes them.
    pub(crate) fn send_snapshot(&mut self, topic: &str, snapshot: &Snapshot) {
        while let Cursor::Behind { next, until: None } = self.cursor {
            if next < snapshot.first {
                self.tell_gap(topic, next, snapshot.first - 1);
            }
            let next = next.max(snapshot.first);
            let entries = snapshot.entries.iter();
            let mut entries = entries.skip_while(|entry| entry.end() <= next).peekable();
            if entries.peek().is_none() {
                self.cursor = Cursor::Behind { next, until: None };
                return;
            }
            let (next, until) = self.send(next, entries, snapshot.epoch);
            self.cursor = Cursor::Behind { next, until };
        }
    }

    /// Sends some of what the connection has missed, as much as its outbox takes, unless
    /// it has to be read from disk first.
    pub(crate) fn step(&mut self, topic: &str, log: &TopicLog) -> Progress {
        let Cursor::Behind { mut next, .. } = self.cursor else {
            return Progress::CaughtUp;
        };
        if next < log.first() {
            self.tell_gap(topic, next, log.first() - 1);
            next = log.first();
        }
        if next < log.history().first() && log.place().is_some() {
            let until = Some(Until::Read);
            self.cursor = Cursor::Behind { next, until };
            return Progress::Fetch(next);
        }
        let entries = log.history().entries_from(next);
        let until = self.send(next, entries, log.epoch_number());
        self.advance(until, log)
    }

    /// Sends what was read from disk, unless it is no longer wanted.
    pub(crate) fn take_read(&mut self, topic: &str, log: &TopicLog, fetched: Fetched) {
        let next = match &self.cursor {
            Cursor::Behind {
                next,
                until: Some(Until::Read),
            } if *next == fetched.from => *next,
            _ => return,
        };
        match fetched.entries {
            Ok(entries) if entries.iter().any(|entry| entry.end() > next) => {
                let reached = self.send_read(topic, next, &entries, log.epoch_number());
                // The next step finds out whether it has caught up.
                let (next, until) = reached;
                self.cursor = Cursor::Behind { next, until };
            }
            // They are there, but can't be reached now.
            Err(StoreError::NoQuorum) => {
                self.cursor = Cursor::Behind { next, until: None };
            }
            Ok(_) | Err(_) => {
                // Messages that should be on disk and aren't are lost.
                if let Err(error) = &fetched.entries {
                    log.log_store_error(error, "older messages can't be read");
                }
                let there = log.history().first();
                if there > next {
                    self.tell_gap(topic, next, there - 1);
                }
                let (next, until) = (there.max(next), None);
                self.cursor = Cursor::Behind { next, until };
            }
        }
    }

    /// Sends entries that were read from disk. The oldest may have been deleted meanwhile.
    fn send_read(
        &self,
        topic: &str,
        next: u64,
        entries: &[Entry],
        epoch: u64,
    ) -> (u64, Option<Until>) {
        let first = entries.first().map_or(next, |entry| entry.first);
        if first > next {
            self.tell_gap(topic, next, first - 1);
        }
        self.send(next.max(first), entries.iter(), epoch)
    }

    /// Sends messages from `next` on, without this connection's own. Returns which one is next
    /// then, and what it waits for.
    fn send<'a>(
        &self,
        next: u64,
        entries: impl Iterator<Item = &'a Entry>,
        epoch: u64,
    ) -> (u64, Option<Until>) {
        let (end, batches) = self.next_batches(next, entries, epoch);
        let accepted = self
            .outbox
            .try_send_batch(batches.iter().map(|(_, batch)| batch));
        count_delivered(batches.iter().take(accepted).map(|(_, batch)| batch));
        match batches.get(accepted) {
            Some((first, _)) => (*first, Some(Until::Room)),
            None => (end, None),
        }
    }

    /// The next batches, without what this connection published itself and didn't ask for, each
    /// with the number of its first message; and the number after the last message looked at.
    fn next_batches<'a>(
        &self,
        next: u64,
        entries: impl Iterator<Item = &'a Entry>,
        epoch: u64,
    ) -> (u64, Vec<(u64, Batch)>) {
        let (mut end, mut bytes) = (next, 0);
        let mut batches = Vec::new();
        for entry in entries {
            if bytes >= STEP {
                break;
            }
            end = entry.end();
            if self.is_own(entry) {
                continue;
            }
            let lines = entry.lines_from(next);
            if !lines.is_empty() {
                bytes += lines.len();
                let first = entry.first.max(next);
                let count = u32::try_from(end - first).unwrap_or(u32::MAX);
                batches.push((first, Batch::owned(lines, count).of_epoch(epoch)));
            }
        }
        (end, batches)
    }

    /// Whether the connection isn't sent these messages because they are its own. Since it
    /// joined, these are the ones that it published itself, as for live messages. From before
    /// that, everything that its client published, on any connection.
    fn is_own(&self, entry: &Entry) -> bool {
        let own = self.identity.publisher;
        if entry.first < self.own_before {
            return false;
        }
        match entry.first >= self.joined_at {
            true => entry.publisher == own,
            false => is_same_client(entry.publisher, own),
        }
    }

    /// Moves the cursor behind these messages.
    fn advance(&mut self, (next, until): (u64, Option<Until>), log: &TopicLog) -> Progress {
        if until.is_none() && next >= log.next() {
            self.cursor = Cursor::Live;
            return Progress::CaughtUp;
        }
        self.cursor = Cursor::Behind { next, until };
        Progress::Behind
    }

    /// A request to read messages for this connection from disk.
    pub(crate) fn fetch(&self, from: u64) -> Fetch {
        let outbox = self.outbox.clone();
        Fetch { outbox, from }
    }

    /// Tells the connection of a gap: messages that are no longer kept.
    fn tell_gap(&self, topic: &str, from: u64, to: u64) {
        metrics::count(Count::Gaps, 1);
        let topic = topic.into();
        let gap = Event::Gap(Gap { topic, from, to });
        self.outbox.send_reply(gap.to_line());
    }
}

fn count_delivered<'a>(batches: impl Iterator<Item = &'a Batch>) {
    let messages = batches.map(|batch| u64::from(batch.count())).sum();
    metrics::count(Count::DeliveredMessages, messages);
}
