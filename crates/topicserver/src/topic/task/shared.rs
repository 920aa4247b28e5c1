//! What a topic's task does in a cluster.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use wire::ErrorCode;

use super::Task;
use crate::cluster::directory;
use crate::cluster::log::LogError;
use crate::cluster::presence::Asker;
use crate::cluster::tail::Counted;
use crate::topic::clustered::ReadTo;
use crate::topic::handed_over::HandedOver;
use crate::topic::handle::Command;
use crate::topic::place::{InLog, Place};
use crate::topic::put_off::{Due, Needs};

/// What clients are told that need what the log has.
const AWAY: &str = "this server doesn't reach those that keep the messages: connect to another \
                    server of the cluster, or try again";

/// How long the log's leader has to show that it is the leader. The topic waits for it; only a
/// client that has more than this server asks for it.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);

impl Task {
    /// Whether the topic must be followed before this command is carried out.
    pub(super) fn needs_to_follow(&self, next: &Command) -> bool {
        self.clustered.is_some()
            && self.log.place().is_none()
            && matches!(
                next,
                Command::Register(_) | Command::Join(_) | Command::Range(_)
            )
    }

    /// Begins to follow the topic. Returns whether that is possible.
    pub(super) async fn follow(&mut self) -> bool {
        let followed = self.try_to_follow().await;
        if let Err(error) = &followed {
            let topic = self.topic.name();
            tracing::warn!(%topic, "can't serve the topic: {error}");
        }
        followed.is_ok()
    }

    async fn try_to_follow(&mut self) -> Result<(), LogError> {
        let Some(clustered) = &mut self.clustered else {
            return Ok(());
        };
        let from = match clustered.follow(&self.topic).await? {
            Some(following) => following.from,
            None => return Ok(()),
        };
        let shared = clustered.shared().clone();
        let log = InLog::open(shared, self.topic.name().clone(), from).await;
        match log {
            Ok(log) => self.log.enter(log, &from),
            Err(error) => {
                clustered.unfollow();
                return Err(error);
            }
        }
        self.topic.newest.store(self.log.next() - 1, Relaxed);
        Ok(())
    }

    /// Refuses a command for which the topic would have to be followed.
    pub(super) fn refuse(&mut self, command: &Command) {
        let outbox = match command {
            Command::Register(registration) => &registration.outbox,
            Command::Join(outbox) => outbox,
            Command::Range(question) => {
                question.asker.send_error(ErrorCode::NoQuorum, AWAY, None);
                return;
            }
            _ => return,
        };
        outbox.close(ErrorCode::NoQuorum, AWAY);
        self.let_in();
    }

    /// Whether the log may have this message, although this server hasn't read it. The leader may
    /// have been cut off from the others, which have elected another one.
    pub(super) async fn may_lack(&self, seq: u64) -> bool {
        let Some(clustered) = &self.clustered else {
            return false;
        };
        let (shared, topic) = (clustered.shared(), self.topic.name());
        let until = Instant::now() + CONFIRM_TIMEOUT;
        let looked = async {
            shared.log.confirm(topic).await?;
            directory::newest(shared, topic, until).await
        };
        match timeout_at(until, looked).await {
            Ok(Ok(newest)) => newest >= seq,
            Ok(Err(_)) | Err(_) => true,
        }
    }

    /// Lets connections go on that have joined, unless others still wait.
    pub(super) fn let_in(&mut self) {
        if let Some(clustered) = &mut self.clustered
            && !clustered.put_off().has_join()
        {
            self.topic.let_in();
        }
    }

    /// Members have come or gone on other servers.
    pub(super) fn look_elsewhere(&mut self) {
        let max = self.log.settings().limits().max_presence;
        self.members.look_elsewhere(self.topic.name().as_str(), max);
    }

    /// Answers another server with a page of the members here.
    pub(super) fn list_for(&self, asker: Asker) {
        let listed = self.members.list(asker.page());
        asker.answer(listed);
    }

    /// Waits while more is to be handed over than a mailbox holds.
    pub(super) fn room(&self) -> Option<impl Future<Output = ()> + use<>> {
        let most = self.log.settings().queues.allowed_mailbox();
        self.clustered.as_ref()?.room(most)
    }

    /// Delivers the next record of the log to the members.
    pub(super) async fn deliver_record(&mut self, counted: Counted) {
        let Some(clustered) = &mut self.clustered else {
            return;
        };
        // If the topic has been followed before, in vain, what was read then may come after what
        // is read now.
        match self.log.place() {
            Some(Place::Cluster(log)) if !log.has_read(&counted) => {}
            _ => return,
        }
        let publications = clustered.publications(&counted.record);
        let before = self.log.epoch_number();
        let applied = self.log.apply(&counted, &publications);
        if applied.is_anew {
            clustered.begin_anew(before, self.log.epoch_number());
        }
        let next = self.log.next();
        self.topic.newest.store(next - 1, Relaxed);
        self.note_use();
        if applied.is_anew {
            let text = "the topic has begun anew: connect again";
            self.members.close_extended(ErrorCode::NoQuorum, text);
        }
        if let Some(from) = applied.missed_from {
            self.members.fall_behind(from);
        }
        self.members
            .deliver(&publications, &applied.pieces, next)
            .await;
        self.answer_read().await;
    }

    /// What was handed over is in the log, or has failed.
    pub(super) async fn has_handed_over(&mut self, answered: HandedOver) {
        if let Some(clustered) = &mut self.clustered {
            clustered.has_handed_over(&self.topic, answered);
        }
        self.answer_read().await;
    }

    /// It may be too late to read what was handed over: its publishers wait no longer.
    pub(super) async fn is_late(&mut self) {
        if let Some(clustered) = &mut self.clustered {
            clustered.is_late();
        }
        self.answer_read().await;
    }

    /// Answers those whose messages this server has read, and carries out what came after them: who
    /// is told that a message is there finds it there.
    async fn answer_read(&mut self) {
        let read = self.log.place().map(|_| ReadTo {
            epoch: self.log.epoch_number(),
            next: self.log.next(),
        });
        if let Some(clustered) = &mut self.clustered {
            clustered.answer(&self.topic, read);
        }
        loop {
            let next = self.log.next();
            let clustered = self.clustered.as_mut();
            match clustered.and_then(|clustered| clustered.next_command(next)) {
                None => return,
                Some(Due::Refused(command)) => self.refuse(&command),
                Some(Due::Now(command)) => {
                    if let Some(later) = self.change_now(command) {
                        Box::pin(self.change_later(later)).await;
                    }
                }
            }
        }
    }

    /// The log's leader has told how far the log reaches, or not.
    pub(super) async fn has_asked(&mut self, newest: Option<u64>) {
        if let Some(clustered) = &mut self.clustered {
            clustered.put_off().answered(newest);
            clustered.ask(&self.topic);
            if newest >= Some(self.log.next()) {
                clustered.shared().look_soon(self.topic.name());
            }
        }
        self.answer_read().await;
    }

    /// Has a command wait that has to; gives others back.
    pub(super) fn put_off(&mut self, command: Command) -> Option<Command> {
        let (Some(clustered), Some(mut needs)) = (&mut self.clustered, Needs::of(&command)) else {
            return Some(command);
        };
        // Who begins to follow a topic asks the leader then.
        needs.head &= self.log.place().is_some();
        clustered.wait(&self.topic, command, needs)
    }
}
