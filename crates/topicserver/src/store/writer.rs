//! The writer: one thread that writes for all topics. What waits is written as
//! one group, flushed once, and then acknowledged.

pub(crate) mod queue;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use fjall::OwnedWriteBatch;
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;
use wire::TopicName;

use super::catalogue::{self, Found};
use super::database::{Tables, Trouble};
use super::directory::Directory;
use super::heads::Heads;
use super::record;
use super::recovery::Outage;
use super::retention::Sweep;
use super::shared::Shared;
use super::topic::{self, Limits, Oldest, State};
use super::{Batch, Loaded, OpenError, Retention, StoreError, TopicId};
use queue::{Queue, Request};

/// Bytes of lines at which a group is written, though more may wait: who came
/// first shall not wait for much longer than a flush takes.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// The same, in requests.
const MAX_GROUP: usize = 4096;

/// The key of the secret in the table of what is there once.
const SECRET: &str = "secret";

/// All that the writer's thread owns.
pub(crate) struct Writer {
    pub(super) directory: Directory,
    pub(super) shared: Arc<Shared>,
    pub(super) heads: Heads,
    pub(super) limits: Limits,
    /// The number of the next topic that is made.
    pub(super) next_id: u32,
    /// The topics in memory.
    pub(super) topics: HashMap<TopicId, State>,
    /// The same by their names.
    pub(super) ids: HashMap<TopicName, TopicId>,
    /// Topics that hold more than they should.
    pub(super) trims: VecDeque<TopicId>,
    pub(super) sweep: Sweep,
    /// Topics of which it isn't known what was written from that number on.
    pub(super) doubtful: HashMap<TopicId, u64>,
    /// Why nothing can be written now.
    pub(super) outage: Option<Outage>,
    /// Whether it was said that the heads can't be written.
    heads_failed: bool,
}

/// A group while it is put together.
struct Group {
    batch: OwnedWriteBatch,
    /// Topics that get messages.
    appended: Vec<TopicId>,
    /// Topics that are in memory only since this group, and change with it.
    changed: Vec<TopicId>,
}

impl Writer {
    /// Opens everything. Also says the directory's secret.
    pub(crate) fn open(
        path: &Path,
        retention: Retention,
        id_window: Duration,
    ) -> Result<(Self, [u8; 16]), OpenError> {
        let directory = Directory::open(path)?;
        let broken = |text| OpenError::Database {
            path: directory.database(),
            text,
        };
        let tables = Tables::open(&directory.database()).map_err(broken)?;
        let heads = Heads::open(&directory.heads()).map_err(|source| OpenError::Unusable {
            path: directory.heads(),
            source,
        })?;
        let secret = secret(&tables).map_err(|error| broken(error.to_string()))?;
        let next_id = catalogue::next_id(&tables).map_err(|error| broken(error.to_string()))?;
        match heads.remove_from(TopicId(next_id)) {
            Ok(0) => {}
            Ok(topics) => tracing::warn!(
                "the {topics} newest topics are no longer in the history: its end was damaged"
            ),
            Err(error) => {
                tracing::warn!("can't tell whether the history lost whole topics: {error}");
            }
        }
        let shared = Shared {
            tables: RwLock::new(Ok(tables)),
            bounds: Mutex::default(),
        };
        let writer = Self {
            directory,
            shared: Arc::new(shared),
            heads,
            limits: Limits::new(retention, id_window),
            next_id,
            topics: HashMap::new(),
            ids: HashMap::new(),
            trims: VecDeque::new(),
            sweep: Sweep::new(),
            doubtful: HashMap::new(),
            outage: None,
            heads_failed: false,
        };
        Ok((writer, secret))
    }

    /// What the readers need.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Starts the thread. It ends when it is told to, or nobody is left to.
    pub(crate) fn start(self) -> io::Result<Queue> {
        let (requests, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new().name("history".to_owned());
        thread.spawn(move || {
            let done = self.run(&waiting);
            // The lock has been released by now.
            if let Some(done) = done {
                let _ = done.send(());
            }
        })?;
        Ok(Queue::new(requests))
    }

    fn run(mut self, waiting: &Receiver<Request>) -> Option<oneshot::Sender<()>> {
        loop {
            let (group, end) = self.gather(waiting);
            if !group.is_empty() {
                self.serve(group);
            }
            match end {
                End::NotYet => self.do_chores(),
                End::Closed(done) => {
                    self.finish();
                    return done;
                }
            }
        }
    }

    /// Takes what waits, and waits if that is nothing and there are no chores.
    fn gather(&self, waiting: &Receiver<Request>) -> (Vec<Request>, End) {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = match self.time_to_chores() {
            Duration::ZERO => waiting.try_recv(),
            time => waiting.recv_timeout(time).map_err(|error| match error {
                RecvTimeoutError::Timeout => TryRecvError::Empty,
                RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
            }),
        };
        loop {
            match next {
                Ok(Request::Close(done)) => return (group, End::Closed(Some(done))),
                Err(TryRecvError::Disconnected) => return (group, End::Closed(None)),
                Err(TryRecvError::Empty) => return (group, End::NotYet),
                Ok(request) => {
                    if let Request::Append { batch, .. } = &request {
                        bytes += queue::bytes(batch);
                    }
                    group.push(request);
                }
            }
            if group.len() >= MAX_GROUP || bytes >= MAX_GROUP_BYTES {
                return (group, End::NotYet);
            }
            next = waiting.try_recv();
        }
    }

    /// Does what a group asks for, and answers.
    fn serve(&mut self, group: Vec<Request>) {
        if let Err(error) = self.ready() {
            return self.refuse(group, &error);
        }
        let mut results = self.write(&group, true);
        if matches!(results, Err(Trouble::Poisoned))
            && self.recover(Trouble::Poisoned).is_ok()
            && self.outage.is_none()
        {
            // Nothing of it was written: it was something earlier that failed.
            results = self.write(&group, true);
        }
        match results {
            Ok(results) => {
                for (request, result) in group.into_iter().zip(results) {
                    self.answer(request, result);
                }
            }
            Err(trouble) => {
                // Before the answer, so that nothing of the group is left when
                // its senders hear of it.
                let error = match self.recover(trouble) {
                    Ok(error) | Err(error) => error,
                };
                for request in group {
                    self.answer(request, Err(error.clone()));
                }
            }
        }
    }

    /// Answers as well as it is possible without writing.
    fn refuse(&mut self, group: Vec<Request>, error: &StoreError) {
        for request in group {
            let result = match &request {
                Request::Load { .. } => self.write(std::slice::from_ref(&request), false),
                _ => Err(Trouble::Failed(error.clone())),
            };
            let result = result.ok().and_then(|mut results| results.pop());
            self.answer(request, result.unwrap_or(Err(error.clone())));
        }
    }

    fn answer(&self, request: Request, result: Result<TopicId, StoreError>) {
        // Whoever asked may have stopped waiting.
        match request {
            Request::Append { done, .. } => {
                let _ = done.send(result.map(|_| ()));
            }
            Request::Load { done, .. } => {
                let _ = done.send(result.and_then(|id| self.loaded(id)));
            }
            Request::Close(_) => {}
        }
    }

    /// Writes a group, all or nothing, and flushes it. Says for each request
    /// which topic it is about. If it `may_write` nothing, that is an error
    /// where something would have to be.
    fn write(
        &mut self,
        requests: &[Request],
        may_write: bool,
    ) -> Result<Vec<Result<TopicId, StoreError>>, Trouble> {
        let tables = self.tables().map_err(Trouble::Failed)?;
        let mut group = Group {
            batch: tables.batch(),
            appended: Vec::new(),
            changed: Vec::new(),
        };
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            results.push(match request {
                Request::Append { topic, batch, .. } => {
                    self.add(&tables, &mut group, *topic, batch)
                }
                Request::Load { name, .. } => self.find_or_make(&tables, &mut group, name),
                Request::Close(_) => Err(StoreError::Closed),
            });
        }
        let batch = std::mem::replace(&mut group.batch, tables.batch());
        let written = match batch.is_empty() {
            true => Ok(()),
            false if !may_write => Err(Trouble::Poisoned),
            false => tables.commit(batch, true),
        };
        match written {
            Ok(()) => self.settle(&group),
            Err(trouble) => {
                self.undo(&group, matches!(trouble, Trouble::Failed(_)));
                return Err(trouble);
            }
        }
        Ok(results)
    }

    /// Adds a batch of messages to the group.
    fn add(
        &mut self,
        tables: &Tables,
        group: &mut Group,
        id: TopicId,
        batch: &Batch,
    ) -> Result<TopicId, StoreError> {
        if !self.topics.contains_key(&id) {
            self.bring(tables, group, id)?;
        }
        let Some(state) = self.topics.get_mut(&id) else {
            return Err(StoreError::Io(format!("there is no topic {}", id.0)));
        };
        let position = &mut state.pending;
        let next = topic::check_order(&batch.entries, position.next)?;
        let Some(first) = batch.entries.first() else {
            return Ok(id);
        };
        for entries in topic::cut(&batch.entries) {
            let Some(begin) = entries.first() else {
                continue;
            };
            let (header, bytes) = record::write_history(&entries, position.total);
            position.oldest.get_or_insert(Oldest {
                time: header.time,
                before: position.total,
            });
            position.total = header.total;
            position.time = position.time.max(header.time);
            let key = record::key(id, begin.first);
            group.batch.insert(&tables.history, key, bytes);
        }
        if !batch.ids.is_empty() {
            let time = catalogue::newest_id_time(&batch.ids);
            position.oldest_ids.get_or_insert(time);
            let key = record::key(id, first.first);
            group
                .batch
                .insert(&tables.ids, key, record::write_ids(&batch.ids));
        }
        position.next = next;
        group.appended.push(id);
        Ok(id)
    }

    fn find_or_make(
        &mut self,
        tables: &Tables,
        group: &mut Group,
        name: &TopicName,
    ) -> Result<TopicId, StoreError> {
        if let Some(&id) = self.ids.get(name) {
            return Ok(id);
        }
        if let Some(id) = catalogue::find_id(tables, name)? {
            self.bring(tables, group, id)?;
            return Ok(id);
        }
        let id = TopicId(self.next_id);
        let state = catalogue::make(name.clone())?;
        self.next_id += 1;
        let number = id.0.to_be_bytes();
        group.batch.insert(&tables.names, name.as_str(), number);
        group
            .batch
            .insert(&tables.topics, number, state.record().write());
        group
            .batch
            .insert(&tables.meta, catalogue::NEXT_ID, self.next_id.to_be_bytes());
        group.changed.push(id);
        self.keep(id, state);
        Ok(id)
    }

    /// Brings a topic into memory. If it has lost something, its new epoch goes
    /// into the group.
    fn bring(&mut self, tables: &Tables, group: &mut Group, id: TopicId) -> Result<(), StoreError> {
        let Found { state, lost } = catalogue::read(tables, &self.heads, id)?;
        if let Some(lost) = lost {
            let (name, first, last) = (&state.name, lost.start(), lost.end());
            tracing::warn!(
                "topic {:?} has lost the messages {first} to {last}: the end of the history was \
                 damaged; it goes on after them, in a new epoch",
                name.as_str()
            );
            let number = id.0.to_be_bytes();
            group
                .batch
                .insert(&tables.topics, number, state.record().write());
            group.changed.push(id);
        }
        self.keep(id, state);
        Ok(())
    }

    /// Keeps a topic in memory.
    pub(super) fn keep(&mut self, id: TopicId, state: State) {
        self.ids.insert(state.name.clone(), id);
        self.shared.bounds.lock().insert(id, state.bounds.clone());
        self.topics.insert(id, state);
    }

    /// Forgets what is in memory of a topic.
    pub(super) fn forget(&mut self, id: TopicId) {
        self.shared.bounds.lock().remove(&id);
        if let Some(state) = self.topics.remove(&id) {
            self.ids.remove(&state.name);
        }
    }

    /// The group is durable.
    fn settle(&mut self, group: &Group) {
        let now = topic::now();
        for id in &group.appended {
            let Some(state) = self.topics.get_mut(id) else {
                continue;
            };
            if state.durable == state.pending {
                continue;
            }
            state.durable = state.pending;
            state.bounds.set(state.bounds.first(), state.durable.next);
            let noted = self.heads.write(*id, state.durable.next - 1);
            if !state.is_trimmed && state.wants_trim(&self.limits, now, false) {
                state.is_trimmed = true;
                self.trims.push_back(*id);
            }
            self.check_heads(noted);
        }
    }

    fn check_heads(&mut self, noted: io::Result<()>) {
        match noted {
            Ok(()) => self.heads_failed = false,
            Err(_) if self.heads_failed => {}
            Err(error) => {
                self.heads_failed = true;
                tracing::warn!(
                    "can't note the newest sequence numbers: {error}; should the history be \
                     damaged now, nobody could tell what it lost"
                );
            }
        }
    }

    /// The group failed: memory says again what it said before.
    fn undo(&mut self, group: &Group, may_be_written: bool) {
        for id in &group.appended {
            if let Some(state) = self.topics.get_mut(id) {
                state.pending = state.durable;
                if may_be_written {
                    self.doubtful.insert(*id, state.durable.next);
                }
            }
        }
        for id in &group.changed {
            self.forget(*id);
        }
    }

    fn loaded(&self, id: TopicId) -> Result<Loaded, StoreError> {
        let tables = self.tables()?;
        let Some(state) = self.topics.get(&id) else {
            return Err(StoreError::Io(format!("there is no topic {}", id.0)));
        };
        let since = topic::now().saturating_sub(self.limits.id_window);
        Ok(Loaded {
            id,
            epoch: state.epoch,
            next: state.durable.next,
            first: state.bounds.first.clone(),
            time: state.durable.time,
            ids: catalogue::remembered_ids(&tables, id, state.ids_from, since)?,
        })
    }

    /// The database, or why there is none.
    pub(super) fn tables(&self) -> Result<Tables, StoreError> {
        self.shared.tables.read().clone()
    }

    /// Makes everything durable and closes the database.
    fn finish(self) {
        let flushed = self.tables().and_then(|tables| tables.flush());
        let noted = self.heads.flush().map_err(StoreError::from);
        if let Err(error) = flushed.and(noted) {
            tracing::warn!("the history may not be complete on disk: {error}");
        }
        *self.shared.tables.write() = Err(StoreError::Closed);
    }
}

/// Whether the writer should end.
enum End {
    NotYet,
    /// Yes; and somebody may want to know when.
    Closed(Option<oneshot::Sender<()>>),
}

/// The directory's secret, which is made if there is none.
fn secret(tables: &Tables) -> Result<[u8; 16], StoreError> {
    if let Some(secret) = tables.meta.get(SECRET)? {
        let secret = secret.as_ref().try_into();
        return secret.map_err(|_| StoreError::Io("its secret is damaged".to_owned()));
    }
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(|error| StoreError::Io(error.to_string()))?;
    let mut batch = tables.batch();
    batch.insert(&tables.meta, SECRET, secret);
    tables.commit(batch, true).map_err(Trouble::into_error)?;
    Ok(secret)
}
