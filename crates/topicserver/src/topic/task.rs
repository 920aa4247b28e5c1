//! A topic's task: it alone owns the topic's order and its subscribers, and never
//! waits for a receiver.

mod catching_up;
mod leaving;
mod shared;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use wire::{Page, TopicState};

use crate::cluster::follower::Opened;
use crate::cluster::log::LogError;
use crate::cluster::tail::Counted;
use crate::history::budget::MemoryShare;
use crate::metrics::{self, Count, Time};
use crate::outbox::SharedOutbox;
use crate::outbox::positions::StreamPosition;
use crate::outbox::reply::PendingReply;
use crate::topic::acks::{acknowledge, refuse};
use crate::topic::clustered::Clustered;
use crate::topic::expiring::Expiring;
use crate::topic::handle::{COMMANDS, Command, Registration, Topic};
use crate::topic::log::TopicLog;
use crate::topic::looked::Looked;
use crate::topic::members::{Added, Members};
use crate::topic::presence::{People, PresenceState};
use crate::topic::publication::Publication;
use crate::topic::range;
use crate::topic::registration::{RegistrationReply, ReplyState, Report, StartPoint};
use crate::topic::settings::TopicSettings;
use crate::topic::spare::Spare;
use crate::topic::subscriber::{Cursor, Subscriber};
use crate::topic::unanswered::HandedOver;
use crate::turn::Turn;

/// Publications that are delivered at once. Each takes about 200 bytes, and as much again for its
/// acknowledgement, so that a flood of short messages with ids would take many times its bytes.
const MOST_PENDING: usize = 1024;

thread_local! {
    /// Spare vectors for publications that topics are about to deliver.
    static PENDING: Spare<Publication> = const { Spare::new() };
}

/// The topic's task. It runs as long as the topic has subscribers, or something to remember.
///
/// `retire` removes the topic, and returns whether it could: it can't if a command has just
/// arrived.
#[allow(clippy::manual_async_fn, reason = "it keeps the arguments twice")]
pub(crate) fn run(
    topic: Arc<Topic>,
    settings: Arc<TopicSettings>,
    expiring: Arc<Expiring>,
    retire: impl Fn(&Topic) -> bool,
) -> impl Future<Output = ()> {
    let share = MemoryShare::new(settings.budget.clone(), topic.remembered.clone());
    let log = TopicLog::new(topic.name().clone(), settings, share);
    let mut task = Task::new(topic, expiring, log);
    async move {
        task.begin().await;
        let mut batch = Vec::new();
        loop {
            if task.members.has_ready() {
                // Other tasks run between two steps of catching up.
                tokio::task::yield_now().await;
                task.topic.mailbox.take_more(&mut batch);
            } else {
                task.topic.mailbox.take(&mut batch).await;
            }
            if task.has_several_publishers(&batch) {
                // Other publishers may have read something too. Their sessions run first, so that
                // every subscriber gets it all in one write.
                tokio::task::yield_now().await;
                task.topic.mailbox.take_more(&mut batch);
            }
            task.handle(&mut batch).await;
            if let Some(room) = task.room() {
                Box::pin(room).await;
            }
            if task.members.has_ready() {
                task.log.forget_deleted();
            }
            task.catch_up();
            task.remove_finished();
            task.note_what_is_kept();
            if task.is_over() {
                task.log.start_new_epoch();
                if retire(&task.topic) {
                    return;
                }
            }
            COMMANDS.with(|spare| spare.keep(std::mem::take(&mut batch)));
            tokio::task::consume_budget().await;
        }
    }
}

/// What the topic's task owns.
struct Task {
    topic: Arc<Topic>,
    /// The list of topics with ids, to which this one adds itself.
    expiring: Arc<Expiring>,
    members: Members,
    log: TopicLog,
    /// Publications that are delivered before any other command is carried out.
    pending: Vec<Publication>,
    /// When the commands were taken that are carried out now.
    began: Instant,
    /// The publisher of the last publication, as the address of its outbox, or 0. If another
    /// outbox has got this address since, the only effect is one needless yield.
    last_publisher: Option<usize>,
    /// In a cluster.
    clustered: Option<Box<Clustered>>,
}

/// A command that may have to wait.
enum Later {
    Register(Box<Registration>),
    Deliver(Box<Counted>),
    HandedOver(Box<HandedOver>),
    Opened(Box<Result<Opened, LogError>>),
    Asked(Box<Looked>),
    Late,
}

impl Task {
    fn new(topic: Arc<Topic>, expiring: Arc<Expiring>, log: TopicLog) -> Self {
        let cluster = log.settings().cluster.clone();
        let mut members = Members::default();
        if let Some(cluster) = &cluster {
            let presence = cluster.shared().presence.clone();
            members.set_in_cluster(presence, topic.name().clone(), topic.clone());
        }
        Self {
            clustered: cluster.map(|cluster| Box::new(Clustered::new(cluster))),
            topic,
            expiring,
            members,
            log,
            pending: Vec::new(),
            began: Instant::now(),
            last_publisher: None,
        }
    }

    async fn begin(&mut self) {
        self.log.open().await;
        self.topic.newest.store(self.log.next() - 1, Relaxed);
    }

    /// Tells the memory budget whether the topic has members, and has its ids expire if there are
    /// any.
    fn note_what_is_kept(&mut self) {
        self.log.set_joined(!self.members.is_empty());
        if self.log.has_ids() && !self.topic.is_expiring.swap(true, Relaxed) {
            self.expiring.add(&self.topic);
        }
    }

    fn note_use(&self) {
        let now = self.log.settings().clock.read();
        self.topic.used.store(now.elapsed, Relaxed);
    }

    fn is_over(&self) -> bool {
        self.members.is_empty()
            && self.log.is_empty()
            && self.clustered.as_deref().is_none_or(Clustered::is_idle)
    }

    /// Whether the first of these publications is from another publisher than the last one
    /// before.
    fn has_several_publishers(&mut self, batch: &[Command]) -> bool {
        let address = |origin: &SharedOutbox| Arc::as_ptr(origin).cast::<()>().addr();
        let first = batch.iter().find_map(|command| match command {
            Command::Publish(publication) => Some(publication.origin.as_ref().map_or(0, address)),
            _ => None,
        });
        let last = self.last_publisher;
        self.last_publisher = first.or(last);
        // Publications without an origin may be from different publishers.
        first.is_some() && last.is_some() && (first != last || first == Some(0))
    }

    /// Carries out the commands in their order, and empties `batch`.
    async fn handle(&mut self, batch: &mut Vec<Command>) {
        if !batch.is_empty() {
            self.pending = PENDING.with(Spare::take);
        }
        self.began = Instant::now();
        let mut commands = batch.drain(..);
        let mut turn = Turn::default();
        while let Some(next) = commands.as_slice().first() {
            // No value is held across the await: each topic's task would need room for it.
            if self.delivers_before(next) {
                self.deliver().await;
                if turn.is_over() {
                    tokio::task::yield_now().await;
                    turn = Turn::default();
                }
            }
            if let Some(command) = commands.next()
                && let Some(later) = self.change(command)
            {
                Box::pin(self.change_later(later)).await;
            }
        }
        self.deliver().await;
        PENDING.with(|spare| spare.keep(std::mem::take(&mut self.pending)));
    }

    /// Whether what is pending is delivered before this command is carried out.
    fn delivers_before(&self, next: &Command) -> bool {
        !matches!(next, Command::Publish(_)) || self.pending.len() >= MOST_PENDING
    }

    /// Carries out a command, or returns it if it may have to wait.
    fn change(&mut self, command: Command) -> Option<Later> {
        let command = self.put_off(command)?;
        self.change_now(command)
    }

    /// The same, whatever was published before.
    fn change_now(&mut self, command: Command) -> Option<Later> {
        if matches!(command, Command::Open(..) | Command::Range(_)) {
            self.log.forget_deleted();
        }
        match command {
            Command::Publish(publication) => {
                self.pending.push(publication);
                return None;
            }
            Command::Register(registration) => return Some(Later::Register(registration)),
            Command::Record(record) => return Some(Later::Deliver(record)),
            Command::HandedOver(answered) => return Some(Later::HandedOver(answered)),
            Command::Opened(opened) => return Some(Later::Opened(opened)),
            Command::Asked(looked) => return Some(Later::Asked(looked)),
            Command::Late => return Some(Later::Late),
            Command::Join(subscriber) => {
                self.members.add_classic(subscriber);
                self.let_in();
            }
            Command::Open(subscriber, answer) => self.open(&subscriber, &answer),
            Command::Room(subscriber) => self.members.has_room(&subscriber),
            Command::Read(subscriber, fetched) => {
                let topic = self.topic.name().as_str();
                self.members
                    .has_read(topic, &self.log, &subscriber, fetched);
            }
            Command::Leave(subscriber, None) => self.leave(&subscriber),
            Command::Leave(subscriber, Some(answer)) => {
                self.leave(&subscriber);
                answer.report_left(self.topic.name());
            }
            Command::Remove(subscriber) => {
                self.leave(&subscriber);
                subscriber.send_removed(self.topic.name().as_str());
            }
            Command::HidePeople(subscriber) => self.hide_people(&subscriber),
            Command::Finish(subscriber, done) => self.finish(&subscriber, done),
            Command::Who(reply, page) => self.answer_who(reply, &page),
            Command::Range(question) => range::answer(self.topic.name(), &self.log, *question),
            Command::GiveBack(bytes, done) => {
                self.topic.is_giving.store(false, Relaxed);
                self.log.give_back(bytes);
                // The receiver may have stopped waiting.
                let _ = done.send(());
            }
            Command::Expire => self.expire(),
            Command::FollowLimits => self.log.follow_limits(),
            Command::Elsewhere => self.look_elsewhere(),
            Command::List(asker) => self.list_for(asker),
            Command::Barrier(done) => {
                // The receiver may have stopped waiting.
                let _ = done.send(());
            }
        }
        self.note_members();
        None
    }

    /// Forgets ids that are too old.
    fn expire(&mut self) {
        self.topic.is_expiring.store(false, Relaxed);
        self.log.expire();
    }

    /// Notes how many members there are, before anybody is answered.
    fn note_members(&mut self) {
        self.members.tell_count();
        let members = self.members.len();
        let before = self.topic.members.swap(members, Relaxed);
        metrics::change(Count::Members, before, members);
    }

    async fn change_later(&mut self, later: Later) {
        match later {
            Later::Register(registration) => self.register(*registration).await,
            Later::Deliver(record) => self.deliver_record(*record).await,
            Later::HandedOver(answered) => self.has_handed_over(*answered).await,
            Later::Opened(opened) => self.has_opened(*opened).await,
            Later::Asked(looked) => self.has_asked(*looked).await,
            Later::Late => self.is_late().await,
        }
    }

    async fn register(&mut self, registration: Registration) {
        let Some(registration) = self.check_resume(registration) else {
            return;
        };
        let Registration {
            outbox,
            identity,
            start,
            people,
            answer,
        } = registration;
        self.note_use();
        if !start.is_given() && self.members.confirm(&outbox, &identity) {
            let next = StartPoint::without_resume(self.log.next());
            answer.report(self.topic.name(), self.report(next));
            return;
        }
        self.log.delete_too_old().await;
        let start_point = start.resolve(&self.log).await;
        let added = self.members.add_extended(Subscriber {
            outbox: outbox.clone(),
            identity,
            cursor: Cursor::unanswered(start_point.next, answer.clone()),
            joined_at: self.log.next(),
            own_before: if start.is_resume() {
                0
            } else {
                self.log.next()
            },
            presence: PresenceState::default(),
            finished: None,
        });
        if people == People::Hidden {
            self.hide_people(&outbox);
        }
        // The number is right before the answer is sent.
        self.note_members();
        let topic = self.topic.clone();
        let open = move |answer: &Arc<RegistrationReply>| {
            topic.open(answer.outbox().clone(), answer.clone());
        };
        let report = self.report(start_point);
        match answer.report_and_wait(self.topic.name(), report, open) {
            ReplyState::Sent => self.open(&outbox, &answer),
            ReplyState::Waiting => self.members.keep_snapshot(&outbox, &self.log),
        }
        if added == Added::NewUser {
            let max = self.log.settings().limits().max_presence;
            let name = self.topic.name().as_str();
            self.members.announce_coming(name, &outbox, max);
        }
    }

    /// A registration was answered. The messages that the connection asked for follow.
    fn open(&mut self, subscriber: &SharedOutbox, answer: &Arc<RegistrationReply>) {
        let name = self.topic.name().as_str();
        if let Some(fetch) = self.members.open(subscriber, answer, name, &self.log) {
            self.fetch(fetch);
        }
    }

    /// Stops telling a subscriber which members join and leave.
    fn hide_people(&mut self, subscriber: &SharedOutbox) {
        if let Some(known) = self.members.find(subscriber) {
            known.presence.hide();
        }
    }

    /// Answers with one page of the members. From then on the subscriber knows them, and is
    /// told when they leave.
    fn answer_who(&mut self, reply: PendingReply, page: &Page) {
        if let Some(known) = self.members.find(reply.outbox()) {
            known.presence.set_listed();
        }
        self.members.send_who(self.topic.name(), page, reply);
    }

    /// The report of the topic for a connection that gets messages from this point on.
    fn report(&self, from: StartPoint) -> Report {
        let state = TopicState {
            epoch: self.log.epoch(),
            seq: self.log.next() - 1,
            recovered: from.recovered,
        };
        let epoch = self.log.epoch_number();
        let seq = from.next.saturating_sub(1);
        let start = StreamPosition { epoch, seq };
        Report { state, start }
    }

    /// Delivers what is pending to every subscriber, and then acknowledges it.
    async fn deliver(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let are_wanted = self.members.has_extended();
        let messages = self
            .pending
            .iter()
            .map(|one| u64::from(one.batch.count()))
            .sum();
        metrics::count(Count::ReceivedMessages, messages);
        if let Some(clustered) = &mut self.clustered {
            clustered.hand_over(&self.topic, &mut self.pending);
            return;
        }
        let appended = self.log.append(&mut self.pending, are_wanted).await;
        let next = self.log.next();
        self.topic.newest.store(next - 1, Relaxed);
        self.note_use();
        if let Some(from) = self.log.take_found() {
            self.members.fall_behind(from);
        }
        let unstored = appended.unstored.as_ref();
        let may_be_sent_again = unstored.is_some_and(|unstored| unstored.error.is_delay());
        if !may_be_sent_again {
            self.members
                .deliver(&self.pending, &appended.pieces, next)
                .await;
        }
        if let Some(unstored) = appended.unstored {
            refuse(&self.pending, unstored.refused, &unstored.error);
        }
        self.pending.clear();
        if !appended.acknowledgements.is_empty() {
            metrics::observe(Time::Publish, self.began.elapsed());
            acknowledge(self.topic.name().as_str(), appended.acknowledgements);
        }
    }
}

#[cfg(test)]
mod tests;
