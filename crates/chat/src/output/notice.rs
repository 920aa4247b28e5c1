//! Notices: what the program reports beside messages, one line each.
//!
//! In a pipe a thread writes them to standard error, so that a reader of standard error
//! that has stopped reading holds up neither the conversation nor an interrupt. On a
//! terminal the screen shows them among the messages. Control characters are escaped.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::item::{Call, CallLine, Item, NoticeText, Severity};
use super::plural::counted;
use super::sanitize::push_escaped;

/// Notices that wait to be written. Further ones are counted, and the count is shown:
/// this is more than anybody reads at once, and a few kilobytes at most.
const WAITING: usize = 64;

/// The handle through which all parts of the program report.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    queue: mpsc::Sender<Queued>,
    /// How many notices found the queue full since the writer last reported that.
    left_out: Arc<AtomicUsize>,
    /// Notices for information only are suppressed.
    is_quiet: bool,
}

/// What is in the queue.
#[derive(Debug)]
enum Queued {
    Notice(Notice),
    CallLine(CallLine),
    /// The end of a direct call, or of a line in it.
    Call(Call),
    /// Answered when everything before it has been written.
    Finish(oneshot::Sender<()>),
}

/// One line of text.
#[derive(Debug)]
pub(crate) struct Notice {
    /// The text, escaped.
    pub(crate) text: String,
    /// How much it matters.
    pub(crate) severity: Severity,
}

impl Notice {
    fn new(what: impl Display, severity: Severity) -> Self {
        let mut text = String::new();
        push_escaped(&mut text, &what.to_string());
        Self { text, severity }
    }

    fn write(&self) {
        // A closed standard error has no reader.
        let _ = io::stderr().write_all(format!("chat: {}\n", self.text).as_bytes());
    }
}

/// The receiving end of the queue, for a screen that shows notices among messages.
#[derive(Debug)]
pub(crate) struct NoticeReader {
    items: mpsc::Receiver<Queued>,
    left_out: Arc<AtomicUsize>,
}

impl NoticeReader {
    /// The next item; waits for it.
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        loop {
            let item = self.items.recv().await?;
            if let Some(shown) = self.accept(item) {
                return Some(shown);
            }
        }
    }

    /// The next item, if there is one already.
    pub(crate) fn try_next(&mut self) -> Option<Item> {
        loop {
            let item = self.items.try_recv().ok()?;
            if let Some(shown) = self.accept(item) {
                return Some(shown);
            }
        }
    }

    fn accept(&self, item: Queued) -> Option<Item> {
        match item {
            Queued::Notice(Notice { mut text, severity }) => {
                match self.left_out.swap(0, Ordering::Relaxed) {
                    0 => {}
                    count => {
                        let notices = counted(count as u64, "notice was", "notices were");
                        text += &format!(" (then {notices} left out)");
                    }
                }
                let about = None;
                Some(Item::Notice(NoticeText {
                    text,
                    severity,
                    about,
                }))
            }
            Queued::CallLine(line) => Some(Item::CallLine(line)),
            Queued::Call(call) => Some(Item::Call(call)),
            // The screen has everything before it, and shows it in its turn.
            Queued::Finish(done) => {
                let _ = done.send(());
                None
            }
        }
    }
}

impl Notices {
    /// Starts the writer. A quiet one writes only warnings and errors.
    pub(crate) fn start(is_quiet: bool) -> io::Result<Self> {
        let (mut notices, reader) = Self::unwritten();
        notices.is_quiet = is_quiet;
        thread::Builder::new()
            .name("notices".into())
            .spawn(move || write_all(reader))?;
        Ok(notices)
    }

    /// Notices that the other end shows.
    pub(crate) fn unwritten() -> (Self, NoticeReader) {
        let (queue, items) = mpsc::channel(WAITING);
        let left_out = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&left_out);
        let reader = NoticeReader { items, left_out };
        let left_out = counter;
        let notices = Self {
            queue,
            left_out,
            is_quiet: false,
        };
        (notices, reader)
    }

    /// Notices for information only are suppressed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Reports `what`, in one line whatever it holds. Never waits.
    pub(crate) fn say(&self, what: impl Display) {
        if !self.is_quiet {
            self.queue(Notice::new(what, Severity::Info));
        }
    }

    /// Reports that something is lost, or isn't as it should be.
    pub(crate) fn warn(&self, what: impl Display) {
        self.queue(Notice::new(what, Severity::Warning));
    }

    /// Reports what a person should look at now.
    pub(crate) fn alert(&self, what: impl Display) {
        self.queue(Notice::new(what, Severity::Alert));
    }

    /// Shows a line of a direct call. Waits while the screen is behind.
    pub(crate) async fn show(&self, line: CallLine) {
        // A screen that has ended shows nothing.
        let _ = self.queue.send(Queued::CallLine(line)).await;
    }

    /// Reports the end of a direct call, or of a line in it. Waits while the screen is behind.
    pub(crate) async fn send_call(&self, call: Call) {
        // A screen that has ended shows nothing.
        let _ = self.queue.send(Queued::Call(call)).await;
    }

    fn queue(&self, notice: Notice) {
        if self.queue.try_send(Queued::Notice(notice)).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reports `last`, which is never left out, and waits until everything is written.
    pub(crate) async fn finish(&self, last: Option<impl Display>) {
        if let Some(last) = last {
            let last = Queued::Notice(Notice::new(last, Severity::Warning));
            // A screen that showed notices among messages has ended by now.
            if let Err(mpsc::error::SendError(Queued::Notice(last))) = self.queue.send(last).await {
                last.write();
            }
        }
        let (done, written) = oneshot::channel();
        if self.queue.send(Queued::Finish(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

/// The writer's thread.
fn write_all(mut reader: NoticeReader) {
    while let Some(item) = reader.items.blocking_recv() {
        match item {
            Queued::Notice(notice) => notice.write(),
            // There are no direct calls beside a topic in a pipe.
            Queued::CallLine(_) | Queued::Call(_) => {}
            Queued::Finish(done) => {
                let _ = done.send(());
            }
        }
        match reader.left_out.swap(0, Ordering::Relaxed) {
            0 => {}
            count => {
                let notices = counted(count as u64, "notice was", "notices were");
                let _ = writeln!(io::stderr(), "chat: {notices} left out here");
            }
        }
    }
}
