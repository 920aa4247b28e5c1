//! The simulated log, as one server sees it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wire::TopicName;

use crate::cluster::log::{Answer, Appended, Feed, Located, Log, LogError};

use super::faults::Fate;
use super::feeds::publish;
use super::network::Life;
use super::state::{Shared, Slot, State};

/// The biggest record that is taken.
const MAX_BYTES: usize = 1 << 20;

/// The log for one life of a server.
pub(super) struct SimulatedLog {
    world: Arc<Shared>,
    life: Life,
}

/// A record that is to be appended.
#[derive(Clone)]
struct Append {
    life: Life,
    topic: TopicName,
    prev: u64,
    id: String,
    record: Bytes,
}

impl SimulatedLog {
    pub(super) fn new(world: Arc<Shared>, life: Life) -> Self {
        Self { world, life }
    }

    /// Asks the log. `newest` is the position of the newest record that the asked server has.
    async fn ask<T: Found>(
        &self,
        kind: Kind,
        answer: impl Fn(&mut State, u64) -> T + Send + 'static,
    ) -> Result<T, LogError> {
        let (slot, answered) = Slot::new();
        let life = self.life;
        self.world
            .with(|state| begin_question(state, life, kind, slot, answer));
        let gone = |_| Err(away("this server is dead"));
        answered.await.unwrap_or_else(gone)
    }
}

/// Who may answer a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Only the leader.
    Leader,
    /// The leader, or one that was it and hasn't noticed that it isn't any more.
    Head,
    /// Any server of the log.
    Any,
}

/// What is answered.
trait Found: Send + 'static {
    /// Whether a server that lacks records may be wrong about it. The leader is asked then.
    fn is_nothing(&self) -> bool {
        false
    }
}

impl Found for () {}
impl Found for Feed {}
impl Found for Vec<TopicName> {}

impl Found for Option<Located> {
    fn is_nothing(&self) -> bool {
        self.is_none()
    }
}

impl Found for Vec<Located> {
    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl Log for SimulatedLog {
    fn append<'a>(
        &'a self,
        topic: &'a TopicName,
        prev: u64,
        id: &'a str,
        record: Bytes,
    ) -> Answer<'a, Appended> {
        Box::pin(async move {
            let (slot, answered) = Slot::new();
            let append = Append {
                life: self.life,
                topic: topic.clone(),
                prev,
                id: id.to_owned(),
                record,
            };
            self.world.with(|state| begin_append(state, append, slot));
            let gone = |_| Appended::Unknown(away("this server is dead"));
            answered.await.unwrap_or_else(gone)
        })
    }

    fn head<'a>(&'a self, topic: &'a TopicName) -> Answer<'a, Result<Option<Located>, LogError>> {
        let topic = topic.clone();
        let head = move |state: &mut State, newest| state.records.head(topic.as_str(), newest);
        Box::pin(self.ask(Kind::Head, head))
    }

    fn confirm<'a>(&'a self, _topic: &'a TopicName) -> Answer<'a, Result<(), LogError>> {
        Box::pin(self.ask(Kind::Leader, |_, _| ()))
    }

    fn next<'a>(
        &'a self,
        topic: &'a TopicName,
        from: u64,
    ) -> Answer<'a, Result<Option<Located>, LogError>> {
        let topic = topic.clone();
        let next =
            move |state: &mut State, newest| state.records.next(topic.as_str(), from, newest);
        Box::pin(self.ask(Kind::Any, next))
    }

    fn read<'a>(
        &'a self,
        topic: &'a TopicName,
        from: u64,
        bytes: usize,
    ) -> Answer<'a, Result<Vec<Located>, LogError>> {
        let (topic, life) = (topic.clone(), self.life);
        let read = move |state: &mut State, newest| {
            let chance = &mut state.network.node(life.node).log_chance;
            let is_short = chance.happens(state.faults.short_read);
            let bytes = if is_short { 1 } else { bytes };
            state.records.read(topic.as_str(), from, bytes, newest)
        };
        Box::pin(self.ask(Kind::Any, read))
    }

    fn since<'a>(
        &'a self,
        topic: &'a TopicName,
        time: u64,
    ) -> Answer<'a, Result<Option<Located>, LogError>> {
        let topic = topic.clone();
        let since =
            move |state: &mut State, newest| state.records.since(topic.as_str(), time, newest);
        Box::pin(self.ask(Kind::Any, since))
    }

    fn follow<'a>(&'a self, topic: &'a TopicName) -> Answer<'a, Result<Feed, LogError>> {
        let (topic, life) = (topic.clone(), self.life);
        let follow = move |state: &mut State, _| {
            let seed = state.seed;
            state.feeds.add(life, topic.as_str(), seed)
        };
        Box::pin(self.ask(Kind::Leader, follow))
    }

    fn trim<'a>(&'a self, topic: &'a TopicName, before: u64) -> Answer<'a, Result<(), LogError>> {
        let topic = topic.clone();
        let trim = move |state: &mut State, _| state.records.trim(topic.as_str(), before);
        Box::pin(self.ask(Kind::Leader, trim))
    }

    fn keep(&self, age: Duration) -> Answer<'_, Result<(), LogError>> {
        let keep = move |state: &mut State, _| state.keep_age = Some(age);
        Box::pin(self.ask(Kind::Leader, keep))
    }

    fn topics<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> Answer<'a, Result<Vec<TopicName>, LogError>> {
        let after = after.map(str::to_owned);
        let topics = move |state: &mut State, _| {
            let names = state.records.topics(after.as_deref(), limit);
            let names = names.into_iter().map(TopicName::new);
            names.filter_map(Result::ok).collect()
        };
        Box::pin(self.ask(Kind::Leader, topics))
    }
}

fn away(why: &str) -> LogError {
    LogError::Away(why.to_owned())
}

fn begin_append(state: &mut State, append: Append, slot: Slot<Appended>) {
    let life = append.life;
    if !state.network.lives(life) {
        return slot.drop_it();
    }
    let faults = state.faults.clone();
    let node = state.network.node(life.node);
    let drawn = faults.fate(&mut node.log_chance);
    let fate = node.fates.pop_front().unwrap_or(drawn);
    let (way, _) = faults.way(&mut node.log_chance);
    let silent = slot.clone();
    state.after(faults.patience, move |state| {
        if silent.answer(Appended::Unknown(away("no answer came in time"))) {
            state.note(format_args!("{} append: unknown", life.node));
        }
    });
    match fate {
        Fate::Good => state.after(way, move |state| {
            arrive(state, append, move |state, appended| {
                answer_later(state, life, slot, appended);
            });
        }),
        Fate::Busy => state.after(way, move |state| {
            answer_later(state, life, slot, Appended::Busy);
        }),
        Fate::LostAnswer => state.after(way, |state| arrive(state, append, |_, _| {})),
        Fate::Lost => {}
        Fate::Late(late) => state.after(faults.patience + late, |state| {
            carry_out(state, append, |_, _| {});
        }),
    }
}

/// A request to append has come as far as it can.
fn arrive(
    state: &mut State,
    append: Append,
    answer: impl FnOnce(&mut State, Appended) + Send + 'static,
) {
    let life = append.life;
    if state.network.reaches_log(life) {
        carry_out(state, append, answer);
    } else if state.network.lives(life) && !state.network.is_up(life) {
        // A library keeps what it is given without a connection, and sends it when it has one.
        let later = Box::new(|state: &mut State| carry_out(state, append, answer));
        state.held.entry(life.node).or_default().push(later);
    }
}

fn carry_out(state: &mut State, append: Append, answer: impl FnOnce(&mut State, Appended)) {
    if state.network.is_log_stopped {
        return;
    }
    let Append {
        life,
        topic,
        prev,
        id,
        record,
    } = append;
    let topic = topic.as_str();
    let appended = if let Some(why) = &state.refusal {
        Appended::Unknown(LogError::Refused(why.clone()))
    } else if record.len() > MAX_BYTES {
        Appended::Unknown(LogError::Refused("a record is too big".to_owned()))
    } else {
        let (moment, skipped) = (state.moment(), state.chance.below(3));
        let before = state.records.newest();
        let is_forked = state.chance.happens(state.faults.forked);
        let how = (skipped, is_forked);
        let records = &mut state.records;
        let appended = records.append(moment, topic, prev, &id, record.clone(), how);
        if let Appended::At(at) = appended
            && at > before
        {
            publish(state, topic, &Located { at, record });
        }
        appended
    };
    let node = life.node;
    state.note(format_args!(
        "{node} append {topic} {prev} {id}: {appended:?}"
    ));
    answer(state, appended);
}

/// An answer goes back to the server that has asked.
fn answer_later<T: Send + 'static>(state: &mut State, life: Life, slot: Slot<T>, answer: T) {
    let chance = &mut state.network.node(life.node).log_chance;
    let (way, _) = state.faults.way(chance);
    state.after(way, move |state| {
        if state.network.reaches_log(life) {
            slot.answer(answer);
        } else if !state.network.lives(life) {
            slot.drop_it();
        }
    });
}

fn begin_question<T: Found>(
    state: &mut State,
    life: Life,
    kind: Kind,
    slot: Slot<Result<T, LogError>>,
    answer: impl Fn(&mut State, u64) -> T + Send + 'static,
) {
    if !state.network.lives(life) {
        return slot.drop_it();
    }
    if !state.network.is_up(life) {
        slot.answer(Err(away("there is no connection to it")));
        return;
    }
    let faults = state.faults.clone();
    let chance = &mut state.network.node(life.node).log_chance;
    let is_lost = chance.happens(faults.lost_read);
    let is_stale = chance.happens(faults.stale_read);
    let lacks = chance.below(8);
    let (way, _) = faults.way(chance);
    let silent = slot.clone();
    state.after(faults.patience, move |_| {
        silent.answer(Err(away("no answer came in time")));
    });
    if is_lost {
        return;
    }
    state.after(way, move |state| {
        let newest = match kind {
            Kind::Any if is_stale => state.records.newest().saturating_sub(lacks),
            Kind::Any | Kind::Leader | Kind::Head => state.records.newest(),
        };
        if state.network.reaches_log(life) {
            let mut found = answer(state, newest);
            if found.is_nothing() {
                found = answer(state, state.records.newest());
            }
            answer_later(state, life, slot, Ok(found));
        } else if state.network.is_isolated(life) {
            answer_from_island(state, life, (kind, is_stale), slot, answer);
        }
    });
}

/// A few servers of the log that can't reach the others say so, or answer with what they have.
fn answer_from_island<T: Found>(
    state: &mut State,
    life: Life,
    (kind, answers): (Kind, bool),
    slot: Slot<Result<T, LogError>>,
    answer: impl Fn(&mut State, u64) -> T,
) {
    let node = state.network.node(life.node);
    let known = node.known;
    let answers = match kind {
        Kind::Any => answers,
        Kind::Head => node.has_old_leader,
        Kind::Leader => false,
    };
    let found = answers.then(|| answer(state, known));
    let answer = found.filter(|found| !found.is_nothing());
    let answer = answer.ok_or_else(|| away("it has no leader"));
    let (way, _) = {
        let chance = &mut state.network.node(life.node).log_chance;
        state.faults.way(chance)
    };
    state.after(way + Duration::from_millis(1), move |_| {
        slot.answer(answer);
    });
}
