//! How a server decides who has a name, and what it answers others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wire::UserName;

use super::message::{Answer, Claim, Question};
use super::table::Table;
use crate::cluster::bus::Bus;
use crate::cluster::nodes::{NodeId, Nodes, Owner, View};
use crate::cluster::text::owned;
use crate::identity::names::Directory;

/// How long other servers may take that are asked.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the server that decides on a name may take. Then the name is given without it.
pub(super) const CLAIM_TIMEOUT: Duration = Duration::from_millis(1200);

/// A holder's server may not know yet of a claim that was granted so lately.
const FRESH: Duration = Duration::from_secs(2);

/// How long it is waited for what its server says of such a claim: that it has the name, or that
/// its connection has ended. Either comes within milliseconds.
const NEWS_TIMEOUT: Duration = Duration::from_millis(200);

/// The pause before the server is asked again.
const NEWS_PAUSE: Duration = Duration::from_millis(20);

/// How often something is told that isn't answered.
const TRIES: usize = 3;

/// The subject to which one server listens.
pub(super) fn subject_of(node: NodeId) -> String {
    format!("names.{:016x}", node.0)
}

/// Decides, asks and answers. Clones are the same one.
#[derive(Clone)]
pub(super) struct Decider {
    pub(super) nodes: Arc<Nodes>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) directory: Arc<Directory>,
    pub(super) table: Arc<Mutex<Table>>,
}

impl Decider {
    /// Who decides on a name.
    pub(super) fn owner(&self, user: &UserName) -> Owner {
        self.nodes.owner_of(&format!("user:{user}"))
    }

    /// Has a name that is here be announced, if the server that knows of it decides no longer. While
    /// that one was asked, others may have come or gone, which [`follow`](Self::follow) didn't see.
    pub(super) fn check_owner(&self, user: &UserName) {
        let owner = match self.owner(user) {
            Owner::This => self.nodes.own(),
            Owner::Other(node) => node,
        };
        self.table.lock().is_decided_by(user, owner);
    }

    /// The other servers that live.
    pub(super) fn others(&self) -> Vec<NodeId> {
        let view = self.nodes.view().borrow().clone();
        let all = view.nodes().map(|node| node.id);
        all.filter(|node| *node != self.nodes.own()).collect()
    }

    /// Asks another server; `None` if it doesn't answer.
    pub(super) async fn ask(
        &self,
        node: NodeId,
        question: &Question,
        timeout: Duration,
    ) -> Option<Answer> {
        let (subject, question) = (subject_of(node), question.encode());
        let answer = self.bus.request(&subject, question, timeout).await;
        Answer::decode(answer.ok()?)
    }

    /// Tells a server something, maybe this one.
    pub(super) async fn tell(&self, node: NodeId, question: Question) {
        if node == self.nodes.own() {
            self.take_told(question);
            return;
        }
        for _ in 0..TRIES {
            if self.ask(node, &question, ASK_TIMEOUT).await.is_some() {
                return;
            }
        }
        // A name that isn't released is found out when somebody else wants it.
        let is_needed = !matches!(question, Question::Release(_));
        if is_needed && self.nodes.view().borrow().has(node) {
            self.table.lock().tell_again(node, question);
        }
    }

    pub(super) async fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Claim(claim) => self.decide(claim).await,
            Question::Announce(claims) => {
                for claim in claims {
                    self.take_announced(claim).await;
                }
                Answer::Done
            }
            Question::Holder(user) => self.answer_holder(&user),
            Question::Has(user) => self.has(&user).await,
            Question::Find(user) => {
                let holder = self.directory.holder(user.as_str());
                let person = holder.as_ref().and_then(|identity| identity.person());
                person.map_or(Answer::Nobody, |person| Answer::Person(owned(&person)))
            }
            Question::Release(_) | Question::Replaced(..) | Question::Reannounce(_) => {
                self.take_told(question)
            }
        }
    }

    fn take_told(&self, question: Question) -> Answer {
        match question {
            Question::Release(claim) => self.table.lock().is_released(&claim),
            Question::Reannounce(owner) => self.table.lock().announce_again(owner),
            Question::Replaced(claim, is_same_client) => {
                self.table
                    .lock()
                    .is_replaced(&claim.user, claim.serial, is_same_client);
                self.directory
                    .replace(&claim.user, claim.serial, is_same_client);
            }
            _ => {}
        }
        Answer::Done
    }

    /// Whether anybody has a name on which this server decides.
    pub(super) async fn has(&self, user: &UserName) -> Answer {
        match self.holder(user).await {
            Some(_) => Answer::InUse,
            None => Answer::Nobody,
        }
    }

    /// Decides on a name for a connection that wants it.
    pub(super) async fn decide(&self, claim: Claim) -> Answer {
        let known = self.table.lock().decided(&claim.user);
        let is_own = known.is_some_and(|known| known.is_of_client_of(&claim));
        if !is_own {
            self.holder(&claim.user).await;
        }
        let mut table = self.table.lock();
        match table.decided(&claim.user) {
            None => table.decide(claim),
            Some(known) if known.is(&claim) => {}
            Some(known) if known.is_of_client_of(&claim) => {
                if known.node == claim.node && known.serial > claim.serial {
                    // That claim was given up, and its question comes late.
                    return Answer::Done;
                }
                if known.node != claim.node {
                    table.tell_replaced(known, true);
                }
                table.decide(claim);
            }
            Some(known) => return known.kept.map_or(Answer::InUse, Answer::Kept),
        }
        Answer::Done
    }

    /// Takes a name that a connection of another server has already.
    pub(super) async fn take_announced(&self, claim: Claim) {
        let known = self.table.lock().decided(&claim.user);
        if known.is_some_and(|known| known.node != claim.node) {
            self.holder(&claim.user).await;
        }
        let mut table = self.table.lock();
        match table.decided(&claim.user) {
            Some(known) if known.node != claim.node => {
                let is_same_client = known.is_of_client_of(&claim);
                if has_precedence(&claim, &known) {
                    table.tell_replaced(known, is_same_client);
                    table.decide(claim);
                } else {
                    table.tell_replaced(claim, is_same_client);
                }
            }
            // It was announced before what is known, and comes late.
            Some(known) if known.serial > claim.serial => {}
            // Its server knows best.
            _ => table.decide(claim),
        }
    }

    /// Who has a name on which this server decides. What it remembers of it is compared with what
    /// the holder's server says, and after servers have come or gone, all are asked.
    async fn holder(&self, user: &UserName) -> Option<Claim> {
        let (known, is_unsure) = {
            let mut table = self.table.lock();
            (table.decided(user), table.is_unsure())
        };
        match known {
            Some(known) if known.held < FRESH => {
                let news = timeout(NEWS_TIMEOUT, self.wait_for_news(&known)).await;
                news.unwrap_or(Some(known))
            }
            Some(known) => self.confirm(known).await,
            None if is_unsure => self.learn(user).await,
            None => None,
        }
    }

    /// Who has a name that was granted so lately that its server may not know it yet. If it doesn't,
    /// it may as well have released it, and the word of that be on its way.
    async fn wait_for_news(&self, fresh: &Claim) -> Option<Claim> {
        while self.ask_holder(fresh).await == Some(Answer::Nobody) {
            sleep(NEWS_PAUSE).await;
            let known = self.table.lock().decided(&fresh.user);
            if !known.as_ref().is_some_and(|known| known.is(fresh)) {
                return known;
            }
        }
        Some(fresh.clone())
    }

    /// Asks the holder's server who has the name.
    async fn ask_holder(&self, known: &Claim) -> Option<Answer> {
        match known.node == self.nodes.own() {
            true => Some(self.answer_holder(&known.user)),
            false => {
                let question = Question::Holder(known.user.clone());
                self.ask(known.node, &question, ASK_TIMEOUT).await
            }
        }
    }

    /// Asks the holder's server whether it still has the name.
    async fn confirm(&self, known: Claim) -> Option<Claim> {
        let answer = self.ask_holder(&known).await;
        let mut table = self.table.lock();
        match answer {
            Some(Answer::Holder(now)) if now.is(&known) => {
                table.update(now.clone());
                Some(now)
            }
            // The claim that is known was given up, or is over; its server knows best.
            Some(Answer::Holder(now)) if now.node == known.node => {
                if table
                    .decided(&now.user)
                    .is_some_and(|still| still.is(&known))
                {
                    table.decide(now.clone());
                }
                Some(now)
            }
            // Without an answer it may live, and have the name.
            None if self.nodes.view().borrow().has(known.node) => Some(known),
            _ => {
                let over = Claim {
                    kept: None,
                    ..known
                };
                table.is_released(&over);
                None
            }
        }
    }

    fn answer_holder(&self, user: &UserName) -> Answer {
        let holder = self.table.lock().holder_here(user);
        holder.map_or(Answer::Nobody, Answer::Holder)
    }

    /// Whether a claim can be granted although the server that decides on it doesn't answer: if
    /// nobody is known who has the name.
    pub(super) async fn without_decision(&self, claim: &Claim) -> Answer {
        match self.ask_all(&claim.user).await {
            None => Answer::Nobody,
            Some(known) if known.is_of_client_of(claim) => {
                if known.node != claim.node {
                    self.table.lock().tell_replaced(known, true);
                }
                Answer::Nobody
            }
            Some(known) => known.kept.map_or(Answer::InUse, Answer::Kept),
        }
    }

    /// Asks all servers who has a name on which this server decides.
    async fn learn(&self, user: &UserName) -> Option<Claim> {
        let found = self.ask_all(user).await?;
        let mut table = self.table.lock();
        if let Some(known) = table.decided(user) {
            return Some(known);
        }
        table.decide(found.clone());
        Some(found)
    }

    /// Asks all servers who has a name.
    async fn ask_all(&self, user: &UserName) -> Option<Claim> {
        let question = Question::Holder(user.clone());
        let mut asked = JoinSet::new();
        for node in self.others() {
            let (decider, question) = (self.clone(), question.clone());
            asked.spawn(async move { decider.ask(node, &question, ASK_TIMEOUT).await });
        }
        let mut answers = asked.join_all().await;
        answers.push(Some(self.answer_holder(user)));
        let holders = answers.into_iter().filter_map(|answer| match answer {
            Some(Answer::Holder(claim)) => Some(claim),
            _ => None,
        });
        holders.reduce(|one, other| match has_precedence(&other, &one) {
            true => other,
            false => one,
        })
    }

    /// Announces names of connections here to a server that decides on them, maybe this one.
    pub(super) async fn announce(&self, owner: NodeId, claims: Vec<Claim>) {
        if owner == self.nodes.own() {
            for claim in claims.clone() {
                self.take_announced(claim).await;
            }
        } else {
            let question = Question::Announce(claims.clone());
            if self.ask(owner, &question, CLAIM_TIMEOUT).await != Some(Answer::Done) {
                return;
            }
        }
        for claim in &claims {
            self.table.lock().is_announced(claim, owner);
            self.check_owner(&claim.user);
        }
    }

    /// Other servers have come or gone.
    pub(super) fn follow(&self, view: &View) {
        let grace = self.directory.grace();
        let owner = |user: &UserName| self.owner(user);
        let others = view.nodes().map(|node| node.id);
        self.table.lock().follow(others.collect(), owner, grace);
    }

    /// What is to be announced, by the server that decides.
    pub(super) fn unannounced(&self) -> BTreeMap<NodeId, Vec<Claim>> {
        self.table.lock().unannounced(|user| self.owner(user))
    }
}

/// Whether a claim goes before another one, by another server, for the same name: that of a
/// connection before one for which the name is only kept, of one client the newer one, and else
/// the older one.
fn has_precedence(claim: &Claim, known: &Claim) -> bool {
    match (claim.kept.is_some(), known.kept.is_some()) {
        (true, false) => false,
        (false, true) => true,
        _ if claim.is_of_client_of(known) => claim.held <= known.held,
        _ => claim.held > known.held,
    }
}
