//! How members leave a topic.

use tokio::sync::oneshot;

use super::Task;
use crate::outbox::SharedOutbox;

impl Task {
    /// A subscriber that is behind leaves when it has caught up, others leave at once.
    pub(super) fn finish(&mut self, subscriber: &SharedOutbox, done: oneshot::Sender<()>) {
        if let Some(known) = self.members.find(subscriber)
            && known.cursor.is_behind()
        {
            // It also gets what is published meanwhile.
            known.finished = Some(done);
            return;
        }
        self.leave(subscriber);
        // The receiver may have stopped waiting.
        let _ = done.send(());
    }

    /// Removes subscribers that have finished sending and have caught up.
    pub(super) fn remove_finished(&mut self) {
        while let Some((subscriber, done)) = self.members.take_finished() {
            self.leave(&subscriber);
            let _ = done.send(());
            self.note_members();
        }
    }

    pub(super) fn leave(&mut self, subscriber: &SharedOutbox) {
        if let Some(clustered) = &mut self.clustered {
            clustered.forget(subscriber);
        }
        if let Some(gone) = self.members.remove(subscriber) {
            self.members
                .announce_going(self.topic.name().as_str(), &gone);
        }
    }
}
