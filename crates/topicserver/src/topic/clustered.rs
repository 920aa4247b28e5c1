//! A topic's task in a cluster: it hands what is published to the topic's owner, and delivers what
//! it reads in the log. It never waits for either: what must wait has a deadline, and the task goes
//! on.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use wire::TopicName;

use crate::cluster::directory;
use crate::cluster::follower::{Following, Opened, Reader, open};
use crate::cluster::history;
use crate::cluster::log::LogError;
use crate::cluster::record::{Group, Id, Message, Record};
use crate::cluster::sender::{NotKnown, Sender};
use crate::cluster::shared::Shared;
use crate::cluster::tail::Counted;
use crate::outbox::SharedOutbox;
use crate::topic::connections::Connections;
use crate::topic::handle::{Command, Registration, Topic};
use crate::topic::looked::Looked;
use crate::topic::place::InLog;
use crate::topic::publication::Publication;
use crate::topic::put_off::{Due, Needs, PutOff, Question};
use crate::topic::recorded::publications;
use crate::topic::unanswered::{HandedOver, ReadTo, Unanswered};

/// How long it may take to look for older messages that registrations ask for. Other registrations
/// wait meanwhile.
const LOOK: Duration = Duration::from_secs(2);

/// How long the log's leader has to show that it leads, after a client has resumed from beyond what
/// this server has.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);

/// What a topic's task has beside the rest when it is in a cluster.
pub(crate) struct Clustered {
    sender: Arc<Sender>,
    /// While the topic has members here: the topic in the log, and who follows it.
    following: Option<(Arc<InLog>, Following)>,
    /// It is being found out where the topic ends, to follow it.
    is_opening: bool,
    /// What was published, and isn't answered.
    unanswered: Unanswered,
    /// Something is being handed over.
    is_busy: bool,
    /// Notified when that has ended.
    handed_over: Arc<Notify>,
    /// Since when no commands are taken.
    full_since: Option<Instant>,
    connections: Connections,
    /// The next deadline for which a task waits.
    timing: Option<Instant>,
    /// The row of numbers that the topic had before the present one.
    left: Option<u64>,
    /// Commands that wait.
    put_off: PutOff,
}

impl Clustered {
    pub(crate) fn new(sender: Arc<Sender>) -> Self {
        Self {
            sender,
            following: None,
            is_opening: false,
            unanswered: Unanswered::default(),
            is_busy: false,
            handed_over: Arc::default(),
            full_since: None,
            connections: Connections::default(),
            timing: None,
            left: None,
            put_off: PutOff::default(),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.sender.shared()
    }

    /// When what comes now is to be answered.
    fn deadline(&self) -> Instant {
        Instant::now() + self.shared().patience
    }

    /// Whether nothing is lost when the task ends.
    pub(crate) fn is_idle(&self) -> bool {
        self.unanswered.is_empty() && self.put_off.is_empty()
    }

    /// A connection has left the topic. What it has published isn't kept from anybody any more.
    pub(crate) fn forget(&mut self, outbox: &SharedOutbox) {
        self.connections.remove(outbox);
    }

    /// Finds out where the topic ends, once for all commands that wait for it. The topic is told.
    fn open(&mut self, topic: &Arc<Topic>) {
        if self.following.is_some() || std::mem::replace(&mut self.is_opening, true) {
            return;
        }
        let (sender, topic, until) = (self.sender.clone(), topic.clone(), self.deadline());
        tokio::spawn(async move {
            let opened = open_or_begin(&sender, &topic, until).await;
            topic.has_opened(opened);
        });
    }

    /// It is known where the topic ends: it is followed from there on.
    pub(crate) fn follow(&mut self, topic: &Arc<Topic>, opened: Opened) -> Arc<InLog> {
        self.is_opening = false;
        let (shared, name) = (self.shared().clone(), topic.name().clone());
        let log = InLog::new(shared.clone(), name.clone(), opened.from, opened.first);
        let log = Arc::new(log);
        let following = opened.follow(shared, name, topic.clone());
        self.following = Some((log.clone(), following));
        log
    }

    /// The topic can't be followed, for now or at all.
    pub(crate) fn cannot_follow(&mut self, error: &LogError) {
        self.is_opening = false;
        if let LogError::Refused(_) = error {
            self.put_off.refuse_place();
        }
    }

    /// Tries again to follow the topic, if commands wait for it.
    pub(crate) fn open_again(&mut self, topic: &Arc<Topic>) {
        if self.put_off.needs_place() {
            self.open(topic);
        }
    }

    /// Hands publications over, or keeps them until those before are.
    pub(crate) fn hand_over(&mut self, topic: &Arc<Topic>, publications: &mut Vec<Publication>) {
        // They may have come when the last commands were taken.
        let came = self.full_since.unwrap_or_else(Instant::now);
        let until = came + self.shared().patience;
        self.unanswered.add(publications, until);
        self.go_on(topic);
        self.time(topic);
    }

    /// Waits until there is room for more, or something is to be answered, if more than this many
    /// bytes wait.
    pub(crate) fn room(&mut self, most: usize) -> Option<impl Future<Output = ()> + use<>> {
        let is_full = self.is_busy && self.unanswered.bytes() > most;
        self.full_since = is_full.then(Instant::now);
        let until = self.unanswered.first_deadline().filter(|_| is_full)?;
        let handed_over = self.handed_over.clone();
        Some(async move {
            let _ = timeout_at(until, handed_over.notified()).await;
        })
    }

    /// What was handed over last is in the log, or has failed. The next is handed over.
    pub(crate) fn has_handed_over(&mut self, topic: &Arc<Topic>, handed_over: HandedOver) {
        self.is_busy = false;
        self.unanswered.has_handed_over(handed_over);
        self.go_on(topic);
    }

    /// Answers the publishers whose messages were read, or all if the topic isn't followed; and
    /// those that wait no longer.
    pub(crate) fn answer(&mut self, topic: &Arc<Topic>, read: Option<ReadTo>) {
        self.unanswered
            .answer(topic.name().as_str(), read, self.left);
        if self.unanswered.is_unread() {
            // The feed may have lost it.
            self.shared().look_soon(topic.name());
        }
    }

    /// Has the topic told when the next thing is to be answered that waits.
    pub(crate) fn time(&mut self, topic: &Arc<Topic>) {
        let deadlines = [
            self.unanswered.first_deadline(),
            self.put_off.first_deadline(),
        ];
        let Some(until) = deadlines.into_iter().flatten().min() else {
            return;
        };
        if self.timing.is_some_and(|timing| timing <= until) {
            return;
        }
        self.timing = Some(until);
        let topic = Arc::downgrade(topic);
        tokio::spawn(async move {
            sleep_until(until).await;
            if let Some(topic) = topic.upgrade() {
                topic.is_late();
            }
        });
    }

    /// It may be too late for what waits.
    pub(crate) fn is_late(&mut self) {
        self.timing = None;
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

    /// A command that waits no longer, when everything before the number `next` is read; `None`
    /// if the topic isn't followed.
    pub(crate) fn next_command(&mut self, next: Option<u64>) -> Option<Due> {
        self.put_off.next(self.unanswered.answered(), next)
    }

    /// Has a command wait for what it needs; gives it back if that is there.
    pub(crate) fn wait(
        &mut self,
        topic: &Arc<Topic>,
        command: Command,
        mut needs: Needs,
    ) -> Option<Command> {
        let published = if needs.order {
            self.unanswered.published()
        } else {
            0
        };
        if self.following.is_none() {
            // Who begins to follow a topic asks the leader then.
            needs.head &= needs.since || (needs.place && self.is_opening);
        } else {
            needs.place = false;
        }
        let is_there = !needs.head && !needs.place && published <= self.unanswered.answered();
        if is_there && self.put_off.is_empty() {
            return Some(command);
        }
        self.put_off.add(command, published, needs, self.deadline());
        if needs.place {
            self.open(topic);
        }
        self.ask(topic);
        self.time(topic);
        None
    }

    /// Has a registration wait that resumes from beyond what this server has, until the log's
    /// leader shows that it leads, and what it has is read.
    pub(crate) fn wait_for_leader(&mut self, topic: &Arc<Topic>, registration: Registration) {
        let until = Instant::now() + CONFIRM_TIMEOUT;
        self.put_off.add_first(registration, until);
        self.ask(topic);
        self.time(topic);
    }

    /// Asks the log's leader how far the log reaches, if somebody needs to know.
    pub(crate) fn ask(&mut self, topic: &Arc<Topic>) {
        let Some(question) = self.put_off.asks() else {
            return;
        };
        let (topic, shared, until) = (topic.clone(), self.shared().clone(), self.deadline());
        let log = self.following.as_ref().map(|(log, _)| log.clone());
        tokio::spawn(async move {
            let is_confirmed = question.is_led && is_led(&shared, topic.name()).await;
            let newest = directory::newest(&shared, topic.name(), until).await.ok();
            let mut looked = Looked::new(newest).confirmed(is_confirmed);
            if newest.is_some() {
                let looking = look(&shared, topic.name(), log, question, &mut looked);
                // What isn't found in time is refused to those who asked for it.
                let _ = timeout(LOOK, looking).await;
            }
            topic.has_asked(looked);
        });
    }

    fn go_on(&mut self, topic: &Arc<Topic>) {
        if self.is_busy {
            return;
        }
        let (connections, sender) = (&mut self.connections, &self.sender);
        let next = |publication: &_| message(publication, connections, sender);
        let Some(handed) = self.unanswered.hand_over(next) else {
            return;
        };
        self.is_busy = true;
        let (sender, topic) = (self.sender.clone(), topic.clone());
        let handed_over = self.handed_over.clone();
        let (ends, until) = (handed.ends(), handed.until);
        let group = group(&sender, handed.messages);
        tokio::spawn(async move {
            let placed = sender.hand_over(topic.name(), group, until).await;
            topic.has_handed_over(ends(placed));
            handed_over.notify_one();
        });
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

/// Finds out where the topic ends. One that has no record begins: its members need to know its
/// epoch.
async fn open_or_begin(sender: &Sender, topic: &Topic, until: Instant) -> Result<Opened, LogError> {
    loop {
        let opened = open(sender.shared(), topic.name(), until).await?;
        if opened.from.epoch().is_some() {
            return Ok(opened);
        }
        let begin = group(sender, Vec::new());
        let begun = sender.hand_over(topic.name(), begin, until).await;
        begun.map_err(|NotKnown| LogError::Away("the topic's owner doesn't answer".into()))?;
    }
}

/// Whether the log's leader leads it. It may have been cut off from the others, which have elected
/// another one.
async fn is_led(shared: &Shared, topic: &TopicName) -> bool {
    let confirmed = timeout(CONFIRM_TIMEOUT, shared.log.confirm(topic)).await;
    matches!(confirmed, Ok(Ok(())))
}

/// Looks for what registrations ask for beside how far the log reaches.
async fn look(
    shared: &Shared,
    topic: &TopicName,
    log: Option<Arc<InLog>>,
    question: Question,
    looked: &mut Looked,
) {
    let until = Instant::now() + LOOK;
    for time in question.since {
        match history::first_since(shared, topic, time, until).await {
            Ok(first) => looked.add(time, first),
            Err(error) => tracing::warn!(%topic, "older messages can't be found: {error}"),
        }
    }
    // What was deleted since it was looked up last is missed by nobody but those who ask for it.
    if let Some(log) = log.filter(|_| question.has_registration)
        && let Err(error) = log.look_for_first(until).await
    {
        tracing::warn!(%topic, "what is deleted can't be found out: {error}");
    }
}

fn group(sender: &Sender, messages: Vec<Message>) -> Group {
    Group {
        node: sender.shared().nodes.own().0,
        number: sender.next_number(),
        messages,
    }
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
