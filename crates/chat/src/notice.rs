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

#[derive(Debug)]
enum Order {
    Write(String),
    /// Answered when everything before it has been written.
    Finish(oneshot::Sender<()>),
}

impl Order {
    fn write(what: impl Display) -> Self {
        let mut line = String::from("chat: ");
        push_escaped(&mut line, &what.to_string());
        line.push('\n');
        Self::Write(line)
    }
}

impl Notices {
    /// Starts the writer.
    pub(crate) fn start() -> io::Result<Self> {
        let (queue, orders) = mpsc::channel(WAITING);
        let left_out = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&left_out);
        thread::Builder::new()
            .name("notices".into())
            .spawn(move || write_all(orders, &counter))?;
        Ok(Self { queue, left_out })
    }

    /// Says `what`, in one line whatever it holds. Never waits.
    pub(crate) fn say(&self, what: impl Display) {
        if self.queue.try_send(Order::write(what)).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says `last`, which is never left out, and waits until everything that was
    /// said is written.
    pub(crate) async fn finish(&self, last: Option<impl Display>) {
        if let Some(last) = last {
            // Only a writer that is gone takes nothing.
            let _ = self.queue.send(Order::write(last)).await;
        }
        let (done, written) = oneshot::channel();
        if self.queue.send(Order::Finish(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

/// The writer's life. Where standard error is closed there is nobody to tell.
fn write_all(mut orders: mpsc::Receiver<Order>, left_out: &AtomicUsize) {
    while let Some(order) = orders.blocking_recv() {
        match order {
            Order::Write(line) => {
                let _ = io::stderr().write_all(line.as_bytes());
            }
            Order::Finish(done) => {
                let _ = done.send(());
            }
        }
        match left_out.swap(0, Ordering::Relaxed) {
            0 => {}
            count => {
                let _ = writeln!(io::stderr(), "chat: {count} notices were left out here");
            }
        }
    }
}
