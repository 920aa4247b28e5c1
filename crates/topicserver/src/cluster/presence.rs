//! Who is in a topic on other servers of the cluster.
//!
//! Each server tells the others how its own members change: how many there are, and the names of
//! those whose coming is announced, of which there are at most `--max-presence` while all is
//! well. Nothing of it is kept, and nobody owns it. What a server has said has a version, so a
//! lost message is noticed with the next one, or with the versions that a server repeats for some
//! seconds; whoever has missed something asks. What a dead server has said is forgotten.

mod message;
mod others;
mod own;
mod questions;
mod table;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use wire::{Page, TopicName};

use super::bus::{Bus, Said};
use super::nodes::{NodeId, Nodes, View};
use message::Message;
pub(crate) use message::Someone;
pub(crate) use others::{Elsewhere, Remote};
pub(crate) use questions::{Asker, Listed, Summary, TopicList};
use questions::{Question, ask};
pub(crate) use table::Room;
use table::{Table, Told};

/// The subject under which servers tell all others.
const SUBJECT: &str = "presence";

/// The shortest time between two messages to all.
const PACE: Duration = Duration::from_millis(10);

/// How often versions are repeated and looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// The most topics that are told to another server at a time.
const MAX_TOPICS: usize = 1000;

/// The pause before another try to listen.
const PAUSE: Duration = Duration::from_millis(200);

/// The members of topics on all servers.
pub(crate) struct Presence {
    nodes: Arc<Nodes>,
    bus: Arc<dyn Bus>,
    table: Mutex<Table>,
    /// Notified when there is something to send.
    has_news: Notify,
}

/// A topic that has members here. Dropping it tells other servers that it has none any more.
pub(crate) struct Present {
    presence: Arc<Presence>,
    topic: TopicName,
    /// Tells it from an earlier one.
    number: u64,
}

/// The subject to which one server listens.
fn subject_of(node: NodeId) -> String {
    format!("{SUBJECT}.{:016x}", node.0)
}

impl Presence {
    pub(crate) fn new(nodes: Arc<Nodes>, bus: Arc<dyn Bus>) -> Arc<Self> {
        let view = nodes.view().borrow().clone();
        Arc::new(Self {
            table: Mutex::new(Table::new(nodes.own(), &view)),
            nodes,
            bus,
            has_news: Notify::new(),
        })
    }

    /// A topic has got its first member here. The room is told when something changes elsewhere.
    pub(crate) fn enter(self: &Arc<Self>, topic: &TopicName, room: Arc<dyn Room>) -> Present {
        let number = self.table.lock().enter(topic, room);
        self.has_news.notify_one();
        Present {
            presence: self.clone(),
            topic: topic.clone(),
            number,
        }
    }

    /// Tells other servers, and listens to them, for ever.
    pub(crate) async fn run(self: Arc<Self>, topics: Arc<dyn TopicList>) {
        tokio::select! {
            biased;
            () = self.exchange() => {}
            () = self.answer_questions(topics) => {}
        }
    }

    async fn exchange(&self) {
        let own = subject_of(self.nodes.own());
        loop {
            let to_all = self.bus.subscribe(SUBJECT).await;
            let to_this = self.bus.subscribe(&own).await;
            if let (Ok(to_all), Ok(to_this)) = (to_all, to_this) {
                // What was said meanwhile was missed.
                self.table.lock().check_all();
                self.exchange_over(to_all, to_this).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// Until a subscription ends.
    async fn exchange_over(
        &self,
        mut to_all: mpsc::Receiver<Said>,
        mut to_this: mpsc::Receiver<Said>,
    ) {
        let mut view = self.nodes.view();
        self.follow(&mut view);
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now() - PACE;
        loop {
            let has_news = self.table.lock().has_news();
            tokio::select! {
                biased;
                _ = view.changed() => self.follow(&mut view),
                said = to_all.recv() => match said {
                    Some(said) => self.hear(said),
                    None => return,
                },
                said = to_this.recv() => match said {
                    Some(said) => self.hear(said),
                    None => return,
                },
                () = sleep_until(last + PACE), if has_news => {
                    last = Instant::now();
                    let news = self.table.lock().take_news();
                    self.tell(news);
                }
                () = self.has_news.notified(), if !has_news => {}
                _ = tick.tick() => {
                    let digests = self.table.lock().tick();
                    self.tell(digests);
                }
            }
        }
    }

    fn follow(&self, view: &mut watch::Receiver<Arc<View>>) {
        let view = view.borrow_and_update().clone();
        let rooms = self.table.lock().follow(&view);
        rooms.iter().for_each(|room| room.elsewhere_has_changed());
    }

    fn hear(&self, said: Said) {
        let Some(message) = Message::decode(said.payload) else {
            return;
        };
        let rooms = self.table.lock().hear(message);
        rooms.iter().for_each(|room| room.elsewhere_has_changed());
    }

    fn tell(&self, messages: Told) {
        for (to, message) in messages {
            let message = message.encode();
            match to {
                None => self.bus.publish(SUBJECT, message),
                Some(node) => self.bus.publish(&subject_of(node), message),
            }
        }
    }

    /// Pages of the members of a topic on these servers, of those that answer in a second.
    pub(crate) async fn list(
        &self,
        nodes: &[NodeId],
        topic: &TopicName,
        page: &Page,
    ) -> Vec<Listed> {
        let question = Question::Who(topic.clone(), page.clone());
        let answers = ask(&self.bus, nodes.iter().copied(), &question).await;
        answers.into_iter().filter_map(Listed::decode).collect()
    }

    /// The first topics in the memory of each other server after this name, at most so many.
    pub(crate) async fn topics(&self, after: Option<&str>, limit: usize) -> Vec<Vec<Summary>> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let question = Question::Topics(after.map(str::to_owned), limit);
        let answers = ask(&self.bus, self.others().into_iter(), &question).await;
        answers.into_iter().filter_map(Summary::decode).collect()
    }

    /// The other servers that live.
    pub(crate) fn others(&self) -> Vec<NodeId> {
        let view = self.nodes.view().borrow().clone();
        let all = view.nodes().map(|node| node.id);
        all.filter(|node| *node != self.nodes.own()).collect()
    }

    /// Answers other servers, for ever.
    async fn answer_questions(&self, topics: Arc<dyn TopicList>) {
        let subject = questions::subject_of(self.nodes.own());
        loop {
            if let Ok(mut asked) = self.bus.subscribe(&subject).await {
                while let Some(said) = asked.recv().await {
                    self.answer(said, &*topics);
                }
            }
            sleep(PAUSE).await;
        }
    }

    fn answer(&self, said: Said, topics: &dyn TopicList) {
        let (Some(question), Some(reply)) = (Question::decode(said.payload), said.reply) else {
            return;
        };
        match question {
            Question::Topics(after, limit) => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let topics = topics.after(after.as_deref(), limit.min(MAX_TOPICS));
                reply(Summary::encode(&topics));
            }
            Question::Who(topic, page) => {
                let Some(room) = self.table.lock().room(&topic) else {
                    return reply(Listed::default().encode());
                };
                let (asker, answered) = Asker::new(page);
                room.list(asker);
                tokio::spawn(async move {
                    // A topic that has just ended has no members.
                    let listed = answered.await.unwrap_or_default();
                    reply(listed.encode());
                });
            }
        }
    }
}

impl Present {
    /// How many connections are members here, and how many of them have a name.
    pub(crate) fn set_count(&self, count: usize, named: usize) {
        self.change(|table| table.set_count(&self.topic, count as u64, named as u64));
    }

    /// Somebody's coming was announced here, or somebody has got another address.
    pub(crate) fn came(&self, person: Someone) {
        self.change(|table| table.came(&self.topic, person));
    }

    /// Somebody whose coming was announced has gone.
    pub(crate) fn went(&self, user: &str) {
        self.change(|table| table.went(&self.topic, user));
    }

    /// Who is there on other servers. The room is told when it changes after this.
    pub(crate) fn elsewhere(&self) -> Elsewhere {
        self.presence.table.lock().elsewhere(&self.topic)
    }

    fn change(&self, change: impl FnOnce(&mut Table)) {
        change(&mut self.presence.table.lock());
        self.presence.has_news.notify_one();
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.presence.table.lock().leave(&self.topic, self.number);
        self.presence.has_news.notify_one();
    }
}

#[cfg(test)]
mod tests;
