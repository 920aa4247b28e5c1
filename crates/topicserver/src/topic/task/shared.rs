//! What a topic's task does in a cluster.

use std::sync::atomic::Ordering::Relaxed;

use wire::ErrorCode;

use super::Task;
use crate::cluster::follower::Opened;
use crate::cluster::log::LogError;
use crate::cluster::presence::Asker;
use crate::cluster::tail::Counted;
use crate::topic::handle::{Command, Registration};
use crate::topic::looked::Looked;
use crate::topic::place::Place;
use crate::topic::put_off::{Due, Needs};
use crate::topic::range::AWAY;
use crate::topic::unanswered::{HandedOver, ReadTo};

impl Task {
    /// It is known where the topic ends, to follow it, or that this can't be found out now.
    pub(super) async fn has_opened(&mut self, opened: Result<Opened, LogError>) {
        let Some(clustered) = &mut self.clustered else {
            return;
        };
        match opened {
            Ok(opened) => {
                let from = opened.from;
                let log = clustered.follow(&self.topic, opened);
                self.log.enter(log, &from);
                self.topic.newest.store(self.log.next() - 1, Relaxed);
            }
            Err(error) => {
                let topic = self.topic.name();
                tracing::warn!(%topic, "can't serve the topic: {error}");
                clustered.cannot_follow(&error);
            }
        }
        self.answer_read().await;
        if let Some(clustered) = &mut self.clustered {
            clustered.open_again(&self.topic);
        }
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

    /// Has a registration wait that resumes from beyond what this server has: the log may have
    /// more. Gives others back.
    pub(super) fn check_resume(&mut self, registration: Registration) -> Option<Registration> {
        match &mut self.clustered {
            Some(clustered) if registration.start.must_be_checked(&self.log) => {
                clustered.wait_for_leader(&self.topic, registration);
                None
            }
            _ => Some(registration),
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
    pub(super) fn room(&mut self) -> Option<impl Future<Output = ()> + use<>> {
        let most = self.log.settings().queues.allowed_mailbox();
        self.clustered.as_mut()?.room(most)
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

    /// It may be too late for what waits: it waits no longer.
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
            let next = self.log.place().map(|_| self.log.next());
            let Some(clustered) = &mut self.clustered else {
                return;
            };
            match clustered.next_command(next) {
                None => return clustered.time(&self.topic),
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
    pub(super) async fn has_asked(&mut self, looked: Looked) {
        if let Some(clustered) = &mut self.clustered {
            clustered.put_off().answered(&looked);
            clustered.ask(&self.topic);
            if looked.newest() >= Some(self.log.next()) {
                clustered.shared().look_soon(self.topic.name());
            }
        }
        self.answer_read().await;
    }

    /// Has a command wait that has to; gives others back.
    pub(super) fn put_off(&mut self, command: Command) -> Option<Command> {
        let (Some(clustered), Some(needs)) = (&mut self.clustered, Needs::of(&command)) else {
            return Some(command);
        };
        clustered.wait(&self.topic, command, needs)
    }
}
