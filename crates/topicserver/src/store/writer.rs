//! The writer: one thread that writes for all topics. It writes all waiting requests as
//! one group, flushes once, and then answers them: group commit.

mod chores;
pub(super) mod corrections;
mod forget;
pub(super) mod group;
mod limits;
pub(crate) mod queue;
mod recovery;
mod retention;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use wire::TopicName;

use super::ages::Ages;
use super::catalogue;
use super::database::{CommitError, DatabaseSettings, Tables};
use super::directory::{Directory, ROOM_FOR_A_GROUP};
use super::error::{DatabaseError, OpenError, StoreError};
use super::floors::Floors;
use super::high_water_marks::HighWaterMarks;
use super::merger::Merger;
use super::preallocator::Preallocator;
use super::shared::Shared;
use super::topic::{RetentionLimits, StoredTopic};
use super::types::{Loaded, Retention, TopicId};
use crate::clock::{Clock, Correction};
use chores::Chores;
use group::Access;
use queue::{Queue, Request, Waiting};
use recovery::Unavailable;

/// How many stalls in a row the writer accepts before it opens the database again. If a
/// thread of the database has died, it never recovers.
const STALLS: u32 = 2;

/// The key of the secret in the table `meta`.
pub(super) const SECRET: &str = "secret";

/// The database, and what the writer reads from it once, at the start.
struct OpenedDatabase {
    tables: Tables,
    secret: [u8; 16],
    next_id: u32,
    corrections: Vec<Correction>,
}

/// All that the writer's thread owns.
pub(crate) struct Writer {
    pub(super) directory: Directory,
    pub(super) shared: Arc<Shared>,
    pub(super) high_water_marks: HighWaterMarks,
    preallocator: Preallocator,
    pub(super) limits: RetentionLimits,
    clock: Clock,
    /// Corrections of wrong times.
    corrections: Vec<Correction>,
    /// The number of the next topic that is made.
    pub(super) next_id: u32,
    /// The topics in memory.
    pub(super) topics: HashMap<TopicId, StoredTopic>,
    /// The numbers of the topics in memory, by name.
    pub(super) ids: HashMap<TopicName, TopicId>,
    /// Topics that exceed their limits.
    pub(super) trims: VecDeque<TopicId>,
    /// When the topics' oldest messages become too old.
    pub(super) ages: Ages,
    /// Where topics begin, for the database's threads.
    pub(super) floors: Floors,
    pub(super) chores: Chores,
    pub(super) merger: Merger,
    /// The settings of the database.
    pub(super) settings: DatabaseSettings,
    /// Stalls of the database in a row.
    pub(super) stalls: u32,
    /// Topics with a number from which on it is unknown what was written.
    pub(super) in_doubt: HashMap<TopicId, u64>,
    /// Why nothing can be written now.
    pub(super) unavailable: Option<Unavailable>,
    /// The log says that nothing can be written.
    pub(super) unavailable_logged: bool,
    /// The log says that the high-water marks cannot be written.
    marks_failed: bool,
    /// A buffer for a record, reused.
    record: Vec<u8>,
    /// Bytes that the last group added to the journal. They are flushed, with everything before.
    /// 0 if it wrote nothing; then earlier bytes may still be in a buffer.
    flushed: u64,
    /// The runtime of the tasks that wait for answers, if the store was opened in one.
    runtime: Option<Handle>,
}

impl OpenedDatabase {
    fn open(directory: &Directory, settings: &DatabaseSettings) -> Result<Self, DatabaseError> {
        let tables = Tables::open(&directory.database(), settings)?;
        Ok(Self {
            secret: secret(&tables)?,
            next_id: catalogue::next_id(&tables)?,
            corrections: corrections::read(&tables)?,
            tables,
        })
    }
}

impl Writer {
    /// Opens the directory and the database. Also returns the directory's secret.
    pub(crate) fn open(
        path: &Path,
        retention: Retention,
        clock: Clock,
        settings: DatabaseSettings,
    ) -> Result<(Self, [u8; 16]), OpenError> {
        let directory = Directory::open(path)?;
        let opened = OpenedDatabase::open(&directory, &settings);
        let OpenedDatabase {
            tables,
            secret,
            next_id,
            corrections,
        } = opened.map_err(|source| database_error(&directory, path, source))?;
        let high_water_marks = open_marks(directory.high_water_marks(), next_id)?;
        clock.restore(corrections);
        let shared = Arc::new(Shared {
            tables: RwLock::new(Ok(tables)),
            bounds: Mutex::default(),
            limits: RwLock::new(RetentionLimits::new(retention)),
            clock: clock.clone(),
            marks: directory.high_water_marks(),
            trouble: Mutex::default(),
        });
        let merger = Merger::start(shared.clone());
        let merger = merger.map_err(|source| OpenError::Unusable {
            path: path.to_owned(),
            source,
        })?;
        let writer = Self {
            preallocator: Preallocator::new(directory.database()),
            directory,
            shared,
            high_water_marks,
            limits: RetentionLimits::new(retention),
            corrections: clock.corrections(),
            clock,
            next_id,
            topics: HashMap::new(),
            ids: HashMap::new(),
            trims: VecDeque::new(),
            ages: Ages::default(),
            floors: settings.floors.clone(),
            chores: Chores::new(),
            merger,
            settings,
            stalls: 0,
            in_doubt: HashMap::new(),
            unavailable: None,
            unavailable_logged: false,
            marks_failed: false,
            record: Vec::new(),
            flushed: 0,
            runtime: Handle::try_current().ok(),
        };
        Ok((writer, secret))
    }

    /// What the readers need.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Starts the thread. It ends at the request to close, or when the last handle is gone.
    pub(crate) fn start(self) -> io::Result<Queue> {
        let (queue, waiting) = queue::queue();
        let thread = std::thread::Builder::new().name("history".to_owned());
        thread.spawn(move || {
            let done = self.run(&waiting);
            // The lock has been released by now.
            if let Some(done) = done {
                let _ = done.send(());
            }
        })?;
        Ok(queue)
    }

    fn run(mut self, waiting: &Waiting) -> Option<oneshot::Sender<()>> {
        while let Ok(mut group) = waiting.take(self.time_to_chores()) {
            let end = take_end(&mut group);
            let trims = take_trims(&mut group);
            let forgets = forget::take(&mut group);
            let pings = take_pings(&mut group);
            if !group.is_empty() {
                let kib = queue::kib_of(&group);
                self.serve(group, waiting);
                waiting.give_back(kib);
            }
            self.trim_asked(trims);
            self.forget_asked(forgets);
            for ping in pings {
                // Whoever asked may have stopped waiting.
                let _ = ping.send(());
            }
            if let Some(done) = end {
                self.finish();
                return Some(done);
            }
            self.do_chores();
        }
        self.finish();
        None
    }

    /// Carries out a group and answers it. What is wrong is shown before the answers: a client
    /// that was refused and asks for the server's health is told why.
    fn serve(&mut self, group: Vec<Request>, waiting: &Waiting) {
        if let Err(error) = self.ready() {
            self.show_trouble();
            return self.refuse(group, &error);
        }
        let mut results = self.write(&group, Access::Write);
        if matches!(results, Err(CommitError::Poisoned))
            && self.recover(CommitError::Poisoned).is_ok()
            && self.unavailable.is_none()
        {
            // Nothing of the group was written, because an earlier write had failed.
            results = self.write(&group, Access::Write);
        }
        match results {
            Ok(results) => {
                self.written();
                self.show_trouble();
                self.answer_all(group.into_iter().zip(results).collect(), waiting);
                self.preallocator.advance(self.flushed);
            }
            Err(CommitError::Stalled) if self.stalls < STALLS => {
                self.stalls += 1;
                self.show_trouble();
                tracing::warn!("can't write the history: {}", StoreError::Busy);
                for request in group {
                    self.answer(request, Err(StoreError::Busy));
                }
            }
            Err(error) => {
                // Recovery comes before the answer, so that nothing of the group is left when its
                // senders get the error.
                let error = match self.recover(error) {
                    Ok(error) | Err(error) => error,
                };
                self.show_trouble();
                for request in group {
                    self.answer(request, Err(error.clone()));
                }
            }
        }
    }

    /// Answers a group without writing, as far as that is possible.
    fn refuse(&mut self, group: Vec<Request>, error: &StoreError) {
        for request in group {
            let result = match &request {
                Request::Load { .. } => {
                    self.write(std::slice::from_ref(&request), Access::ReadOnly)
                }
                _ => Err(CommitError::Failed(error.clone())),
            };
            let result = result.ok().and_then(|mut results| results.pop());
            self.answer(request, result.unwrap_or(Err(error.clone())));
        }
    }

    /// Answers a group. Waking a task from this thread costs a system call. So it wakes one
    /// task, which wakes the others on the runtime, where that costs nothing.
    fn answer_all(
        &self,
        mut group: Vec<(Request, Result<TopicId, StoreError>)>,
        waiting: &Waiting,
    ) {
        let is_append = |(request, _): &(Request, _)| matches!(request, Request::Append { .. });
        if let Some(runtime) = &self.runtime
            && group.len() > 1
            && group.iter().all(is_append)
        {
            let wake = waiting.defer_wake();
            runtime.spawn(async move {
                for (request, result) in group.drain(..) {
                    if let Request::Append { done, .. } = request {
                        // The caller may have stopped waiting.
                        let _ = done.send(result.map(|_| ()));
                    }
                }
                wake.after_a_turn().await;
            });
            return;
        }
        for (request, result) in group {
            self.answer(request, result);
        }
    }

    fn answer(&self, request: Request, result: Result<TopicId, StoreError>) {
        // The caller may have stopped waiting.
        match request {
            Request::Append { done, .. } => {
                let _ = done.send(result.map(|_| ()));
            }
            Request::Load { done, .. } => {
                let _ = done.send(result.and_then(|id| self.loaded(id)));
            }
            Request::Trim { .. }
            | Request::Forget { .. }
            | Request::Ping(_)
            | Request::Close(_) => {}
        }
    }

    fn loaded(&self, id: TopicId) -> Result<Loaded, StoreError> {
        let Some(state) = self.topics.get(&id) else {
            return Err(StoreError::NoTopic(id.0));
        };
        Ok(Loaded {
            id,
            epoch: state.epoch,
            next: state.durable.next,
            first: state.bounds.first.clone(),
            time: state.durable.time,
        })
    }

    /// The database, or why there is none.
    pub(super) fn tables(&self) -> Result<Tables, StoreError> {
        self.shared.tables.read().clone()
    }

    /// Makes everything durable and closes the database.
    fn finish(self) {
        let flushed = self.tables().and_then(|tables| tables.flush());
        let noted = self.high_water_marks.flush().map_err(StoreError::from);
        if let Err(error) = flushed.and(noted) {
            tracing::warn!("the history may not be complete on disk: {error}");
        }
        *self.shared.tables.write() = Err(StoreError::Closed);
    }
}

/// Removes the request to close, and all requests after it.
fn take_end(group: &mut Vec<Request>) -> Option<oneshot::Sender<()>> {
    let is_end = |request: &Request| matches!(request, Request::Close(_));
    let end = group.iter().position(is_end)?;
    match group.drain(end..).next() {
        Some(Request::Close(done)) => Some(done),
        _ => None,
    }
}

/// A topic with messages that are too old, and the channel to report that they are deleted.
type Trim = (TopicId, oneshot::Sender<Result<(), StoreError>>);

/// Takes out the requests to delete old messages: they are carried out after the appends.
fn take_trims(group: &mut Vec<Request>) -> Vec<Trim> {
    let is_trim = |request: &mut Request| matches!(request, Request::Trim { .. });
    let trims = group.extract_if(.., is_trim);
    let trim = |request| match request {
        Request::Trim { topic, done } => Some((topic, done)),
        _ => None,
    };
    trims.filter_map(trim).collect()
}

/// Takes out who asks whether the writer is there: they are answered when everything else is
/// done.
fn take_pings(group: &mut Vec<Request>) -> Vec<oneshot::Sender<()>> {
    let is_ping = |request: &mut Request| matches!(request, Request::Ping(_));
    let ping = |request| match request {
        Request::Ping(done) => Some(done),
        _ => None,
    };
    group.extract_if(.., is_ping).filter_map(ping).collect()
}

/// Opens the high-water marks, and removes those of topics that were lost with a damaged end of
/// the history.
fn open_marks(path: PathBuf, next_id: u32) -> Result<HighWaterMarks, OpenError> {
    let mut marks = match HighWaterMarks::open(&path) {
        Ok(marks) => marks,
        Err(source) => return Err(OpenError::Unusable { path, source }),
    };
    match marks.remove_from(TopicId(next_id)) {
        Ok(0) => {}
        Ok(topics) => tracing::warn!(
            "the {topics} newest topics are no longer in the history: its end was damaged"
        ),
        Err(error) => tracing::warn!("can't forget topics that are gone: {error}"),
    }
    Ok(marks)
}

/// The directory's secret; `None` if there is none yet.
pub(super) fn read_secret(tables: &Tables) -> Result<Option<[u8; 16]>, StoreError> {
    let secret = tables.meta.get(SECRET)?;
    let secret = secret.map(|secret| secret.as_ref().try_into());
    secret.transpose().map_err(|_| StoreError::DamagedSecret)
}

/// The directory's secret, which is made if there is none.
fn secret(tables: &Tables) -> Result<[u8; 16], StoreError> {
    if let Some(secret) = read_secret(tables)? {
        return Ok(secret);
    }
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(StoreError::from)?;
    let mut batch = tables.batch();
    batch.insert(&tables.meta, SECRET, secret);
    tables.commit(batch).map_err(CommitError::into_error)?;
    Ok(secret)
}

/// Why the database can't be opened. A full disk is named as such, because the database's own
/// error doesn't tell; and so are files of another user, with which nothing is wrong otherwise.
fn database_error(directory: &Directory, path: &Path, source: DatabaseError) -> OpenError {
    match directory.has_room(ROOM_FOR_A_GROUP) {
        Ok(()) if source.is_denied() => OpenError::Unusable {
            path: directory.database(),
            source: std::io::ErrorKind::PermissionDenied.into(),
        },
        Ok(()) => OpenError::Database {
            path: directory.database(),
            source,
        },
        Err(source) => OpenError::Unusable {
            path: path.to_owned(),
            source,
        },
    }
}
