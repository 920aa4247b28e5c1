//! Items on their way to a person's screen.
//!
//! Holds the items that wait for the screen's thread, bounded in bytes, and adds notices in their
//! order. Doesn't decide how they look.

use std::io;

use tokio::sync::{mpsc, oneshot};

use super::item::Item;
use super::messages::{Closed, ROOM};
use super::notice::NoticeReader;

/// See the module.
#[derive(Debug)]
pub(crate) struct PersonScreen {
    /// What the screen's thread hasn't got yet.
    waiting: Vec<Item>,
    /// What that costs, in bytes.
    cost: usize,
    notices: NoticeReader,
    to_screen: mpsc::Sender<Vec<Item>>,
    /// From the screen's thread: how it ended.
    outcome: oneshot::Receiver<io::Result<()>>,
}

/// The screen's end: the items, and the channel for how the screen has ended.
pub(crate) type Shower = (mpsc::Receiver<Vec<Item>>, oneshot::Sender<io::Result<()>>);

impl PersonScreen {
    pub(super) fn new(notices: NoticeReader) -> (Self, Shower) {
        // One piece on its way and one waiting: more would only be more memory.
        let (to_screen, items) = mpsc::channel(1);
        let (sender, outcome) = oneshot::channel();
        let screen = Self {
            waiting: Vec::new(),
            cost: 0,
            notices,
            to_screen,
            outcome,
        };
        (screen, (items, sender))
    }

    /// Shows that something has happened, after earlier notices.
    pub(super) fn push(&mut self, item: Item) {
        self.take_notices();
        self.add(item);
    }

    fn add(&mut self, item: Item) {
        self.cost += item.cost();
        self.waiting.push(item);
    }

    fn take_notices(&mut self) {
        while let Some(item) = self.notices.try_next() {
            self.add(item);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.cost < ROOM
    }

    pub(super) async fn hand_over(&mut self) -> Result<(), Closed> {
        self.take_notices();
        while self.waiting.is_empty() {
            tokio::select! {
                () = self.to_screen.closed() => return Err(Closed),
                Some(item) = self.notices.next() => self.add(item),
            }
        }
        let place = self.to_screen.reserve().await.map_err(|_| Closed)?;
        place.send(std::mem::take(&mut self.waiting));
        self.cost = 0;
        Ok(())
    }

    pub(super) async fn finish(mut self) -> io::Result<()> {
        self.take_notices();
        if !self.waiting.is_empty() {
            // If it is closed, the outcome says why.
            let _ = self.hand_over().await;
        }
        drop(self.to_screen);
        match self.outcome.await {
            // A terminal that is gone has a signal of its own.
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Ok(result) => result,
            Err(_) => Err(io::Error::other("the screen has failed")),
        }
    }
}
