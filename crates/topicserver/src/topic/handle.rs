//! A topic as sessions know it: where they put what they have for its task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wire::{Page, TopicName};

use crate::identity::Identity;
use crate::outbox::SharedOutbox;
use crate::outbox::reply::PendingReply;
use crate::queues::QueueLimits;
use crate::topic::mailbox::{Backpressure, Mailbox};
use crate::topic::presence::People;
use crate::topic::publication::Publication;
use crate::topic::range::RangeQuestion;
use crate::topic::registration::{RegistrationReply, StartPosition};
use crate::topic::spare::Spare;
use crate::topic::subscriber::Fetched;

thread_local! {
    /// Room for the commands of the topics that have any.
    pub(super) static COMMANDS: Spare<Command> = const { Spare::new() };
}

/// What a command counts as in the mailbox that carries no message: its own size,
/// roughly, so that a flood of them slows whoever sends it.
const COMMAND_COST: usize = 64;

/// A topic as sessions know it: a name, and where to put what they have for it.
pub(crate) struct Topic {
    name: TopicName,
    pub(super) mailbox: Mailbox<Command>,
    /// Connections that are registered, as its task counted them last.
    pub(super) members: AtomicUsize,
    /// The newest message's sequence number.
    pub(super) newest: AtomicU64,
    /// When it was published to, or joined, last, by the monotonic clock.
    pub(super) used: AtomicU64,
    /// Bytes that it remembers.
    pub(super) remembered: Arc<AtomicUsize>,
    /// It was asked to give some back and hasn't yet.
    pub(super) is_giving: AtomicBool,
    /// It waits for its ids to become too old.
    pub(super) is_expiring: AtomicBool,
}

/// What a topic's task is to do.
pub(super) enum Command {
    /// A classic connection comes.
    Join(SharedOutbox),
    /// An extended connection comes, or is here and asks for what it missed.
    Register(Box<Registration>),
    /// The answer to a registration is on its way.
    Open(SharedOutbox, Arc<RegistrationReply>),
    /// A connection whose outbox was full has room again.
    Room(SharedOutbox),
    /// What a connection has missed was read from disk.
    Read(SharedOutbox, Fetched),
    /// A connection leaves; somebody may wait for the answer.
    Leave(SharedOutbox, Option<Arc<RegistrationReply>>),
    /// A connection that may no longer be here leaves, and is told so.
    Remove(SharedOutbox),
    /// A connection may no longer see who comes and goes.
    HidePeople(SharedOutbox),
    /// A connection that sends no more leaves when it has got what was published
    /// before. Answered then.
    Finish(SharedOutbox, oneshot::Sender<()>),
    Publish(Publication),
    /// Who is here? A page of them is asked for.
    Who(PendingReply, Box<Page>),
    /// What was said before a message?
    Range(Box<RangeQuestion>),
    /// There is no memory for what was said here: so many bytes are to be given back.
    /// Answered then.
    GiveBack(usize, oneshot::Sender<()>),
    /// Ids may be too old.
    Expire,
    /// Answered when everything before it has been handed on.
    Barrier(oneshot::Sender<()>),
}

/// An extended connection that comes into a topic.
pub(crate) struct Registration {
    pub(crate) outbox: SharedOutbox,
    pub(crate) identity: Arc<Identity>,
    pub(crate) start: StartPosition,
    pub(crate) people: People,
    pub(crate) answer: Arc<RegistrationReply>,
}

impl Topic {
    /// One that is used `now`, by the monotonic clock.
    pub(crate) fn new(name: TopicName, queues: Arc<QueueLimits>, now: u64) -> Self {
        Self {
            name,
            mailbox: Mailbox::new(queues, || COMMANDS.with(Spare::take)),
            members: AtomicUsize::new(0),
            newest: AtomicU64::new(0),
            used: AtomicU64::new(now),
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

    /// When it was used last, by the monotonic clock.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Bytes that it can give back.
    pub(crate) fn remembered(&self) -> usize {
        self.remembered.load(Relaxed)
    }

    /// Adds a classic subscriber. Only the registry calls this, under its lock.
    pub(crate) fn join(&self, subscriber: SharedOutbox) {
        self.put_control(Command::Join(subscriber));
    }

    /// Adds an extended subscriber. Only the registry calls this, under its lock.
    pub(crate) fn register(&self, registration: Registration) -> Backpressure {
        self.put(Command::Register(Box::new(registration)))
    }

    /// Lets a connection have messages, whose registration was answered.
    pub(crate) fn open(&self, subscriber: SharedOutbox, answer: Arc<RegistrationReply>) {
        self.put_control(Command::Open(subscriber, answer));
    }

    /// Says that a connection's outbox has room.
    pub(crate) fn has_room_for(&self, subscriber: SharedOutbox) {
        self.put_control(Command::Room(subscriber));
    }

    /// Hands over what was read from disk for a connection.
    pub(crate) fn has_read_for(&self, subscriber: SharedOutbox, fetched: Fetched) {
        let bytes = fetched.bytes();
        // The topic reads no faster than its subscribers take.
        let _ = self.mailbox.put(Command::Read(subscriber, fetched), bytes);
    }

    /// Removes a subscriber.
    pub(crate) fn leave(&self, subscriber: SharedOutbox) {
        self.put_control(Command::Leave(subscriber, None));
    }

    /// Removes a subscriber that may no longer be here, and tells it.
    pub(crate) fn remove(&self, subscriber: SharedOutbox) {
        self.put_control(Command::Remove(subscriber));
    }

    /// A subscriber may no longer see who comes and goes.
    pub(crate) fn hide_people(&self, subscriber: SharedOutbox) {
        self.put_control(Command::HidePeople(subscriber));
    }

    /// Removes a subscriber that wants an answer.
    pub(crate) fn leave_answered(
        &self,
        subscriber: SharedOutbox,
        answer: Arc<RegistrationReply>,
    ) -> Backpressure {
        self.put(Command::Leave(subscriber, Some(answer)))
    }

    /// Answers a connection's question who is here.
    pub(crate) fn who(&self, reply: PendingReply, page: &Page) -> Backpressure {
        self.put(Command::Who(reply, Box::new(page.clone())))
    }

    /// Answers a question for a range of what was said.
    pub(crate) fn range(&self, question: RangeQuestion) {
        // A session asks one at a time, and so does a request.
        self.put_control(Command::Range(Box::new(question)));
    }

    /// Has the topic give back so many bytes, or all that it remembers, and resolves
    /// then. `None`: it was asked before, and hasn't come to it yet.
    pub(crate) fn give_back(&self, bytes: usize) -> Option<oneshot::Receiver<()>> {
        if self.is_giving.swap(true, Relaxed) {
            return None;
        }
        let (done, given) = oneshot::channel();
        self.put_control(Command::GiveBack(bytes, done));
        Some(given)
    }

    /// Has the topic forget the ids that are too old.
    pub(crate) fn expire(&self) {
        self.put_control(Command::Expire);
    }

    /// Sends messages to everyone but their publisher.
    pub(crate) fn publish(&self, publication: Publication) -> Backpressure {
        let bytes = publication.batch.bytes().len();
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
        self.put_control(Command::Finish(subscriber, done));
        finished
    }

    /// Resolves when everything that was published before has been handed on.
    pub(crate) fn barrier(&self) -> oneshot::Receiver<()> {
        let (done, passed) = oneshot::channel();
        self.put_control(Command::Barrier(done));
        passed
    }

    /// Whether nothing waits for the topic's task.
    pub(crate) fn is_idle(&self) -> bool {
        self.mailbox.is_empty()
    }

    fn put(&self, command: Command) -> Backpressure {
        self.mailbox.put(command, COMMAND_COST)
    }

    /// Puts in a command that no peer can repeat at will, so that nobody waits for room.
    fn put_control(&self, command: Command) {
        let _ = self.put(command);
    }
}
