//! A topic's order: what number each message gets, what of it is remembered, and
//! which messages were there before.
//!
//! A message is remembered before anybody gets it: nobody has seen a message that a
//! crash could take back.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wire::TopicName;

use crate::clock::now;
use crate::history::budget::MemoryShare;
use crate::history::dedup::DedupWindow;
use crate::history::entry::{Entry, RememberedId, Stored};
use crate::history::memory::History;
use crate::store::{RecordBatch, Store, StoreError, TopicId};
use crate::topic::acks::Acknowledgement;
use crate::topic::publication::{MessageId, Publication, Reply};
use crate::topic::render::{EncodedBatch, Envelopes, Renderer, rendered_size};
use crate::topic::settings::TopicSettings;

/// A topic's messages in their order.
pub(crate) struct TopicLog {
    name: TopicName,
    settings: Arc<TopicSettings>,
    /// One unbroken life of the topic.
    epoch: u64,
    history: History,
    ids: DedupWindow,
    /// The ids in the store have not been read into `ids` yet.
    has_unread_ids: bool,
    share: MemoryShare,
    /// When the newest message came: within a topic, time doesn't go back.
    time: u64,
    /// Where its messages are on disk; `None` if they aren't, or can't be now.
    stored: Option<StoredTopic>,
    /// The store didn't answer in time: it may hold messages from this one on.
    in_doubt_from: Option<NonZeroU64>,
}

/// A topic in the store.
struct StoredTopic {
    store: Store,
    id: TopicId,
    /// The oldest message that is there; the next one if there is none.
    first: Arc<AtomicU64>,
}

/// What was published, ready to be delivered.
#[derive(Default)]
pub(crate) struct Appended {
    /// In their order; empty if nobody wants them.
    pub(crate) pieces: Vec<EncodedBatch>,
    pub(crate) acknowledgements: Vec<Acknowledgement>,
    /// That they couldn't be stored; in a box, because that is rare.
    pub(crate) unstored: Option<Box<Unstored>>,
}

/// What couldn't be stored.
pub(crate) struct Unstored {
    /// Whom to tell of which message.
    pub(crate) refused: Vec<Acknowledgement>,
    /// Why.
    pub(crate) error: StoreError,
}

impl TopicLog {
    /// The log of a topic that begins anew.
    pub(crate) fn new(name: TopicName, settings: Arc<TopicSettings>, share: MemoryShare) -> Self {
        Self {
            epoch: settings.epoch_of(&name),
            name,
            history: History::new(settings.history, 1),
            ids: DedupWindow::new(settings.ids),
            has_unread_ids: false,
            share,
            time: 0,
            stored: None,
            in_doubt_from: None,
            settings,
        }
    }

    /// Goes on with what is in the store, if there is one and it can be read; it is
    /// tried again with the next message.
    pub(crate) async fn open(&mut self) {
        if self.is_unloaded()
            && let Err(error) = Box::pin(self.load()).await
        {
            self.warn(&error);
        }
    }

    /// What the topic has in common with others.
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
        // A topic that is made only now, because the disk was full before, keeps the
        // epoch that its members know.
        let loaded = store.load_or_make(&self.name, self.epoch).await?;
        self.epoch = loaded.epoch;
        self.history = History::new(self.settings.history, loaded.next);
        self.time = loaded.time;
        self.ids = DedupWindow::new(self.settings.ids);
        self.has_unread_ids = true;
        self.stored = Some(StoredTopic {
            store,
            id: loaded.id,
            first: loaded.first,
        });
        self.count_bytes();
        Ok(())
    }

    /// Reads the ids that the store remembers. Only the first message with an id needs
    /// them: a subscriber does not wait until up to 128 MiB of records have been read.
    async fn read_ids(&mut self) -> Result<(), StoreError> {
        if let Some(stored) = &self.stored {
            let max_ids = self.settings.ids.per_publisher;
            let read = stored.store.remembered_ids(stored.id, self.time, max_ids);
            self.ids = read.await?;
        }
        self.has_unread_ids = false;
        self.count_bytes();
        Ok(())
    }

    /// Gets everything from the store that these publications need.
    async fn prepare(&mut self, publications: &[Publication]) -> Result<(), StoreError> {
        // In boxes, because it happens once: the topic's task has no room for it.
        if self.is_unloaded() {
            Box::pin(self.load()).await?;
        }
        if self.has_unread_ids && publications.iter().any(|one| one.reply.id().is_some()) {
            Box::pin(self.read_ids()).await?;
        }
        Ok(())
    }

    fn warn(&self, error: &StoreError) {
        self.complain(error, "messages aren't stored");
    }

    /// Logs a trouble with the store, unless there is too much of it.
    pub(crate) fn complain(&self, error: &StoreError, what: &str) {
        let topic = &self.name;
        let warn = || tracing::warn!(%topic, %error, "{what}");
        self.settings.troubles.log(|_| warn());
    }

    /// The topic may be about to be forgotten altogether: should it come again, that
    /// is another life, if there was a message in this one.
    pub(crate) fn start_new_epoch(&self) {
        if self.stored.is_none() && self.next() > 1 {
            self.settings.epoch_counter.fetch_add(1, Relaxed);
        }
    }

    /// The life of the topic, as clients are told it.
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

    /// When the newest message came: milliseconds since the Unix epoch.
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    /// The oldest message that can still be had; the next one if there is none.
    pub(crate) fn first(&self) -> u64 {
        match &self.stored {
            Some(stored) => stored.first.load(Relaxed).min(self.history.first()),
            None => self.history.first(),
        }
    }

    /// The first message that came at `time` or later; the next one if none did.
    pub(crate) async fn first_since(&self, time: u64) -> u64 {
        let in_memory = self.history.first_since(time);
        match &self.stored {
            // There may be earlier ones on disk.
            Some(stored) if in_memory == self.history.first() => {
                match stored.store.first_since(stored.id, time).await {
                    Ok(first) => first.min(in_memory),
                    Err(error) => {
                        self.complain(&error, "older messages can't be found");
                        in_memory
                    }
                }
            }
            _ => in_memory,
        }
    }

    /// The first message from `from` on that can still be had.
    pub(crate) async fn first_from(&self, from: u64) -> u64 {
        let in_memory = self.history.first();
        match &self.stored {
            Some(stored) if from < in_memory => {
                // What is too old may not have been deleted yet.
                let first = stored.store.first_since(stored.id, 0).await;
                first.unwrap_or(in_memory).min(in_memory).max(from)
            }
            _ => from.max(in_memory),
        }
    }

    /// Forgets what has become too old to be sent.
    pub(crate) fn forget_too_old(&mut self) {
        if let Some(stored) = &self.stored
            && self.history.forget_before(stored.store.oldest_time()) > 0
        {
            self.count_bytes();
        }
    }

    /// What is in memory.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Where messages are read that aren't in memory any more.
    pub(crate) fn on_disk(&self) -> Option<(Store, TopicId)> {
        let stored = self.stored.as_ref()?;
        Some((stored.store.clone(), stored.id))
    }

    /// Whether nothing is lost when the topic's task ends.
    pub(crate) fn is_empty(&self) -> bool {
        self.stored.is_some() || self.history.bytes() + self.ids.bytes() == 0
    }

    /// Gives back so many bytes, or all that it takes: first its messages in memory,
    /// then as many of its oldest ids as it must.
    pub(crate) fn give_back(&mut self, wanted: usize) {
        let wanted = wanted.saturating_sub(self.history.bytes());
        self.history.forget();
        if wanted > 0 {
            self.ids.give_back(wanted);
        }
        self.count_bytes();
    }

    /// Forgets the ids that are too old, though nothing is published.
    pub(crate) fn expire(&mut self) {
        self.ids.expire(now().max(self.time));
        self.count_bytes();
    }

    /// Whether there are ids, which become too old some time.
    pub(crate) fn has_ids(&self) -> bool {
        !self.ids.is_empty()
    }

    /// Whether somebody is in the topic, which then stays whatever it forgets.
    pub(crate) fn set_joined(&mut self, is_joined: bool) {
        self.share.set_joined(is_joined);
    }

    /// When it is known again what is stored: from which message on there may be some that
    /// nobody was given.
    pub(crate) fn take_found(&mut self) -> Option<u64> {
        self.stored.as_ref()?;
        self.in_doubt_from.take().map(NonZeroU64::get)
    }

    /// Gives the messages their numbers and remembers them. Those that were there
    /// before are taken out of `publications`. Pieces are made if somebody wants
    /// them.
    pub(crate) async fn append(
        &mut self,
        publications: &mut Vec<Publication>,
        are_wanted: bool,
    ) -> Appended {
        if let Err(error) = self.prepare(publications).await {
            return self.unstored(publications, Vec::new(), error);
        }
        self.time = now().max(self.time);
        self.ids.expire(self.time);
        let (acknowledgements, ids) = self.number(publications);
        if !are_wanted && !self.history.is_enabled() && self.stored.is_none() {
            let count = publications.iter().map(|one| u64::from(one.batch.count()));
            self.history.skip(count.sum());
            return Appended {
                acknowledgements,
                ..Appended::default()
            };
        }
        let pieces = self.render(publications);
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

    /// Takes out what was there before; tells whom to acknowledge what, and which
    /// ids are new.
    fn number(
        &mut self,
        publications: &mut Vec<Publication>,
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
            let remembered = reply.id().map(|id| remembered(id, next, self.time));
            let known = remembered.and_then(|id| self.ids.find_or_insert(id));
            let is_new = known.is_none();
            let (seq, time) = (next, self.time);
            if is_new {
                ids.extend(remembered);
                next += count;
            }
            acknowledgements.push(Acknowledgement {
                origin: publication.origin.clone(),
                reply,
                stored: known.unwrap_or(Stored { seq, time }),
            });
            is_new
        });
        (acknowledgements, ids)
    }

    /// The messages as they are sent.
    fn render(&self, publications: &[Publication]) -> Vec<EncodedBatch> {
        let mut envelopes = Envelopes::at(self.time);
        let mut next = self.history.next();
        let mut renderer = Renderer::new(rendered_size(publications, next), self.epoch);
        for (index, publication) in publications.iter().enumerate() {
            let envelope = envelopes.of(publication.identity.as_ref());
            renderer.add(index, &publication.batch, Some(next), envelope);
            next += u64::from(publication.batch.count());
        }
        renderer.finish()
    }

    /// A piece as it is kept.
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

    /// Resolves when the messages are where they can't be lost.
    async fn store(
        &self,
        publications: &[Publication],
        pieces: &[EncodedBatch],
        ids: &[RememberedId],
    ) -> Result<(), StoreError> {
        match &self.stored {
            Some(stored) if !pieces.is_empty() => {
                let entry = |piece| self.entry(publications, piece);
                let batch = RecordBatch {
                    entries: pieces.iter().map(entry).collect(),
                    ids: ids.to_vec(),
                };
                // In a box: there is a flush to wait for, and a topic's task has no room
                // for what it isn't doing.
                Box::pin(stored.store.append(stored.id, batch)).await
            }
            _ => Ok(()),
        }
    }

    /// Messages that couldn't be stored: those who are here get them all the same,
    /// and are told; but not while that may only take longer, because then their
    /// publishers send them again.
    fn unstored(
        &mut self,
        publications: &mut [Publication],
        acknowledgements: Vec<Acknowledgement>,
        error: StoreError,
    ) -> Appended {
        self.warn(&error);
        if error == StoreError::InDoubt {
            // What is stored is found out with the next message.
            self.stored = None;
            let next = NonZeroU64::new(self.next());
            self.in_doubt_from = self.in_doubt_from.or(next);
        }
        let mut envelopes = Envelopes::at(now());
        // Also what came again together with the first one is refused.
        let next = self.next();
        let (mut refused, acknowledgements): (Vec<_>, Vec<_>) = acknowledgements
            .into_iter()
            .partition(|one| one.stored.seq >= next);
        let mut renderer = Renderer::new(rendered_size(publications, 0), self.epoch);
        for (index, publication) in publications.iter_mut().enumerate() {
            let reply = std::mem::take(&mut publication.reply);
            if !matches!(reply, Reply::None) {
                refused.push(Acknowledgement {
                    origin: publication.origin.clone(),
                    reply,
                    stored: Stored { seq: 0, time: 0 },
                });
            }
            let envelope = envelopes.of(publication.identity.as_ref());
            renderer.add(index, &publication.batch, None, envelope);
        }
        let pieces = renderer.finish();
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

fn remembered(id: &MessageId, seq: u64, time: u64) -> RememberedId {
    RememberedId {
        origin: id.origin,
        id: id.hash,
        seq,
        time,
    }
}
