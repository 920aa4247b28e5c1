//! What the program has to say, on standard error, one line each.
//!
//! An own thread writes: a reader of standard error that has stopped reading
//! must hold up neither the conversation nor an interrupt. Never carries
//! messages, and never lets a control character through.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::input::Line;
use crate::sanitize::push_escaped;

/// Notices that wait to be written; what comes on top is counted, not kept. More
/// than anybody reads at once, and a few kilobytes at most.
const WAITING: usize = 64;

/// The handle by which everything says what it has to say.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    queue: mpsc::Sender<Order>,
    /// Notices that found the queue full since the writer last said so.
    left_out: Arc<AtomicUsize>,
}

/// What is in the queue.
#[derive(Debug)]
pub(crate) enum Order {
    /// Something to say.
    Say(Notice),
    /// What was said in a direct call, and by whom; our own without a name.
    Line(Option<String>, Line),
    /// Answered when everything before it has been written.
    Finish(oneshot::Sender<()>),
}

/// Something to say, in one line.
#[derive(Debug)]
pub(crate) struct Notice {
    /// In words, escaped.
    pub(crate) text: String,
    /// Something is lost, or isn't as it should be.
    pub(crate) is_warning: bool,
    /// A person should look here.
    pub(crate) rings: bool,
}

/// What is shown among messages.
#[derive(Debug)]
pub(crate) enum Shown {
    /// A notice, and how many had no room after it.
    Notice(Notice, usize),
    /// What was said in a direct call, and by whom; our own without a name.
    Line(Option<String>, Line),
}

impl Notice {
    fn new(what: impl Display, is_warning: bool) -> Self {
        let mut text = String::new();
        push_escaped(&mut text, &what.to_string());
        Self {
            text,
            is_warning,
            rings: false,
        }
    }

    fn write(&self) {
        // Where standard error is closed there is nobody to tell.
        let _ = io::stderr().write_all(format!("chat: {}\n", self.text).as_bytes());
    }
}

/// The other end of the queue, for whoever shows notices among messages.
#[derive(Debug)]
pub(crate) struct Said {
    orders: mpsc::Receiver<Order>,
    left_out: Arc<AtomicUsize>,
}

impl Said {
    /// What was said next; waits for it.
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Shown> {
        loop {
            let order = self.orders.recv().await?;
            if let Some(notice) = self.take(order) {
                return Some(notice);
            }
        }
    }

    /// The same, if something was said already.
    pub(crate) fn try_next(&mut self) -> Option<Shown> {
        loop {
            let order = self.orders.try_recv().ok()?;
            if let Some(notice) = self.take(order) {
                return Some(notice);
            }
        }
    }

    fn take(&self, order: Order) -> Option<Shown> {
        match order {
            Order::Say(notice) => {
                let left_out = self.left_out.swap(0, Ordering::Relaxed);
                Some(Shown::Notice(notice, left_out))
            }
            Order::Line(who, line) => Some(Shown::Line(who, line)),
            // It is in the right hands, which write it in its turn.
            Order::Finish(done) => {
                let _ = done.send(());
                None
            }
        }
    }
}

impl Notices {
    /// Starts the writer.
    pub(crate) fn start() -> io::Result<Self> {
        let (notices, said) = Self::unwritten();
        thread::Builder::new()
            .name("notices".into())
            .spawn(move || write_all(said))?;
        Ok(notices)
    }

    /// Notices that somebody else shows.
    pub(crate) fn unwritten() -> (Self, Said) {
        let (queue, orders) = mpsc::channel(WAITING);
        let left_out = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&left_out);
        let said = Said { orders, left_out };
        let left_out = counter;
        (Self { queue, left_out }, said)
    }

    /// Says `what`, in one line whatever it holds. Never waits.
    pub(crate) fn say(&self, what: impl Display) {
        self.queue(Notice::new(what, false));
    }

    /// Says what is lost, or isn't as it should be.
    pub(crate) fn warn(&self, what: impl Display) {
        self.queue(Notice::new(what, true));
    }

    /// Says what a person should see at once.
    pub(crate) fn ring(&self, what: impl Display) {
        self.queue(Notice {
            rings: true,
            ..Notice::new(what, true)
        });
    }

    /// Shows what somebody has said in a direct call.
    pub(crate) async fn show(&self, who: String, line: Line) {
        // Only who has ended takes nothing.
        let _ = self.queue.send(Order::Line(Some(who), line)).await;
    }

    /// Shows what we have said there.
    pub(crate) async fn show_own(&self, line: Line) {
        let _ = self.queue.send(Order::Line(None, line)).await;
    }

    fn queue(&self, notice: Notice) {
        if self.queue.try_send(Order::Say(notice)).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says `last`, which is never left out, and waits until everything that was
    /// said is written.
    pub(crate) async fn finish(&self, last: Option<impl Display>) {
        if let Some(last) = last {
            let last = Order::Say(Notice::new(last, true));
            // Whoever showed notices among messages has ended by now.
            if let Err(mpsc::error::SendError(Order::Say(last))) = self.queue.send(last).await {
                last.write();
            }
        }
        let (done, written) = oneshot::channel();
        if self.queue.send(Order::Finish(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

/// The writer's life.
fn write_all(mut said: Said) {
    while let Some(order) = said.orders.blocking_recv() {
        match order {
            Order::Say(notice) => notice.write(),
            // There are no direct calls beside a topic in a pipe.
            Order::Line(..) => {}
            Order::Finish(done) => {
                let _ = done.send(());
            }
        }
        match said.left_out.swap(0, Ordering::Relaxed) {
            0 => {}
            count => {
                let _ = writeln!(io::stderr(), "chat: {count} notices were left out here");
            }
        }
    }
}
