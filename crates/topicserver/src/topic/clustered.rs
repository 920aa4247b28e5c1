//! A topic's task in a cluster: it hands what is published to the topic's owner, and delivers what
//! it reads in the log.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::cluster::directory;
use crate::cluster::follower::{Following, Reader, follow};
use crate::cluster::log::LogError;
use crate::cluster::record::{Group, Id, Message, Record, size_of};
use crate::cluster::sender::{NotKnown, Sender};
use crate::cluster::sequencer::RECORD_BYTES;
use crate::cluster::shared::Shared;
use crate::cluster::tail::Counted;
use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};
use crate::topic::handed_over::HandedOver;
use crate::topic::handle::{Command, Topic};
use crate::topic::publication::Publication;
use crate::topic::put_off::{Due, Needs, PutOff};
use crate::topic::recorded::publications;

/// What a topic's task has beside the rest when it is in a cluster.
pub(crate) struct Clustered {
    sender: Arc<Sender>,
    /// While the topic has members here.
    following: Option<Following>,
    /// What is handed over next.
    waiting: Vec<Publication>,
    /// The bytes of that.
    bytes: usize,
    /// Something is being handed over.
    is_busy: bool,
    /// Notified when that has ended.
    handed_over: Arc<Notify>,
    connections: Connections,
    /// What the owner has answered. Its publishers are told when this server has read it too, or
    /// doesn't read it in time.
    unread: VecDeque<Unread>,
    /// A task waits until it is too late for the first of them.
    is_timing: bool,
    /// The row of numbers that the topic had before the present one.
    left: Option<u64>,
    /// How many publications there were, and how many of them are answered.
    published: u64,
    answered: u64,
    /// Commands that wait.
    put_off: PutOff,
}

/// What the owner has answered, and until when this server has time to read it.
struct Unread {
    answered: HandedOver,
    until: Instant,
}

/// How far this server has read a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadTo {
    pub(crate) epoch: u64,
    pub(crate) next: u64,
}

/// The numbers of connections that have published to the topic, to which their messages aren't
/// sent back. A number stands for one connection as long as the server runs.
#[derive(Default)]
struct Connections {
    /// By the address of the outbox, whose memory is kept, so that no other one has it.
    numbers: HashMap<usize, u64>,
    outboxes: HashMap<u64, Weak<Outbox<dyn Transport>>>,
    /// With so many the connections that have ended are forgotten: one that only publishes isn't
    /// in the topic, and leaves without a word.
    most: usize,
}

/// How many connections are remembered at least, whether they are still there or not.
const FEW: usize = 16;

impl Connections {
    /// The number of a connection.
    fn number_of(&mut self, outbox: &SharedOutbox, sender: &Sender) -> u64 {
        if let Some(known) = self.numbers.get(&address(outbox)) {
            return *known;
        }
        let number = sender.next_number();
        self.add(outbox, number);
        number
    }

    fn add(&mut self, outbox: &SharedOutbox, number: u64) {
        self.forget_ended();
        self.numbers.insert(address(outbox), number);
        self.outboxes.insert(number, Arc::downgrade(outbox));
    }

    fn get(&self, number: u64) -> Option<SharedOutbox> {
        self.outboxes.get(&number)?.upgrade()
    }

    /// Forgets connections that have ended, whenever there are twice as many as were left.
    fn forget_ended(&mut self) {
        if self.outboxes.len() < self.most.max(FEW) {
            return;
        }
        self.outboxes.retain(|_, outbox| outbox.strong_count() > 0);
        let outboxes = &self.outboxes;
        self.numbers
            .retain(|_, number| outboxes.contains_key(number));
        self.most = 2 * self.outboxes.len();
    }

    fn remove(&mut self, outbox: &SharedOutbox) {
        if let Some(number) = self.numbers.remove(&address(outbox)) {
            self.outboxes.remove(&number);
        }
    }
}

fn address(outbox: &SharedOutbox) -> usize {
    Arc::as_ptr(outbox).cast::<()>().addr()
}

impl Clustered {
    pub(crate) fn new(sender: Arc<Sender>) -> Self {
        Self {
            sender,
            following: None,
            waiting: Vec::new(),
            bytes: 0,
            is_busy: false,
            handed_over: Arc::default(),
            connections: Connections::default(),
            unread: VecDeque::new(),
            is_timing: false,
            left: None,
            published: 0,
            answered: 0,
            put_off: PutOff::default(),
        }
    }

    /// Begins to follow the topic, if it isn't followed yet. Returns where it ended then.
    pub(crate) async fn follow(
        &mut self,
        topic: &Arc<Topic>,
    ) -> Result<Option<&Following>, LogError> {
        if self.following.is_some() {
            return Ok(None);
        }
        loop {
            let reader = topic.clone();
            let following = follow(self.sender.shared(), topic.name(), reader).await?;
            if following.from.epoch().is_some() {
                return Ok(Some(self.following.insert(following)));
            }
            self.begin(topic).await?;
        }
    }

    /// Has a topic begin that has no record: its members need to know its epoch.
    async fn begin(&self, topic: &Topic) -> Result<(), LogError> {
        let group = Group {
            node: self.sender.shared().nodes.own().0,
            number: self.sender.next_number(),
            messages: Vec::new(),
        };
        let begun = self.sender.hand_over(topic.name(), group).await;
        let late = |NotKnown| LogError::Away("the topic's owner doesn't answer".into());
        begun.map(drop).map_err(late)
    }

    /// Stops following the topic.
    pub(crate) fn unfollow(&mut self) {
        self.following = None;
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.sender.shared()
    }

    /// Whether nothing is lost when the task ends.
    pub(crate) fn is_idle(&self) -> bool {
        self.answered == self.published && self.put_off.is_empty()
    }

    /// A connection has left the topic. What it has published isn't kept from anybody any more.
    pub(crate) fn forget(&mut self, outbox: &SharedOutbox) {
        self.connections.remove(outbox);
    }

    /// Hands publications over, or keeps them until those before are.
    pub(crate) fn hand_over(&mut self, topic: &Arc<Topic>, publications: &mut Vec<Publication>) {
        self.bytes += publications.iter().map(Publication::cost).sum::<usize>();
        self.published += publications.len() as u64;
        self.waiting.append(publications);
        self.go_on(topic);
    }

    /// Waits until there is room for more, if more than this many bytes wait.
    pub(crate) fn room(&self, most: usize) -> Option<impl Future<Output = ()> + use<>> {
        let is_full = self.is_busy && self.bytes > most;
        let handed_over = is_full.then(|| self.handed_over.clone())?;
        Some(async move { handed_over.notified().await })
    }

    /// What was handed over last is in the log, or has failed. The next is handed over.
    pub(crate) fn has_handed_over(&mut self, topic: &Arc<Topic>, answered: HandedOver) {
        self.is_busy = false;
        let until = Instant::now() + self.shared().patience;
        self.unread.push_back(Unread { answered, until });
        self.go_on(topic);
    }

    /// Answers the publishers whose messages were read, or all if the topic isn't followed.
    pub(crate) fn answer(&mut self, topic: &Arc<Topic>, read: Option<ReadTo>) {
        let left = self.left;
        let is_due = |unread: &mut Unread| {
            let answered = &unread.answered;
            let (Some(epoch), Some(read)) = (answered.epoch(), read) else {
                return true;
            };
            let is_read = epoch == read.epoch && answered.end() <= read.next;
            is_read || Some(epoch) == left || Instant::now() >= unread.until
        };
        while let Some(Unread { answered, .. }) = self.unread.pop_front_if(is_due) {
            self.answered += answered.publications.len() as u64;
            answered.answer(topic.name().as_str());
        }
        let Some(first) = self.unread.front() else {
            return;
        };
        // The feed may have lost it.
        self.shared().look_soon(topic.name());
        if !std::mem::replace(&mut self.is_timing, true) {
            let (topic, until) = (topic.clone(), first.until);
            tokio::spawn(async move {
                sleep_until(until).await;
                topic.is_late();
            });
        }
    }

    /// It may be too late to read something before its publishers are answered.
    pub(crate) fn is_late(&mut self) {
        self.is_timing = false;
    }

    /// The topic's numbers have begun anew.
    pub(crate) fn begin_anew(&mut self, before: u64, now: u64) {
        self.left = Some(before).filter(|before| *before != now);
        self.put_off.begin_anew();
    }

    /// The commands that wait.
    pub(crate) fn put_off(&mut self) -> &mut PutOff {
        &mut self.put_off
    }

    /// A command that needn't wait any longer, when everything before the number `next` is read.
    pub(crate) fn next_command(&mut self, next: u64) -> Option<Due> {
        self.put_off.next(self.answered, next)
    }

    /// Has a command wait for what it needs; gives it back if that is there.
    pub(crate) fn wait(
        &mut self,
        topic: &Arc<Topic>,
        command: Command,
        needs: Needs,
    ) -> Option<Command> {
        let published = if needs.order { self.published } else { 0 };
        if !needs.head && published <= self.answered && self.put_off.is_empty() {
            return Some(command);
        }
        self.put_off.add(command, published, needs.head);
        self.ask(topic);
        None
    }

    /// Asks the log's leader how far the log reaches, if somebody needs to know.
    pub(crate) fn ask(&mut self, topic: &Arc<Topic>) {
        if !self.put_off.asks() {
            return;
        }
        let (topic, shared) = (topic.clone(), self.shared().clone());
        tokio::spawn(async move {
            let until = tokio::time::Instant::now() + shared.patience;
            let newest = directory::newest(&shared, topic.name(), until).await;
            topic.has_asked(newest.ok());
        });
    }

    fn go_on(&mut self, topic: &Arc<Topic>) {
        if self.is_busy || self.waiting.is_empty() {
            return;
        }
        let (messages, publications) = self.next_group();
        let group = Group {
            node: self.sender.shared().nodes.own().0,
            number: self.sender.next_number(),
            messages,
        };
        self.is_busy = true;
        let (sender, topic) = (self.sender.clone(), topic.clone());
        let handed_over = self.handed_over.clone();
        tokio::spawn(async move {
            let placed = sender.hand_over(topic.name(), group).await;
            topic.has_handed_over(HandedOver {
                publications,
                placed,
            });
            handed_over.notify_one();
        });
    }

    /// What waits, as much as one record takes.
    fn next_group(&mut self) -> (Vec<Message>, Vec<Publication>) {
        let mut messages: Vec<Message> = Vec::new();
        let mut bytes = 0;
        for publication in &self.waiting {
            bytes += size(publication);
            if bytes > RECORD_BYTES && !messages.is_empty() {
                break;
            }
            messages.push(message(publication, &mut self.connections, &self.sender));
        }
        let rest = self.waiting.split_off(messages.len());
        let taken = std::mem::replace(&mut self.waiting, rest);
        self.bytes -= taken.iter().map(Publication::cost).sum::<usize>();
        (messages, taken)
    }

    /// A record's messages as they are delivered. This server's own publishers don't get theirs
    /// back.
    pub(crate) fn publications(&self, record: &Record) -> Vec<Publication> {
        let own = self.sender.shared().nodes.own().0;
        let mut publications = publications(record);
        let groups = record.groups.iter();
        let origins = groups.flat_map(|group| {
            let is_own = group.node == own;
            let messages = group.messages.iter();
            messages.map(move |message| is_own.then_some(message.connection))
        });
        for (publication, connection) in publications.iter_mut().zip(origins) {
            publication.origin = connection.and_then(|number| self.connections.get(number));
        }
        publications
    }
}

/// Roughly how many bytes a publication takes in a record.
fn size(publication: &Publication) -> usize {
    let identity = publication.identity.as_deref();
    let user = identity.and_then(|identity| identity.user.as_ref());
    let account = identity.and_then(|identity| identity.account.as_ref());
    size_of(user, account, publication.batch.bytes())
}

/// A publication as it is handed over.
fn message(publication: &Publication, known: &mut Connections, sender: &Sender) -> Message {
    let identity = publication.identity.as_deref();
    Message {
        place: 0,
        connection: match &publication.origin {
            Some(outbox) => known.number_of(outbox, sender),
            None => 0,
        },
        publisher: identity.map_or(0, |identity| identity.publisher),
        user: identity.and_then(|identity| identity.user.clone()),
        account: identity.and_then(|identity| identity.account.clone()),
        id: publication.reply.id().map(|id| Id {
            origin: id.origin,
            hash: id.hash,
        }),
        count: publication.batch.count(),
        // Many records may wait, and a read buffer is much larger than a message.
        lines: bytes::Bytes::copy_from_slice(publication.batch.bytes()),
    }
}

impl Reader for Topic {
    fn take(&self, counted: Counted) {
        self.deliver_record(counted);
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Not as those do who wait for a classic connection to join: it joins when this server has
        // read what the log has, which is what comes here.
        self.mailbox.poll_room(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::tests::endless_outbox;

    #[test]
    fn connections_that_have_ended_are_forgotten() {
        let mut known = Connections::default();
        let stays = endless_outbox();
        known.add(&stays, 1);
        for number in 2..1000 {
            known.add(&endless_outbox(), number);
            assert!(known.outboxes.len() <= FEW && known.numbers.len() <= FEW);
        }
        assert!(known.get(1).is_some_and(|outbox| outbox.is(&stays)));
        assert!(known.get(999).is_none());
    }
}
