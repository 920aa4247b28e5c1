//! The owner of topics: it gives their messages numbers, and appends them to the log.
//!
//! Nothing makes a server the owner but that others hand their messages over to it. If two
//! believe that they are, the log refuses one of them, which reads what the other one has
//! appended, and numbers its messages anew.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wire::TopicName;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::forward::{Answer, Placement};
use super::log::{Appended, LogError};
use super::numbering::{GROUP_MEMORY, Numbered, Remembered};
use super::record::{Group, Record};
use super::shared::Shared;
use super::tail::{Tail, ask};
use super::trimmer::Trimmer;
use crate::clock::Reading;
use crate::metrics::{self, Time};

/// Groups of a topic that may wait. Each server hands over one at a time.
const WAITING: usize = 256;

/// The most bytes of a record, so that it is well below what the log takes. A group is never
/// larger.
pub(crate) const RECORD_BYTES: usize = 256 * 1024;

/// How long a topic's numbers stay in memory when nothing is published: reading them again takes
/// some milliseconds.
const IDLE: Duration = Duration::from_secs(60);

/// How far the clocks of servers and of the log may be apart, in milliseconds: ids and groups are
/// read from so much earlier on.
const SKEW: u64 = 60_000;

/// For how long after it was read that another owner appends this one looks whether its own records
/// count. Sound logs take no rivals, but this isn't left to them.
const RIVALRY: Duration = Duration::from_secs(10);

/// The pause before a record is appended again that met another one.
const BUSY_PAUSE: Duration = Duration::from_millis(3);

/// The pause before a log that doesn't answer is asked again.
const AWAY_PAUSE: Duration = Duration::from_millis(100);

/// The topics to which this server appends.
pub(crate) struct Sequencers {
    shared: Arc<Shared>,
    topics: Mutex<HashMap<TopicName, mpsc::Sender<Submitted>>>,
}

/// A group, and who waits for its places.
struct Submitted {
    group: Group,
    answer: oneshot::Sender<Answer>,
}

impl Sequencers {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            topics: Mutex::default(),
        })
    }

    /// Appends a group to a topic. Resolves when it is known what became of it, or that it can't
    /// be known now.
    pub(crate) async fn append(self: &Arc<Self>, topic: &TopicName, group: Group) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.submit(topic, Submitted { group, answer });
        // Without an answer the sequencer has ended, or too many wait.
        answered.await.unwrap_or(Answer::Unknown)
    }

    /// The topics to which something was appended lately.
    pub(crate) fn topics(&self) -> Vec<TopicName> {
        self.topics.lock().keys().cloned().collect()
    }

    fn submit(self: &Arc<Self>, topic: &TopicName, submitted: Submitted) {
        let mut topics = self.topics.lock();
        let submitted = match topics.get(topic) {
            None => submitted,
            Some(known) => match known.try_send(submitted) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => return,
                Err(mpsc::error::TrySendError::Closed(submitted)) => submitted,
            },
        };
        let (sender, receiver) = mpsc::channel(WAITING);
        // There is room for one.
        let _ = sender.try_send(submitted);
        topics.insert(topic.clone(), sender);
        let sequencer = Sequencer::new(self.shared.clone(), topic.clone());
        tokio::spawn(sequencer.run(receiver, Arc::downgrade(self)));
    }

    /// Forgets a topic, unless something for it has just arrived.
    fn retire(&self, topic: &TopicName, receiver: &mpsc::Receiver<Submitted>) -> bool {
        let mut topics = self.topics.lock();
        let is_idle = receiver.is_empty();
        if is_idle {
            topics.remove(topic);
        }
        is_idle
    }
}

/// What is known of a topic that this server appends to.
struct Sequencer {
    shared: Arc<Shared>,
    topic: TopicName,
    tail: Tail,
    remembered: Remembered,
    trimmer: Trimmer,
    /// `tail` and `remembered` are right, as far as this server knows.
    is_loaded: bool,
    /// Another owner may append too, up to this time.
    rivals_until: Instant,
}

impl Sequencer {
    fn new(shared: Arc<Shared>, topic: TopicName) -> Self {
        Self {
            remembered: Remembered::new(shared.ids),
            tail: Tail::EMPTY,
            trimmer: Trimmer::default(),
            shared,
            topic,
            is_loaded: false,
            rivals_until: Instant::now(),
        }
    }

    async fn run(mut self, mut receiver: mpsc::Receiver<Submitted>, sequencers: Weak<Sequencers>) {
        let mut next: Option<Submitted> = None;
        loop {
            let first = match next.take() {
                Some(first) => first,
                None => match tokio::time::timeout(IDLE, receiver.recv()).await {
                    Ok(Some(first)) => first,
                    Ok(None) => return,
                    Err(_) => match sequencers.upgrade() {
                        Some(all) if !all.retire(&self.topic, &receiver) => continue,
                        _ => return,
                    },
                },
            };
            let (groups, answers);
            (groups, answers, next) = take_more(first, &mut receiver);
            let placed = self.append(&groups).await;
            for (answers, placed) in answers.into_iter().zip(placed) {
                for answer in answers {
                    // Whoever handed it over may have gone.
                    let _ = answer.send(placed.clone());
                }
            }
        }
    }

    /// Appends groups, and says what became of each.
    async fn append(&mut self, groups: &[Group]) -> Vec<Answer> {
        let until = Instant::now() + self.shared.patience;
        match self.append_until(groups, until).await {
            Ok(numbered) => {
                let epoch = self.tail.epoch().unwrap_or(0);
                let answer = |placed: Option<_>| match placed {
                    Some(placed) => Answer::Placed(Placement { epoch, placed }),
                    None => Answer::Unknown,
                };
                numbered.placed.into_iter().map(answer).collect()
            }
            Err(error) => {
                let topic = &self.topic;
                tracing::warn!(%topic, "messages aren't in the cluster's log yet: {error}");
                self.is_loaded = false;
                groups.iter().map(|_| Answer::Unknown).collect()
            }
        }
    }

    async fn append_until(
        &mut self,
        groups: &[Group],
        mut until: Instant,
    ) -> Result<Numbered, LogError> {
        loop {
            if !self.is_loaded {
                self.load(until).await?;
                // What has taken long needn't be done again.
                until = until.max(Instant::now() + self.shared.patience / 2);
            }
            let now = self.shared.clock.read();
            let mut numbered = self.remembered.number(groups, self.tail.next(), &now);
            if numbered.groups.is_empty() && self.tail.epoch().is_some() {
                return Ok(numbered);
            }
            let record = self.record(std::mem::take(&mut numbered.groups), &now);
            let appended = match self.append_record(record.encode(), &record, until).await {
                Ok(Some(at)) => self.counts(at, until).await.map(|is| is.then_some(at)),
                other => other,
            };
            match appended {
                Ok(Some(at)) => {
                    self.remembered.add_groups(&record, &now);
                    self.tail.append(at, &record);
                    self.trimmer
                        .note(&self.shared, &self.topic, &record, &self.tail);
                    self.shared.heads.note(&self.topic, at);
                    return Ok(numbered);
                }
                Ok(None) => {
                    self.remembered.take_back(&numbered);
                    self.catch_up(until).await?;
                }
                Err(error) => {
                    self.remembered.take_back(&numbered);
                    return Err(error);
                }
            }
        }
    }

    /// Whether the record that was just appended here is the first one behind the one before.
    async fn counts(&self, at: u64, until: Instant) -> Result<bool, LogError> {
        let behind = self.tail.at + 1;
        if at <= behind || Instant::now() > self.rivals_until {
            return Ok(true);
        }
        let (log, topic) = (&*self.shared.log, &self.topic);
        let first = ask(until, || log.next(topic, behind)).await?;
        Ok(first.is_none_or(|first| first.at >= at))
    }

    /// The record that comes next.
    fn record(&self, groups: Vec<Group>, now: &Reading) -> Record {
        let epoch = match self.tail.epoch() {
            Some(epoch) => epoch,
            None => self.new_epoch(now),
        };
        Record {
            epoch,
            first: self.tail.next(),
            prev: self.tail.chain.at,
            owner: self.shared.nodes.own().0,
            stamp: now.stamp,
            time: now.index_after(self.tail.time),
            groups,
        }
    }

    /// An epoch that no other row of numbers has: the number of a server's run is random.
    fn new_epoch(&self, now: &Reading) -> u64 {
        let own = self.shared.nodes.own().0;
        let begun = format!("{} {} {}", self.topic, self.tail.at, now.elapsed);
        xxh3_64_with_seed(begun.as_bytes(), own)
    }

    /// Appends a record, and returns its position; `None` if another record came before it.
    async fn append_record(
        &self,
        bytes: Bytes,
        record: &Record,
        until: Instant,
    ) -> Result<Option<u64>, LogError> {
        // Two records have different ids, even behind the same one: one that was given up may be
        // appended late.
        let id = format!("{:x}-{:016x}", record.owner, xxh3_64(&bytes));
        let mut last = LogError::Away("there was no time to ask it".into());
        let began = Instant::now();
        while Instant::now() < until {
            let append = self
                .shared
                .log
                .append(&self.topic, self.tail.at, &id, bytes.clone());
            match append.await {
                Appended::At(at) => {
                    metrics::observe(Time::Append, began.elapsed());
                    return Ok(Some(at));
                }
                Appended::Behind => return Ok(None),
                Appended::Busy => tokio::time::sleep(BUSY_PAUSE).await,
                Appended::Unknown(error) => {
                    last = error;
                    tokio::time::sleep(AWAY_PAUSE).await;
                }
            }
        }
        Err(last)
    }

    /// Reads where the topic ends, and which ids it has.
    async fn load(&mut self, until: Instant) -> Result<(), LogError> {
        self.remembered = Remembered::new(self.shared.ids);
        let now = self.shared.clock.read();
        let (remembered, shared) = (&mut self.remembered, &self.shared);
        let memory = shared.ids.window.max(GROUP_MEMORY);
        let since = now.index.saturating_sub(memory + SKEW);
        let take = |record: &Record| remembered.add(record, &now);
        self.tail = Tail::load(&*shared.log, &self.topic, Some(since), until, take).await?;
        self.tail.rivals_from = 0;
        self.is_loaded = true;
        self.rivals_until = Instant::now() + RIVALRY;
        Ok(())
    }

    /// Reads what others have appended.
    async fn catch_up(&mut self, until: Instant) -> Result<(), LogError> {
        let now = self.shared.clock.read();
        let remembered = &mut self.remembered;
        let take = |record: &Record| remembered.add(record, &now);
        let log = &*self.shared.log;
        self.tail.read_on(log, &self.topic, until, take).await?;
        self.rivals_until = Instant::now() + RIVALRY;
        // It may be this owner's own records that don't count.
        self.is_loaded &= self.tail.rivals_from == 0;
        if self.tail.epoch().is_none() {
            // The log has lost messages. They aren't remembered either.
            let before = self.tail;
            self.load(until).await?;
            self.tail.begins_anew = before.begins_anew && before.at == self.tail.at;
        }
        Ok(())
    }
}

/// The groups that wait, as many as one record takes, each with all who handed it over; and the
/// one that is left for the next record.
fn take_more(
    first: Submitted,
    receiver: &mut mpsc::Receiver<Submitted>,
) -> (
    Vec<Group>,
    Vec<Vec<oneshot::Sender<Answer>>>,
    Option<Submitted>,
) {
    let mut bytes = first.group.size();
    let (mut groups, mut answers) = (vec![first.group], vec![vec![first.answer]]);
    while let Ok(Submitted { group, answer }) = receiver.try_recv() {
        let is_same = |known: &Group| (known.node, known.number) == (group.node, group.number);
        if let Some(known) = groups.iter().position(is_same) {
            answers[known].push(answer);
            continue;
        }
        bytes += group.size();
        if bytes > RECORD_BYTES {
            return (groups, answers, Some(Submitted { group, answer }));
        }
        groups.push(group);
        answers.push(vec![answer]);
    }
    (groups, answers, None)
}
