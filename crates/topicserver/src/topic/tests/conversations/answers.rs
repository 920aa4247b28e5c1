//! Whatever waits at a topic, and whatever is away, is answered in time: it waits for nothing longer
//! than its own deadline, however much waits before it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use wire::{Position, RegistrationOptions, TopicName};

use super::cluster::Cluster;
use super::publisher::publish;
use super::reader::Connection;
use super::server::{PATIENCE, Server};
use crate::cluster::nodes::Owner;
use crate::cluster::simulation::{Faults, Misfortune, World};
use crate::topic::registration::RegistrationReply;

/// Until when everything must be answered: a server's patience, and a moment to read what is in the
/// log.
const LATEST: Duration = PATIENCE.saturating_add(Duration::from_millis(2_500));

/// The same for who reads the log after that.
const LATEST_READ: Duration = LATEST
    .saturating_add(PATIENCE)
    .saturating_add(Duration::from_secs(1));

/// The pause between two things of the same kind.
const PAUSE: Duration = Duration::from_millis(700);

/// What is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Away {
    Nothing,
    Log,
    /// The connection of the server where things wait.
    Connection,
    /// The topic's owner, without a word.
    Owner,
    /// Nothing comes by the feed.
    Feed,
}

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Messages,
    /// Each as large as a record, and together more than a mailbox takes.
    LargeMessages,
    Registrations,
    /// Where nobody has been.
    FirstRegistrations,
    RegistrationsSince,
    /// They resume from beyond what there is.
    RegistrationsAhead,
    Joins,
    FirstJoins,
    Ranges,
    Leaving,
    Finishing,
    Everything,
}

const ALL_AWAY: [Away; 5] = [
    Away::Nothing,
    Away::Log,
    Away::Connection,
    Away::Owner,
    Away::Feed,
];

const ALL_WAITS: [Waits; 12] = [
    Waits::Messages,
    Waits::LargeMessages,
    Waits::Registrations,
    Waits::FirstRegistrations,
    Waits::RegistrationsSince,
    Waits::RegistrationsAhead,
    Waits::Joins,
    Waits::FirstJoins,
    Waits::Ranges,
    Waits::Leaving,
    Waits::Finishing,
    Waits::Everything,
];

/// One server of a cluster, and what waits there.
struct Trial {
    cluster: Arc<Cluster>,
    server: Arc<Server>,
    topic: TopicName,
    number: u64,
    /// What was late or refused.
    asked: JoinSet<Option<String>>,
    /// Nothing may be refused.
    is_served: bool,
}

impl Trial {
    /// A topic with some messages, whose owner isn't the server.
    async fn start() -> Self {
        let world = World::new(3, Faults::default());
        let cluster = Cluster::start(world, 3);
        let server = cluster.server(0).await;
        let names = (0..).map(|number| TopicName::new(&format!("topic {number}")).unwrap());
        let is_far = |name: &TopicName| server.shared().nodes.owner(name) != Owner::This;
        let topic = names.into_iter().find(is_far).unwrap();
        let trial = Self {
            cluster,
            server,
            topic,
            number: 0,
            asked: JoinSet::new(),
            is_served: true,
        };
        trial.publish_elsewhere(3).await;
        trial
    }

    /// Publishes at the topic's owner, one record after another.
    async fn publish_elsewhere(&self, count: u64) {
        let owner = &self.cluster.living()[self.owner()];
        for number in 0..count {
            let text = format!("{{\"m\":\"{number}\"}}\n");
            let stored = publish(owner, &self.topic, &text, None).await;
            assert!(matches!(stored, Ok(Ok(_))), "{stored:?}");
        }
    }

    fn owner(&self) -> usize {
        let servers = self.cluster.living();
        let is_owner =
            |server: &Arc<Server>| server.shared().nodes.owner(&self.topic) == Owner::This;
        servers.iter().position(is_owner).unwrap()
    }

    async fn suffer(&mut self, away: Away) {
        self.is_served = matches!(away, Away::Nothing | Away::Feed);
        let world = &self.cluster.world;
        match away {
            Away::Nothing => {}
            Away::Log => world.suffer(&Misfortune::StopLog),
            Away::Connection => world.suffer(&Misfortune::Disconnect(0)),
            Away::Owner => {
                let owner = self.owner();
                world.suffer(&Misfortune::Kill(owner));
                self.cluster.kill(owner);
            }
            Away::Feed => {
                world.set_faults(|faults| faults.feed_lost = 1.0);
                // The heads that are announced come late.
                self.publish_elsewhere(5).await;
            }
        }
    }

    fn open(&mut self, options: &RegistrationOptions) -> Connection {
        self.number += 1;
        Connection::open(&self.server, &self.topic, options, self.number)
    }

    /// Has something answered in time, from now on.
    fn ask(&mut self, what: &str, answer: impl Future<Output = bool> + Send + 'static) {
        self.ask_for(LATEST, what, answer);
    }

    fn ask_for(
        &mut self,
        latest: Duration,
        what: &str,
        answer: impl Future<Output = bool> + Send + 'static,
    ) {
        let (what, is_served) = (what.to_owned(), self.is_served);
        let began = Instant::now();
        self.asked.spawn(async move {
            match timeout(latest, answer).await {
                Ok(true) => None,
                Ok(false) if !is_served => None,
                Ok(false) => Some(format!("{what} was refused after {:.1?}", began.elapsed())),
                Err(_) => Some(format!("{what} had no answer")),
            }
        });
    }

    fn publish(&mut self, text: &str) {
        self.number += 1;
        let (lines, id) = (format!("{{\"m\":\"{text}\"}}\n"), self.number.to_string());
        let receipt = publish(&self.server, &self.topic, &lines, Some(("anna", &id)));
        self.ask(
            "a message",
            async move { matches!(receipt.await, Ok(Ok(_))) },
        );
    }

    fn register(&mut self, options: &RegistrationOptions) {
        let connection = self.open(options);
        self.ask("a registration", is_told(connection, "registered"));
    }

    fn join(&mut self) {
        let connection = self.open(&RegistrationOptions::default());
        let outbox = connection.outbox.clone();
        let (topic, _) = self.server.registry.join(&self.topic, outbox);
        self.ask("a classic connection", async move {
            tokio::select! {
                biased;
                () = connection.outbox.closed() => false,
                () = std::future::poll_fn(|cx| topic.poll_room(cx)) => true,
            }
        });
    }

    fn range(&mut self, connection: &Connection) {
        let outbox = connection.outbox.clone();
        let answered = self.server.registry.range(&self.topic, outbox, None, None);
        // Who is refused is told so, and not that it is done.
        let answered = async move { answered.await.is_ok() };
        self.ask_for(LATEST_READ, "a range", answered);
    }

    fn leave(&mut self, connection: Connection) {
        let (outbox, names) = (connection.outbox.clone(), std::iter::once(&self.topic));
        let answer = RegistrationReply::new(outbox.clone(), None, None, names);
        let _ = connection.topic.leave_answered(outbox, answer);
        self.ask("who leaves", is_told(connection, "left"));
    }

    fn finish(&mut self, connection: Connection) {
        let finished = connection.topic.finish(connection.outbox.clone());
        self.ask("who finishes", async move {
            let finished = finished.await.is_ok();
            drop(connection);
            finished
        });
    }

    /// What resumes from beyond what the topic has.
    async fn ahead(&mut self) -> RegistrationOptions {
        let mut connection = self.open(&RegistrationOptions::default());
        let answer = connection.registered().await;
        let topic = self.topic.as_str();
        let epoch = &answer["extended"]["registered"]["topics"][topic]["epoch"];
        let position = Position {
            epoch: epoch.as_str().unwrap().to_owned(),
            seq: 1_000_000,
        };
        RegistrationOptions {
            resume: [(topic.to_owned(), position)].into(),
            ..RegistrationOptions::default()
        }
    }

    /// Has this wait.
    async fn have_wait(
        &mut self,
        waits: Waits,
        ahead: &RegistrationOptions,
        members: &mut Vec<Connection>,
    ) {
        let usual = RegistrationOptions::default();
        let since = RegistrationOptions {
            since: Some(1),
            ..usual.clone()
        };
        for _ in 0..8 {
            let is = |one: Waits| waits == one || waits == Waits::Everything;
            if is(Waits::Messages) {
                self.publish("short");
            }
            if waits == Waits::LargeMessages {
                self.publish(&"x".repeat(200_000));
            }
            if is(Waits::Registrations) || is(Waits::FirstRegistrations) {
                self.register(&usual);
            }
            if is(Waits::RegistrationsSince) {
                self.register(&since);
            }
            if is(Waits::RegistrationsAhead) {
                self.register(ahead);
            }
            if is(Waits::Joins) || is(Waits::FirstJoins) {
                self.join();
            }
            if is(Waits::Ranges) {
                let asker = members.pop().unwrap();
                self.range(&asker);
                members.insert(0, asker);
            }
            if is(Waits::Leaving) {
                let leaving = members.pop().unwrap();
                self.leave(leaving);
            }
            if is(Waits::Finishing) {
                let finishing = members.pop().unwrap();
                self.finish(finishing);
            }
            sleep(PAUSE).await;
        }
    }

    async fn complaints(&mut self, when: &str) -> Vec<String> {
        let mut complaints = Vec::new();
        while let Some(one) = self.asked.join_next().await {
            complaints.extend(one.unwrap().map(|one| format!("{when}: {one}")));
        }
        complaints
    }
}

/// Whether a connection is told this, rather than an error.
async fn is_told(mut connection: Connection, what: &str) -> bool {
    let outbox = connection.outbox.clone();
    loop {
        let told = tokio::select! {
            biased;
            () = outbox.closed() => return false,
            told = connection.lines.recv() => told,
        };
        let text = String::from_utf8(told.unwrap()).unwrap();
        if text.contains(&format!("{what:?}:")) {
            return true;
        }
    }
}

/// What goes wrong when this waits while that is away, and afterwards.
async fn try_out(waits: Waits, away: Away) -> Vec<String> {
    let mut trial = Trial::start().await;
    let (mut members, mut ahead) = (Vec::new(), RegistrationOptions::default());
    if !matches!(waits, Waits::FirstRegistrations | Waits::FirstJoins) {
        let usual = RegistrationOptions::default();
        members.extend((0..20).map(|_| trial.open(&usual)));
        trial.register(&usual);
        ahead = trial.ahead().await;
    }
    let mut complaints = trial.complaints("before").await;
    trial.suffer(away).await;
    trial.have_wait(waits, &ahead, &mut members).await;
    complaints.extend(trial.complaints("meanwhile").await);
    let world = &trial.cluster.world;
    world.suffer(&Misfortune::Heal);
    world.set_faults(|faults| faults.feed_lost = 0.0);
    // Until the servers know each other again.
    sleep(2 * PATIENCE).await;
    trial.is_served = true;
    trial.publish("afterwards");
    trial.register(&RegistrationOptions::default());
    trial.join();
    complaints.extend(trial.complaints("afterwards").await);
    complaints
}

#[test]
fn whatever_waits_is_answered_in_time_whatever_is_away() {
    let mut wrong = Vec::new();
    for waits in ALL_WAITS {
        for away in ALL_AWAY {
            let mut builder = Builder::new_current_thread();
            let runtime = builder.enable_time().start_paused(true).build().unwrap();
            let complaints = runtime.block_on(try_out(waits, away));
            if !complaints.is_empty() {
                wrong.push(format!("{waits:?} while {away:?} is away: {complaints:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
