//! A topic's order: which number each message gets, what is remembered, and which messages are
//! duplicates.
//!
//! A message is remembered before it is delivered, so a crash never takes back a delivered
//! message.

mod kept;
mod shared;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wire::TopicName;

use crate::clock::Reading;
use crate::history::budget::MemoryShare;
use crate::history::dedup::DedupWindow;
use crate::history::entry::{Entry, RememberedId, Stored};
use crate::history::memory::History;
use crate::store::{RecordBatch, StoreError};
use crate::topic::acks::Acknowledgement;
use crate::topic::place::Place;
use crate::topic::publication::{Publication, Reply};
use crate::topic::render::{EncodedBatch, render};
use crate::topic::settings::TopicSettings;

/// A topic's messages in their order.
pub(crate) struct TopicLog {
    name: TopicName,
    settings: Arc<TopicSettings>,
    /// Identifies one unbroken life of the topic.
    epoch: u64,
    history: History,
    ids: DedupWindow,
    /// The ids in the store have not been read into `ids` yet.
    has_unread_ids: bool,
    share: MemoryShare,
    /// When the newest message came, by the index clock.
    time: u64,
    /// Where the topic is kept. `None` without a store, or while the store fails; in a cluster, as
    /// long as the topic isn't followed.
    stored: Option<Box<StoredTopic>>,
    /// The store didn't answer in time: it may hold messages from this one on.
    in_doubt_from: Option<NonZeroU64>,
}

/// A topic that is kept beneath the memory.
struct StoredTopic {
    place: Place,
    /// The number of the oldest stored message; the next number if there is none.
    first: Arc<AtomicU64>,
}

/// What was published, ready to be delivered.
#[derive(Default)]
pub(crate) struct Appended {
    /// In their order; empty if there is no extended subscriber.
    pub(crate) pieces: Vec<EncodedBatch>,
    pub(crate) acknowledgements: Vec<Acknowledgement>,
    /// The messages that couldn't be stored. In a box, because that is rare.
    pub(crate) unstored: Option<Box<Unstored>>,
}

/// Messages that couldn't be stored.
pub(crate) struct Unstored {
    /// Which publishers to tell, and of which messages.
    pub(crate) refused: Vec<Acknowledgement>,
    /// Why.
    pub(crate) error: StoreError,
}

impl TopicLog {
    /// The log of a topic that begins anew.
    pub(crate) fn new(name: TopicName, settings: Arc<TopicSettings>, share: MemoryShare) -> Self {
        let limits = settings.limits();
        Self {
            epoch: settings.epoch_of(&name),
            name,
            history: History::new(limits.history, 1),
            ids: DedupWindow::new(limits.ids),
            has_unread_ids: false,
            share,
            time: 0,
            stored: None,
            in_doubt_from: None,
            settings,
        }
    }

    /// Loads the topic from the store, if there is one. If that fails, it is tried again with the
    /// next message.
    pub(crate) async fn open(&mut self) {
        if self.is_unloaded()
            && let Err(error) = Box::pin(self.load()).await
        {
            self.warn(&error);
        }
    }

    /// The settings that all topics share.
    pub(crate) fn settings(&self) -> &TopicSettings {
        &self.settings
    }

    fn is_unloaded(&self) -> bool {
        self.stored.is_none() && self.settings.store.is_some()
    }

    /// Finds the topic in the store, if there is one.
    async fn load(&mut self) -> Result<(), StoreError> {
        let Some(store) = self.settings.store.clone() else {
            return Ok(());
        };
        // A topic that is stored only now, because the disk was full before, keeps the epoch that
        // its members know.
        let loaded = store.load_or_make(&self.name, self.epoch).await?;
        self.epoch = loaded.epoch;
        let limits = self.settings.limits();
        self.history = History::new(limits.history, loaded.next);
        self.time = loaded.time;
        self.ids = DedupWindow::new(limits.ids);
        self.has_unread_ids = true;
        self.stored = Some(Box::new(StoredTopic {
            place: Place::Disk(store, loaded.id),
            first: loaded.first,
        }));
        self.count_bytes();
        Ok(())
    }

    /// Reads the ids that the store remembers. Only the first message with an id needs
    /// them: a subscriber does not wait until up to 128 MiB of records have been read.
    async fn read_ids(&mut self) -> Result<(), StoreError> {
        if let Some(Place::Disk(store, id)) = self.place() {
            let max_ids = self.settings.limits().ids.per_publisher;
            self.ids = store.remembered_ids(*id, self.time, max_ids).await?;
        }
        self.has_unread_ids = false;
        self.count_bytes();
        Ok(())
    }

    /// Loads from the store what these publications need.
    async fn prepare(&mut self, publications: &[Publication]) -> Result<(), StoreError> {
        // In boxes, because this happens once, and the topic's task should stay small.
        if self.is_unloaded() {
            Box::pin(self.load()).await?;
        }
        if self.has_unread_ids && publications.iter().any(|one| one.reply.id().is_some()) {
            Box::pin(self.read_ids()).await?;
        }
        Ok(())
    }

    fn warn(&self, error: &StoreError) {
        self.log_store_error(error, "messages aren't stored");
    }

    /// Logs an error of the store, at a limited rate.
    pub(crate) fn log_store_error(&self, error: &StoreError, what: &str) {
        let topic = &self.name;
        let warn = || tracing::warn!(%topic, %error, "{what}");
        self.settings.troubles.log(|_| warn());
    }

    /// Called before the topic is forgotten. If it had a message, it begins a new epoch when it
    /// is made again.
    pub(crate) fn start_new_epoch(&self) {
        if self.stored.is_none() && self.next() > 1 {
            self.settings.epoch_counter.fetch_add(1, Relaxed);
        }
    }

    /// The epoch, as clients get it.
    pub(crate) fn epoch(&self) -> String {
        format!("{:016x}", self.epoch)
    }

    /// The same as a number.
    pub(crate) fn epoch_number(&self) -> u64 {
        self.epoch
    }

    /// The sequence number that the next message gets.
    pub(crate) fn next(&self) -> u64 {
        self.history.next()
    }

    /// The number of the oldest message that is kept; the next number if there is none.
    pub(crate) fn first(&self) -> u64 {
        match &self.stored {
            Some(stored) => stored.first.load(Relaxed).min(self.history.first()),
            None => self.history.first(),
        }
    }

    /// The messages in memory.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Where messages are that are no longer in memory.
    pub(crate) fn place(&self) -> Option<&Place> {
        self.stored.as_ref().map(|stored| &stored.place)
    }

    /// Whether nothing is lost when the topic's task ends.
    pub(crate) fn is_empty(&self) -> bool {
        self.stored.is_some() || self.history.bytes() + self.ids.bytes() == 0
    }

    /// Says whether the topic has members. If so it stays, whatever it forgets.
    pub(crate) fn set_joined(&mut self, is_joined: bool) {
        self.share.set_joined(is_joined);
    }

    /// After the store was in doubt: the number from which on it may hold messages that were not
    /// delivered.
    pub(crate) fn take_found(&mut self) -> Option<u64> {
        self.stored.as_ref()?;
        self.in_doubt_from.take().map(NonZeroU64::get)
    }

    /// Gives the messages their numbers and remembers them. Duplicates are removed from
    /// `publications`. The messages are encoded if there is an extended subscriber.
    pub(crate) async fn append(
        &mut self,
        publications: &mut Vec<Publication>,
        are_wanted: bool,
    ) -> Appended {
        if let Err(error) = self.prepare(publications).await {
            return self.unstored(publications, Vec::new(), error);
        }
        let now = self.settings.clock.read();
        self.time = now.index_after(self.time);
        self.ids.expire(now.elapsed);
        let (acknowledgements, ids) = self.number(publications, &now);
        if !are_wanted && !self.history.is_enabled() && self.stored.is_none() {
            let count = publications.iter().map(|one| u64::from(one.batch.count()));
            self.history.skip(count.sum());
            return Appended {
                acknowledgements,
                ..Appended::default()
            };
        }
        let next = Some(self.history.next());
        let pieces = render(publications, now.stamp, next, self.epoch);
        if let Err(error) = self.store(publications, &pieces, &ids).await {
            ids.iter().for_each(|id| self.ids.take_back(id));
            return self.unstored(publications, acknowledgements, error);
        }
        for piece in &pieces {
            let entry = self.entry(publications, piece);
            self.history.append(entry);
        }
        self.count_bytes();
        Appended {
            pieces,
            acknowledgements,
            ..Appended::default()
        }
    }

    /// Removes duplicates. Returns the acknowledgements, and the ids that are new.
    fn number(
        &mut self,
        publications: &mut Vec<Publication>,
        now: &Reading,
    ) -> (Vec<Acknowledgement>, Vec<RememberedId>) {
        let tagged = publications
            .iter()
            .filter(|one| one.reply.id().is_some())
            .count();
        let mut acknowledgements = Vec::with_capacity(tagged);
        let mut ids = Vec::with_capacity(tagged);
        let mut next = self.history.next();
        publications.retain_mut(|publication| {
            let count = u64::from(publication.batch.count());
            let reply = std::mem::take(&mut publication.reply);
            if matches!(reply, Reply::None) {
                next += count;
                return true;
            }
            let remembered = reply.id().map(|id| id.remembered(next, now.elapsed));
            let known = remembered.and_then(|id| self.ids.find_or_insert(id));
            let is_new = known.is_none();
            let (seq, time) = (next, now.stamp);
            if is_new {
                ids.extend(remembered);
                next += count;
            }
            acknowledgements.push(Acknowledgement {
                origin: publication.origin.clone(),
                reply,
                stored: known.map_or(Stored { seq, time }, |known| Stored {
                    time: now.stamp_of(known.stored.time),
                    ..known.stored
                }),
                has_other_text: known.is_some_and(|known| known.has_other_text),
            });
            is_new
        });
        (acknowledgements, ids)
    }

    /// An encoded batch as the history keeps it.
    fn entry(&self, publications: &[Publication], piece: &EncodedBatch) -> Entry {
        let identity = publications.get(piece.publication);
        let identity = identity.and_then(|publication| publication.identity.as_ref());
        Entry {
            first: piece.first.unwrap_or_else(|| self.history.next()),
            count: piece.batch.count(),
            time: self.time,
            publisher: identity.map_or(0, |identity| identity.publisher),
            lines: piece.batch.bytes().clone(),
        }
    }

    /// Resolves when the messages are stored.
    async fn store(
        &self,
        publications: &[Publication],
        pieces: &[EncodedBatch],
        ids: &[RememberedId],
    ) -> Result<(), StoreError> {
        match self.place() {
            Some(Place::Disk(store, id)) if !pieces.is_empty() => {
                let entry = |piece| self.entry(publications, piece);
                let batch = RecordBatch {
                    entries: pieces.iter().map(entry).collect(),
                    ids: ids.to_vec(),
                };
                // In a box: it waits for a flush anyway, and the topic's task stays small.
                Box::pin(store.append(*id, batch)).await
            }
            _ => Ok(()),
        }
    }

    /// Handles messages that couldn't be stored. They are delivered all the same, and their
    /// publishers are told. But if the store is only late they aren't delivered, because their
    /// publishers send them again.
    fn unstored(
        &mut self,
        publications: &mut [Publication],
        acknowledgements: Vec<Acknowledgement>,
        error: StoreError,
    ) -> Appended {
        self.warn(&error);
        if error == StoreError::InDoubt {
            // The next message finds out what is stored.
            self.stored = None;
            let next = NonZeroU64::new(self.next());
            self.in_doubt_from = self.in_doubt_from.or(next);
        }
        // Duplicates that came together with a refused message are refused too.
        let next = self.next();
        let (mut refused, acknowledgements): (Vec<_>, Vec<_>) = acknowledgements
            .into_iter()
            .partition(|one| one.stored.seq >= next);
        let stamp = self.settings.clock.read().stamp;
        let pieces = render(publications, stamp, None, self.epoch);
        for publication in publications {
            let reply = std::mem::take(&mut publication.reply);
            if !matches!(reply, Reply::None) {
                refused.push(Acknowledgement {
                    origin: publication.origin.clone(),
                    reply,
                    stored: Stored { seq: 0, time: 0 },
                    has_other_text: false,
                });
            }
        }
        Appended {
            pieces,
            acknowledgements,
            unstored: Some(Box::new(Unstored { refused, error })),
        }
    }

    fn count_bytes(&mut self) {
        self.share.set(self.history.bytes() + self.ids.bytes());
    }
}
