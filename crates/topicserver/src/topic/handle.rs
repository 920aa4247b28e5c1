//! The handle of a topic, by which sessions send commands to its task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wire::{Page, TopicName};

use crate::cluster::follower::Opened;
use crate::cluster::log::LogError;
use crate::cluster::presence::{Asker, Room};
use crate::cluster::record::Message;
use crate::cluster::tail::Counted;
use crate::identity::Identity;
use crate::outbox::SharedOutbox;
use crate::outbox::reply::PendingReply;
use crate::queues::QueueLimits;
use crate::topic::looked::Looked;
use crate::topic::mailbox::{Backpressure, Mailbox};
use crate::topic::presence::People;
use crate::topic::publication::Publication;
use crate::topic::range::RangeQuestion;
use crate::topic::registration::{RegistrationReply, StartPosition};
use crate::topic::spare::Spare;
use crate::topic::subscriber::Fetched;
use crate::topic::unanswered::HandedOver;

thread_local! {
    /// Spare vectors for the commands of topics.
    pub(super) static COMMANDS: Spare<Command> = const { Spare::new() };
}

/// The cost in the mailbox of a command without a message: roughly its own size, so that a flood
/// of commands slows its sender.
const COMMAND_COST: usize = 64;

/// The handle of a topic: its name, its mailbox, and what its task has last published about
/// itself.
pub(crate) struct Topic {
    name: TopicName,
    pub(super) mailbox: Mailbox<Command>,
    /// How many connections are registered, as last counted by the task.
    pub(super) members: AtomicUsize,
    /// The newest message's sequence number.
    pub(super) newest: AtomicU64,
    /// When a message was last published, or a connection last joined, by the monotonic clock.
    pub(super) used: AtomicU64,
    /// Bytes that the topic remembers.
    pub(super) remembered: Arc<AtomicUsize>,
    /// The topic was asked to give back memory, and has not answered yet.
    pub(super) is_giving: AtomicBool,
    /// The topic waits for its ids to become too old.
    pub(super) is_expiring: AtomicBool,
    /// In a cluster it takes a moment to join.
    is_clustered: bool,
    /// A classic connection has not joined yet, and is read no further until it has.
    is_joining: AtomicBool,
}

/// A command for a topic's task.
pub(super) enum Command {
    /// A classic connection joins.
    Join(SharedOutbox),
    /// An extended connection joins, or is already here and asks for messages that it missed.
    Register(Box<Registration>),
    /// The answer to a registration was sent, so messages may follow.
    Open(SharedOutbox, Arc<RegistrationReply>),
    /// A connection whose outbox was full has room again.
    Room(SharedOutbox),
    /// Messages that a connection missed were read from disk.
    Read(SharedOutbox, Fetched),
    /// A connection leaves, with a reply if it asked for one.
    Leave(SharedOutbox, Option<Arc<RegistrationReply>>),
    /// A connection that may no longer be here is removed, and is told so.
    Remove(SharedOutbox),
    /// A connection may no longer see who joins and leaves.
    HidePeople(SharedOutbox),
    /// A connection that has finished sending leaves when it has got everything published before.
    /// Answered then.
    Finish(SharedOutbox, oneshot::Sender<()>),
    Publish(Publication),
    /// A request for a page of the members.
    Who(PendingReply, Box<Page>),
    /// A request for older messages.
    Range(Box<RangeQuestion>),
    /// The memory budget is exceeded: this many bytes are to be given back. Answered then.
    GiveBack(usize, oneshot::Sender<()>),
    /// Ids may be too old.
    Expire,
    /// The limits have changed.
    FollowLimits,
    /// In a cluster: the topic's next record.
    Record(Box<Counted>),
    /// In a cluster: what was handed over to the topic's owner is in the log, or not.
    HandedOver(Box<HandedOver>),
    /// In a cluster: where the topic ends, to follow it from there on.
    Opened(Box<Result<Opened, LogError>>),
    /// In a cluster: how far the log reaches.
    Asked(Box<Looked>),
    /// In a cluster: it may be too late for what waits.
    Late,
    /// In a cluster: members have come or gone on other servers.
    Elsewhere,
    /// In a cluster: another server wants a page of the members here.
    List(Asker),
    /// Answered when every command before it has been carried out.
    Barrier(oneshot::Sender<()>),
}

/// An extended connection that joins a topic.
pub(crate) struct Registration {
    pub(crate) outbox: SharedOutbox,
    pub(crate) identity: Arc<Identity>,
    pub(crate) start: StartPosition,
    pub(crate) people: People,
    pub(crate) answer: Arc<RegistrationReply>,
}

impl Topic {
    /// A topic that is used `now`, by the monotonic clock.
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
            is_clustered: false,
            is_joining: AtomicBool::new(false),
        }
    }

    /// The same for a topic of a cluster.
    pub(crate) fn in_cluster(self) -> Self {
        Self {
            is_clustered: true,
            ..self
        }
    }

    pub(crate) fn name(&self) -> &TopicName {
        &self.name
    }

    /// Connections that are registered, and the newest message's sequence number.
    pub(crate) fn summary(&self) -> (usize, u64) {
        (self.members.load(Relaxed), self.newest.load(Relaxed))
    }

    /// When the topic was last used, by the monotonic clock.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Bytes that the topic can give back.
    pub(crate) fn remembered(&self) -> usize {
        self.remembered.load(Relaxed)
    }

    /// Adds a classic subscriber. Only the registry calls this, under its lock.
    pub(crate) fn join(&self, subscriber: SharedOutbox) -> Backpressure {
        if self.is_clustered {
            // What the connection sends next comes after its registration has taken effect.
            self.is_joining.store(true, Relaxed);
        }
        self.put_control(Command::Join(subscriber));
        match self.is_clustered {
            true => Backpressure::Wait,
            false => Backpressure::Proceed,
        }
    }

    /// Adds an extended subscriber. Only the registry calls this, under its lock.
    pub(crate) fn register(&self, registration: Registration) -> Backpressure {
        self.put(Command::Register(Box::new(registration)))
    }

    /// Starts to send messages to a connection whose registration was answered.
    pub(crate) fn open(&self, subscriber: SharedOutbox, answer: Arc<RegistrationReply>) {
        self.put_control(Command::Open(subscriber, answer));
    }

    /// Says that a connection's outbox has room.
    pub(crate) fn has_room_for(&self, subscriber: SharedOutbox) {
        self.put_control(Command::Room(subscriber));
    }

    /// Hands over messages that were read from disk for a connection.
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

    /// Says that a subscriber may no longer see who joins and leaves.
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

    /// Asks for a page of the members. The topic sends the reply.
    pub(crate) fn who(&self, reply: PendingReply, page: &Page) -> Backpressure {
        self.put(Command::Who(reply, Box::new(page.clone())))
    }

    /// Asks for a range of older messages. The topic sends the reply.
    pub(crate) fn range(&self, question: RangeQuestion) {
        // A session asks one at a time, and so does a request.
        self.put_control(Command::Range(Box::new(question)));
    }

    /// Has the topic give back this many bytes, or everything that it remembers, and resolves
    /// then. `None`: it was asked before, and has not answered yet.
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

    /// Has the topic keep what the limits in force allow.
    pub(crate) fn follow_limits(&self) {
        self.put_control(Command::FollowLimits);
    }

    /// Sends messages to everyone but their publisher.
    pub(crate) fn publish(&self, publication: Publication) -> Backpressure {
        let cost = publication.cost();
        self.mailbox.put(Command::Publish(publication), cost)
    }

    /// Delivers the next record of the cluster's log.
    pub(crate) fn deliver_record(&self, counted: Counted) {
        let bytes = counted.record.messages().map(Message::size).sum();
        // The follower waits for room itself.
        let _ = self.mailbox.put(Command::Record(Box::new(counted)), bytes);
    }

    /// Says where the topic ends.
    pub(crate) fn has_opened(&self, opened: Result<Opened, LogError>) {
        self.put_control(Command::Opened(Box::new(opened)));
    }

    /// Says what the log has answered.
    pub(crate) fn has_asked(&self, looked: Looked) {
        self.put_control(Command::Asked(Box::new(looked)));
    }

    /// Says that the topic's owner has answered.
    pub(crate) fn has_handed_over(&self, answered: HandedOver) {
        self.put_control(Command::HandedOver(Box::new(answered)));
    }

    /// Says that it may be too late for what waits.
    pub(crate) fn is_late(&self) {
        self.put_control(Command::Late);
    }

    /// How many connections wait until the topic can take more.
    pub(super) fn publishers_waiting(&self) -> usize {
        self.mailbox.putters()
    }

    /// Says that all who wanted to join have.
    pub(super) fn let_in(&self) {
        if self.is_joining.swap(false, Relaxed) {
            self.mailbox.wake_putters();
        }
    }

    /// Waits until the topic can take more.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_joining.load(Relaxed) {
            self.mailbox.wait(cx);
            if self.is_joining.load(Relaxed) {
                return Poll::Pending;
            }
        }
        self.mailbox.poll_room(cx)
    }

    /// Removes a subscriber when everything published before has been sent to it, and resolves
    /// then.
    pub(crate) fn finish(&self, subscriber: SharedOutbox) -> oneshot::Receiver<()> {
        let (done, finished) = oneshot::channel();
        self.put_control(Command::Finish(subscriber, done));
        finished
    }

    /// Resolves when everything published before has been delivered.
    pub(crate) fn barrier(&self) -> oneshot::Receiver<()> {
        let (done, passed) = oneshot::channel();
        self.put_control(Command::Barrier(done));
        passed
    }

    /// Whether the mailbox is empty.
    pub(crate) fn is_idle(&self) -> bool {
        self.mailbox.is_empty()
    }

    fn put(&self, command: Command) -> Backpressure {
        self.mailbox.put(command, COMMAND_COST)
    }

    /// Puts in a command that no peer can repeat at will, so its sender needn't wait for room.
    fn put_control(&self, command: Command) {
        let _ = self.put(command);
    }
}

impl Room for Topic {
    fn elsewhere_has_changed(&self) {
        self.put_control(Command::Elsewhere);
    }

    fn list(&self, asker: Asker) {
        self.put_control(Command::List(asker));
    }
}
