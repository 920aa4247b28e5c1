//! Which connection of a cluster has a name.
//!
//! A name is decided on by one server, found by its hash as a topic's owner is. It remembers who
//! has it, and asks the holder's server before it refuses anybody. Nothing of that is kept: when
//! another server is to decide, all announce the names of their connections to it. While servers
//! don't reach each other a name may be given twice; afterwards the one who has had it longer
//! keeps it.

mod deciding;
mod message;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use wire::{Event, UserName};

use super::bus::{Bus, Said};
use super::nodes::{Nodes, Owner};
use crate::identity::names::Directory;
use deciding::{CLAIM_TIMEOUT, Decider, subject_of};
use message::{Answer, Claim, Question};
use table::Table;

/// How often servers look whether all is announced.
const PERIOD: Duration = Duration::from_secs(1);

/// How many names are announced in one message.
const ANNOUNCED_AT_ONCE: usize = 500;

/// The pause before another try to listen.
const PAUSE: Duration = Duration::from_millis(200);

/// The names of a cluster, as one server takes part in them.
pub(crate) struct Names {
    decider: Decider,
    last_serial: AtomicU64,
    /// Notified when something is to be announced or told.
    has_news: Arc<Notify>,
}

/// Another client has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    InUse,
    /// Its connection has ended. The name may be free after this time.
    Kept(Duration),
}

impl Names {
    pub(crate) fn new(
        nodes: Arc<Nodes>,
        bus: Arc<dyn Bus>,
        directory: Arc<Directory>,
    ) -> Arc<Self> {
        let table = Arc::new(Mutex::new(Table::new(nodes.own())));
        let has_news = Arc::new(Notify::new());
        let (released, notify) = (table.clone(), has_news.clone());
        directory.on_release(Box::new(move |user, serial, kept| {
            released.lock().release(user, serial, kept);
            notify.notify_one();
        }));
        Arc::new(Self {
            decider: Decider {
                nodes,
                bus,
                directory,
                table,
            },
            last_serial: AtomicU64::new(0),
            has_news,
        })
    }

    /// Claims a name for a connection here, whose client has this number if it can prove it.
    /// Returns what stands for the claim.
    pub(crate) async fn claim(&self, user: &UserName, client: Option<u64>) -> Result<u64, Refused> {
        let claim = Claim {
            user: user.clone(),
            node: self.decider.nodes.own(),
            serial: 1 + self.last_serial.fetch_add(1, Relaxed),
            client,
            held: Duration::ZERO,
            kept: None,
        };
        // It would be refused here whatever others say, and must not be taken for this one's.
        let here = self.decider.table.lock().holder_here(user);
        if let Some(here) = here.filter(|here| !here.is_of_client_of(&claim)) {
            return Err(here.kept.map_or(Refused::InUse, Refused::Kept));
        }
        let (answer, owner) = match self.decider.owner(user) {
            Owner::This => (Some(self.decider.decide(claim.clone()).await), claim.node),
            Owner::Other(node) => {
                let question = Question::Claim(claim.clone());
                (self.decider.ask(node, &question, CLAIM_TIMEOUT).await, node)
            }
        };
        let owner = match answer {
            Some(Answer::InUse) => return Err(Refused::InUse),
            Some(Answer::Kept(left)) => return Err(Refused::Kept(left)),
            Some(Answer::Done) => Some(owner),
            // Nobody decides on it now. It is announced when somebody does.
            _ => match self.decider.without_decision(&claim).await {
                Answer::InUse => return Err(Refused::InUse),
                Answer::Kept(left) => return Err(Refused::Kept(left)),
                _ => None,
            },
        };
        let serial = claim.serial;
        self.decider.table.lock().hold(claim, owner);
        self.decider.check_owner(user);
        self.has_news.notify_one();
        Ok(serial)
    }

    /// Whether a claim counts no longer, because another connection has got the name since; and
    /// if so, whether that one is the same client's.
    pub(crate) fn lost(&self, user: &UserName, serial: u64) -> Option<bool> {
        self.decider.table.lock().lost(user, serial)
    }

    /// Gives a name back that was claimed and couldn't be taken.
    pub(crate) fn give_back(&self, user: &UserName, serial: u64) {
        self.decider.table.lock().release(user, serial, None);
        self.has_news.notify_one();
    }

    /// Whether a connection has this name, or its client may come back for it.
    pub(crate) async fn has(&self, user: &UserName) -> bool {
        if self.decider.directory.has(user) {
            return true;
        }
        let question = Question::Has(user.clone());
        let answer = match self.decider.owner(user) {
            Owner::This => Some(self.decider.has(user).await),
            Owner::Other(node) => self.decider.ask(node, &question, CLAIM_TIMEOUT).await,
        };
        answer == Some(Answer::InUse)
    }

    /// The answer to a lookup; `None` if no connection has the name.
    pub(crate) async fn find(&self, user: &UserName) -> Option<Vec<u8>> {
        if let Some(found) = self.decider.directory.find(user.as_str()) {
            return Some(found);
        }
        let mut asked = JoinSet::new();
        for node in self.decider.others() {
            let (decider, question) = (self.decider.clone(), Question::Find(user.clone()));
            asked.spawn(async move { decider.ask(node, &question, CLAIM_TIMEOUT).await });
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some(Answer::Person(person))) = answer {
                return Some(Event::Found(person).to_line());
            }
        }
        None
    }

    /// Decides, answers and announces, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        tokio::select! {
            () = self.serve() => {}
            () = self.announce() => {}
        }
    }

    async fn serve(&self) {
        let subject = subject_of(self.decider.nodes.own());
        loop {
            if let Ok(mut asked) = self.decider.bus.subscribe(&subject).await {
                while let Some(said) = asked.recv().await {
                    self.answer(said);
                }
            }
            sleep(PAUSE).await;
        }
    }

    fn answer(&self, said: Said) {
        let Some(question) = Question::decode(said.payload) else {
            return;
        };
        let (decider, has_news) = (self.decider.clone(), self.has_news.clone());
        tokio::spawn(async move {
            let answer = decider.answer(question).await;
            has_news.notify_one();
            if let Some(reply) = said.reply {
                reply(answer.encode());
            }
        });
    }

    /// Follows who lives, and tells servers what concerns them.
    async fn announce(&self) {
        let mut view = self.decider.nodes.view();
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.decider.follow(&view.borrow_and_update().clone());
        loop {
            self.tell().await;
            tokio::select! {
                biased;
                _ = view.changed() => {
                    let view = view.borrow_and_update().clone();
                    self.decider.follow(&view);
                }
                () = self.has_news.notified() => {}
                _ = tick.tick() => self.decider.table.lock().tick(),
            }
        }
    }

    /// Tells other servers what is to be told, and announces names to those that decide on them.
    async fn tell(&self) {
        let letters = self.decider.table.lock().take_letters();
        for (node, question) in letters {
            let decider = self.decider.clone();
            tokio::spawn(async move { decider.tell(node, question).await });
        }
        let mut announced = JoinSet::new();
        for (owner, claims) in self.decider.unannounced() {
            for some in claims.chunks(ANNOUNCED_AT_ONCE) {
                let (decider, some) = (self.decider.clone(), some.to_vec());
                announced.spawn(async move { decider.announce(owner, some).await });
            }
        }
        announced.join_all().await;
    }
}

#[cfg(test)]
mod tests;
