//! One topic: a task that alone owns its order and its subscribers. It never waits
//! for a receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wire::{Event, TopicName, TopicState};

use crate::acknowledgements::{acknowledge, tell_unstored};
use crate::catch_up::{Missed, Position};
use crate::gathering::Gathering;
use crate::history::budget::Share;
use crate::identity::Identity;
use crate::mailbox::Mailbox;
use crate::members::{Members, Subscriber, presence};
use crate::outbox::SharedOutbox;
use crate::publication::Publication;
use crate::registry::{Registry, TopicSettings};
use crate::spare::Spare;
use crate::start::Start;
use crate::topic_log::{TopicLog, now};

thread_local! {
    /// Room for the commands of the topics that have any.
    static COMMANDS: Spare<Command> = const { Spare::new() };
    /// Room for what they are about to hand on.
    static PENDING: Spare<Publication> = const { Spare::new() };
}

/// What a command counts as in the mailbox that carries no message: its own size,
/// roughly, so that a flood of them slows whoever sends it.
const COMMAND_COST: usize = 64;

/// A topic as sessions know it: a name, and where to put what they have for it.
pub(crate) struct Topic {
    name: TopicName,
    mailbox: Mailbox<Command>,
    /// Connections that are registered, as its task counted them last.
    members: AtomicUsize,
    /// The newest message's sequence number.
    newest: AtomicU64,
    /// When it was published to, or joined, last: milliseconds since the Unix epoch.
    used: AtomicU64,
    /// Bytes that it remembers.
    remembered: Arc<AtomicUsize>,
    /// It was asked to give some back and hasn't yet.
    is_giving: AtomicBool,
    /// It waits for its ids to become too old.
    is_expiring: AtomicBool,
}

enum Command {
    /// A classic connection comes.
    Join(SharedOutbox),
    /// An extended connection comes, or is here and asks for what it missed.
    Register(Box<Registration>),
    /// An extended connection wants to know how far the topic is.
    Report(Arc<Gathering>),
    /// The answer to a registration is on its way.
    Open(SharedOutbox, Arc<Gathering>),
    /// A connection whose outbox was full has room again.
    Room(SharedOutbox),
    /// What a connection has missed was read from disk.
    Read(SharedOutbox, Missed),
    Leave(SharedOutbox),
    /// A connection that sends no more leaves when it has got what was published
    /// before. Answered then.
    Finish(SharedOutbox, oneshot::Sender<()>),
    Publish(Publication),
    /// Who is here?
    Who(SharedOutbox),
    /// There is no memory for what was said here: so many bytes are to be given back.
    /// Answered then.
    GiveBack(usize, oneshot::Sender<()>),
    /// Ids may be too old.
    Expire,
    /// Answered when everything before it has been handed on.
    Settle(oneshot::Sender<()>),
}

/// An extended connection that comes into a topic.
pub(crate) struct Registration {
    pub(crate) outbox: SharedOutbox,
    pub(crate) identity: Arc<Identity>,
    pub(crate) start: Start,
    pub(crate) answer: Arc<Gathering>,
}

impl Topic {
    pub(crate) fn new(name: TopicName, max_mailbox: usize) -> Self {
        Self {
            name,
            mailbox: Mailbox::new(max_mailbox, || COMMANDS.with(Spare::take)),
            members: AtomicUsize::new(0),
            newest: AtomicU64::new(0),
            used: AtomicU64::new(now()),
            remembered: Arc::default(),
            is_giving: AtomicBool::new(false),
            is_expiring: AtomicBool::new(false),
        }
    }

    pub(crate) fn name(&self) -> &TopicName {
        &self.name
    }

    /// Connections that are registered, and the newest message's sequence number.
    pub(crate) fn summary(&self) -> (usize, u64) {
        (self.members.load(Relaxed), self.newest.load(Relaxed))
    }

    /// When it was used last: milliseconds since the Unix epoch.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Bytes that it can give back.
    pub(crate) fn remembered(&self) -> usize {
        self.remembered.load(Relaxed)
    }

    /// Adds a classic subscriber. Only the registry calls this, under its lock.
    pub(crate) fn join(&self, subscriber: SharedOutbox) {
        self.put(Command::Join(subscriber));
    }

    /// Adds an extended subscriber. Only the registry calls this, under its lock.
    /// False: the topic has enough to do, as with [`who`](Self::who).
    pub(crate) fn register(&self, registration: Registration) -> bool {
        self.put(Command::Register(Box::new(registration)))
    }

    /// Has the topic say how far it is. False as above.
    pub(crate) fn report(&self, answer: Arc<Gathering>) -> bool {
        self.put(Command::Report(answer))
    }

    /// Lets a connection have messages, whose registration was answered.
    pub(crate) fn open(&self, subscriber: SharedOutbox, answer: Arc<Gathering>) {
        self.put(Command::Open(subscriber, answer));
    }

    /// Says that a connection's outbox has room.
    pub(crate) fn has_room_for(&self, subscriber: SharedOutbox) {
        self.put(Command::Room(subscriber));
    }

    /// Hands over what was read from disk for a connection.
    pub(crate) fn has_read_for(&self, subscriber: SharedOutbox, missed: Missed) {
        let bytes = missed.bytes();
        self.mailbox.put(Command::Read(subscriber, missed), bytes);
    }

    /// Removes a subscriber.
    pub(crate) fn leave(&self, subscriber: SharedOutbox) {
        self.put(Command::Leave(subscriber));
    }

    /// Answers a connection's question who is here. False: the topic has enough to
    /// do, and whoever asks should wait with [`poll_room`](Self::poll_room).
    pub(crate) fn who(&self, asker: SharedOutbox) -> bool {
        self.put(Command::Who(asker))
    }

    /// Has the topic give back so many bytes, or all that it remembers, and resolves
    /// then. `None`: it was asked before, and hasn't come to it yet.
    pub(crate) fn give_back(&self, bytes: usize) -> Option<oneshot::Receiver<()>> {
        if self.is_giving.swap(true, Relaxed) {
            return None;
        }
        let (done, given) = oneshot::channel();
        self.put(Command::GiveBack(bytes, done));
        Some(given)
    }

    /// Has the topic forget the ids that are too old.
    pub(crate) fn expire(&self) {
        self.put(Command::Expire);
    }

    /// Sends messages to everyone but their publisher. False: the topic has enough
    /// to do, and the publisher should wait with [`poll_room`](Self::poll_room).
    pub(crate) fn publish(&self, publication: Publication) -> bool {
        let bytes = publication.run.bytes().len();
        self.mailbox.put(Command::Publish(publication), bytes)
    }

    /// Waits until the topic can take more.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.mailbox.poll_room(cx)
    }

    /// Removes a subscriber when everything that was published before has been handed
    /// to it, and resolves then.
    pub(crate) fn finish(&self, subscriber: SharedOutbox) -> oneshot::Receiver<()> {
        let (done, finished) = oneshot::channel();
        self.put(Command::Finish(subscriber, done));
        finished
    }

    /// Resolves when everything that was published before has been handed on.
    pub(crate) fn settle(&self) -> oneshot::Receiver<()> {
        let (done, settled) = oneshot::channel();
        self.put(Command::Settle(done));
        settled
    }

    /// Whether nothing waits for the topic's task.
    pub(crate) fn is_idle(&self) -> bool {
        self.mailbox.is_empty()
    }

    fn put(&self, command: Command) -> bool {
        self.mailbox.put(command, COMMAND_COST)
    }

    /// The topic's task: lives as long as there are subscribers, or something to
    /// remember.
    pub(crate) async fn run(self: Arc<Self>, registry: Arc<Registry>) {
        let mut task = Task::begin(self.clone(), registry.settings()).await;
        let mut batch = Vec::new();
        loop {
            if task.members.has_ready() {
                // Others get their turn between two steps of catching up.
                tokio::task::yield_now().await;
                self.mailbox.take_more(&mut batch);
            } else {
                self.mailbox.take(&mut batch).await;
            }
            if task.has_several_publishers(&batch) {
                // Others of them may have read something too: their sessions get
                // their turn first, and every subscriber gets it all in one write.
                tokio::task::yield_now().await;
                self.mailbox.take_more(&mut batch);
            }
            task.handle(&mut batch).await;
            if task.members.has_ready() {
                task.log.forget_too_old();
            }
            task.members.catch_up(&self, &task.log);
            task.remove_finished();
            task.note_what_is_kept();
            if task.is_over() {
                task.log.end_life();
                if registry.remove_if_idle(&self) {
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
    settings: Arc<TopicSettings>,
    members: Members,
    log: TopicLog,
    /// What is to be handed on before anything else is done.
    pending: Vec<Publication>,
    /// Who published last, as its outbox's address. Should somebody else have got
    /// that since, nothing is lost but a turn of waiting.
    last_publisher: Option<usize>,
}

impl Task {
    async fn begin(topic: Arc<Topic>, settings: &Arc<TopicSettings>) -> Self {
        let share = Share::new(settings.budget.clone(), topic.remembered.clone());
        let log = TopicLog::open(topic.name.clone(), settings.clone(), share).await;
        topic.newest.store(log.next() - 1, Relaxed);
        Self {
            log,
            settings: settings.clone(),
            topic,
            members: Members::default(),
            pending: Vec::new(),
            last_publisher: None,
        }
    }

    /// Tells the budget whether the topic can go, and waits for its ids to become too
    /// old if there are any.
    fn note_what_is_kept(&mut self) {
        self.log.set_joined(!self.members.is_empty());
        if self.log.has_ids() && !self.topic.is_expiring.swap(true, Relaxed) {
            self.settings.expiring.add(&self.topic);
        }
    }

    fn is_over(&self) -> bool {
        self.members.is_empty() && self.log.is_empty()
    }

    /// Whether the first of these publications is from another publisher than the
    /// last one was.
    fn has_several_publishers(&mut self, batch: &[Command]) -> bool {
        let first = batch.iter().find_map(|command| match command {
            Command::Publish(publication) => {
                Some(Arc::as_ptr(&publication.from).cast::<()>().addr())
            }
            _ => None,
        });
        let last = self.last_publisher;
        self.last_publisher = first.or(last);
        first.is_some() && last.is_some() && first != last
    }

    /// Does what the commands say, in their order, and empties `batch`.
    async fn handle(&mut self, batch: &mut Vec<Command>) {
        if !batch.is_empty() {
            self.pending = PENDING.with(Spare::take);
        }
        let mut commands = batch.drain(..);
        while let Some(next) = commands.as_slice().first() {
            // Nothing is held meanwhile: each topic's task would have room for it.
            if !matches!(next, Command::Publish(_)) {
                self.deliver().await;
            }
            if let Some(command) = commands.next()
                && let Some(registration) = self.change(command)
            {
                Box::pin(self.register(*registration)).await;
            }
        }
        self.deliver().await;
        PENDING.with(|spare| spare.keep(std::mem::take(&mut self.pending)));
    }

    /// Does what a command says, or at least begins with it: a registration may have to
    /// wait for the disk.
    fn change(&mut self, command: Command) -> Option<Box<Registration>> {
        if matches!(command, Command::Register(_) | Command::Open(..)) {
            self.log.forget_too_old();
        }
        match command {
            Command::Publish(publication) => {
                self.pending.push(publication);
                return None;
            }
            Command::Register(registration) => return Some(registration),
            Command::Join(subscriber) => self.members.add_classic(subscriber),
            Command::Report(answer) => {
                answer.report(&self.topic, self.state(None), false);
            }
            Command::Open(subscriber, answer) => {
                self.members
                    .open(&subscriber, &answer, &self.topic, &self.log);
            }
            Command::Room(subscriber) => self.members.has_room(&subscriber),
            Command::Read(subscriber, missed) => {
                let topic = self.topic.name.as_str();
                self.members.has_read(topic, &self.log, &subscriber, missed);
            }
            Command::Leave(subscriber) => self.leave(&subscriber),
            Command::Finish(subscriber, done) => self.finish(&subscriber, done),
            Command::Who(asker) => {
                let answer = self.members.who(self.topic.name.as_str());
                asker.answer(answer.to_line());
            }
            Command::GiveBack(bytes, done) => {
                self.topic.is_giving.store(false, Relaxed);
                self.log.give_back(bytes);
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
            Command::Expire => {
                self.topic.is_expiring.store(false, Relaxed);
                self.log.expire();
            }
            Command::Settle(done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
        self.topic.members.store(self.members.len(), Relaxed);
        None
    }

    async fn register(&mut self, registration: Registration) {
        let Registration {
            outbox,
            identity,
            start,
            answer,
        } = registration;
        self.topic.used.store(now(), Relaxed);
        if !start.is_given()
            && let Some(known) = self.members.find(&outbox)
            && known.identity.user == identity.user
        {
            // It wants nothing but what it gets already.
            known.identity = identity;
            answer.report(&self.topic, self.state(None), false);
            return;
        }
        let (next, recovered) = start.resolve(&self.log).await;
        let is_new = self.members.add_extended(Subscriber {
            outbox: outbox.clone(),
            identity: identity.clone(),
            position: Position::unanswered(next, answer.clone()),
            own_before: if start.is_resume() {
                0
            } else {
                self.log.next()
            },
            finished: None,
        });
        // Whoever has been answered is counted.
        self.topic.members.store(self.members.len(), Relaxed);
        if answer.report(&self.topic, self.state(recovered), true) {
            self.members.open(&outbox, &answer, &self.topic, &self.log);
        } else {
            self.members.keep_promise(&outbox, &self.log);
        }
        if is_new {
            self.tell_presence(&identity, &outbox, Event::Joined);
        }
    }

    /// One that is behind stays until it has caught up; others leave at once.
    fn finish(&mut self, subscriber: &SharedOutbox, done: oneshot::Sender<()>) {
        if let Some(known) = self.members.find(subscriber)
            && known.position.is_behind()
        {
            // It gets what comes meanwhile, too.
            known.finished = Some(done);
            return;
        }
        self.leave(subscriber);
        // Whoever asked may have stopped waiting.
        let _ = done.send(());
    }

    /// Lets those go who have finished and have caught up.
    fn remove_finished(&mut self) {
        while let Some((subscriber, done)) = self.members.take_finished() {
            self.leave(&subscriber);
            let _ = done.send(());
            self.topic.members.store(self.members.len(), Relaxed);
        }
    }

    fn leave(&mut self, subscriber: &SharedOutbox) {
        if let Some(identity) = self.members.remove(subscriber) {
            self.tell_presence(&identity, subscriber, Event::Left);
        }
    }

    /// Tells the others, unless they are so many that it would be most of what they
    /// are told: each comes and goes before all.
    fn tell_presence<'a>(
        &'a self,
        identity: &'a Identity,
        of: &SharedOutbox,
        event: impl FnOnce(wire::Presence<'a>) -> Event<'a>,
    ) {
        if self.members.len() <= self.settings.max_presence
            && !self.members.has_another(identity, of)
            && let Some(event) = presence(self.topic.name.as_str(), identity, event)
        {
            self.members.tell(&event, of);
        }
    }

    fn state(&self, recovered: Option<bool>) -> TopicState {
        TopicState {
            epoch: self.log.epoch(),
            seq: self.log.next() - 1,
            recovered,
        }
    }

    /// Hands what is pending to every subscriber, and then tells the publishers who
    /// want to know.
    async fn deliver(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let are_wanted = self.members.has_extended();
        let appended = self.log.append(&mut self.pending, are_wanted).await;
        let next = self.log.next();
        self.topic.newest.store(next - 1, Relaxed);
        self.topic.used.store(self.log.time(), Relaxed);
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
            tell_unstored(&self.pending, unstored.refused, &unstored.error);
        }
        self.pending.clear();
        acknowledge(self.topic.name.as_str(), appended.acknowledgements);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    /// There may be 100,000 topics, each with a task: what is rarely done is in a box.
    #[test]
    fn a_topics_task_stays_small() {
        let registry = Arc::new(Registry::new(&Config::default(), None));
        let topic = Arc::new(Topic::new(TopicName::new("T").unwrap(), 1));
        let task = topic.run(registry);
        // With 920, what the runtime adds makes it 1,024: a block of its own size.
        assert!(size_of_val(&task) <= 920, "{}", size_of_val(&task));
        assert!(size_of::<Topic>() <= 152, "{}", size_of::<Topic>());
    }
}
