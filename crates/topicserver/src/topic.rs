//! One topic: a task that alone owns its subscribers and so gives its messages
//! one order. It never waits for a receiver.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use wire::TopicName;

use crate::mailbox::Mailbox;
use crate::outbox::SharedOutbox;
use crate::registry::Registry;
use crate::run::Run;

/// Receivers that are served before other tasks of the same thread get their
/// turn: about half a millisecond of writing.
const RECEIVERS_PER_TURN: usize = 256;

/// Commands for which an idle topic keeps room.
const KEPT_CAPACITY: usize = 32;

/// A topic as sessions know it: a name, and where to put what they have for it.
pub(crate) struct Topic {
    name: TopicName,
    mailbox: Mailbox<Command>,
}

enum Command {
    Join(SharedOutbox),
    Leave(SharedOutbox),
    Publish(Publication),
    /// Answered when everything before it has been handed on.
    Settle(oneshot::Sender<()>),
}

/// A run and who sent it, to whom it doesn't go back.
struct Publication {
    from: SharedOutbox,
    run: Run,
}

impl Topic {
    pub(crate) fn new(name: TopicName, max_mailbox: usize) -> Self {
        Self {
            name,
            mailbox: Mailbox::new(max_mailbox),
        }
    }

    pub(crate) fn name(&self) -> &TopicName {
        &self.name
    }

    /// Adds a subscriber. Only the registry calls this, under its lock.
    pub(crate) fn join(&self, subscriber: SharedOutbox) {
        self.mailbox.put(Command::Join(subscriber), 0);
    }

    /// Removes a subscriber.
    pub(crate) fn leave(&self, subscriber: SharedOutbox) {
        self.mailbox.put(Command::Leave(subscriber), 0);
    }

    /// Sends frames to everyone but `from`. False: the topic has enough to do,
    /// and the publisher should wait with [`poll_room`](Self::poll_room).
    pub(crate) fn publish(&self, from: SharedOutbox, frames: Bytes) -> bool {
        let bytes = frames.len();
        let run = Run::new(frames);
        self.mailbox
            .put(Command::Publish(Publication { from, run }), bytes)
    }

    /// Waits until the topic can take more.
    pub(crate) fn poll_room(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        self.mailbox.poll_room(cx)
    }

    /// Resolves when everything that was published before has been handed on.
    pub(crate) fn settle(&self) -> oneshot::Receiver<()> {
        let (done, settled) = oneshot::channel();
        self.mailbox.put(Command::Settle(done), 0);
        settled
    }

    /// Whether nothing waits for the topic's task.
    pub(crate) fn is_idle(&self) -> bool {
        self.mailbox.is_empty()
    }

    /// The topic's task: lives until the last subscriber has left.
    pub(crate) async fn run(self: Arc<Self>, registry: Arc<Registry>) {
        let mut members = Members::default();
        let mut batch = Vec::new();
        loop {
            self.mailbox.take(&mut batch).await;
            if members.has_several_publishers(&batch) {
                // Others of them may have read something too: their sessions get
                // their turn first, and every subscriber gets it all in one write.
                tokio::task::yield_now().await;
                self.mailbox.take_more(&mut batch);
            }
            members.handle(&mut batch).await;
            if members.subscribers.is_empty() && registry.remove_if_idle(&self) {
                return;
            }
            if batch.capacity() > KEPT_CAPACITY {
                batch = Vec::new();
            }
            tokio::task::consume_budget().await;
        }
    }
}

/// What the topic's task owns.
#[derive(Default)]
struct Members {
    /// Everyone who is registered.
    subscribers: Vec<SharedOutbox>,
    /// What is to be handed on before the next change of subscribers.
    pending: Vec<Publication>,
    /// Who published last, as its outbox's address. Should somebody else have got
    /// that since, nothing is lost but a turn of waiting.
    last_publisher: Option<usize>,
}

impl Members {
    /// Whether the first of these publications is from another publisher than the
    /// last one was.
    fn has_several_publishers(&mut self, batch: &[Command]) -> bool {
        let first = batch.iter().find_map(|command| match command {
            Command::Publish(publication) => {
                Some(Arc::as_ptr(&publication.from).cast::<()>().addr())
            }
            _ => None,
        });
        let last = self.last_publisher;
        self.last_publisher = first.or(last);
        first.is_some() && last.is_some() && first != last
    }

    /// Does what the commands say, in their order, and empties `batch`.
    async fn handle(&mut self, batch: &mut Vec<Command>) {
        for command in batch.drain(..) {
            match command {
                Command::Publish(publication) => self.pending.push(publication),
                other => {
                    self.deliver().await;
                    self.change(other);
                }
            }
        }
        self.deliver().await;
    }

    fn change(&mut self, command: Command) {
        match command {
            Command::Join(subscriber) => self.subscribers.push(subscriber),
            Command::Leave(subscriber) => {
                let known = |known: &SharedOutbox| known.is(&subscriber);
                if let Some(place) = self.subscribers.iter().position(known) {
                    self.subscribers.swap_remove(place);
                }
            }
            Command::Settle(done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
            Command::Publish(publication) => self.pending.push(publication),
        }
    }

    /// Hands what is pending to every subscriber, in one write if its socket
    /// takes it.
    async fn deliver(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let mut turns = self.subscribers.chunks(RECEIVERS_PER_TURN).peekable();
        while let Some(turn) = turns.next() {
            deliver_turn(turn, &self.pending);
            if turns.peek().is_some() {
                tokio::task::yield_now().await;
            }
        }
        self.pending.clear();
        self.pending.shrink_to(KEPT_CAPACITY);
    }
}

fn deliver_turn(subscribers: &[SharedOutbox], publications: &[Publication]) {
    if let [one] = publications {
        for subscriber in subscribers {
            if !subscriber.is(&one.from) {
                subscriber.send(&one.run);
            }
        }
    } else {
        for subscriber in subscribers {
            send_others(subscriber, publications);
        }
    }
}

/// Sends a subscriber all that it didn't publish itself.
fn send_others(subscriber: &SharedOutbox, publications: &[Publication]) {
    let others = publications
        .iter()
        .filter(|publication| !subscriber.is(&publication.from))
        .map(|publication| &publication.run);
    if others.clone().next().is_some() {
        subscriber.send_all(others);
    }
}
