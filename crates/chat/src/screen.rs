//! What was received, on its way to standard output.
//!
//! Owns the lines that wait for the writer, bounded in bytes: when the reader of
//! standard output stops, the conversation stops reading the peer, and nothing
//! else. Never writes itself; whoever displays holds the other end.

use std::io;

use tokio::sync::{mpsc, oneshot};

use crate::sanitize::push_escaped;

/// Bytes of lines that may wait before the peer is read no further.
const ROOM: usize = 64 * 1024;

/// The way to standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Lines that the writer hasn't got yet.
    waiting: String,
    /// To the writer, which closes it when nothing more can be written.
    to_writer: mpsc::Sender<String>,
    /// From the writer: how it ended.
    outcome: oneshot::Receiver<io::Result<()>>,
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Whole lines, any number at a time.
    pub(crate) lines: mpsc::Receiver<String>,
    /// Takes how the writing ended.
    pub(crate) outcome: oneshot::Sender<io::Result<()>>,
}

/// Nothing more can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Screen {
    /// A screen, and the end that its writer works on.
    pub(crate) fn new() -> (Self, Writer) {
        // One piece on its way and one waiting: more would only be more memory.
        let (to_writer, lines) = mpsc::channel(1);
        let (sender, outcome) = oneshot::channel();
        let screen = Self {
            waiting: String::new(),
            to_writer,
            outcome,
        };
        let writer = Writer {
            lines,
            outcome: sender,
        };
        (screen, writer)
    }

    /// Shows one message, in one line.
    pub(crate) fn show(&mut self, topic: &str, text: &str) {
        push_escaped(&mut self.waiting, topic);
        self.waiting.push(':');
        push_escaped(&mut self.waiting, text);
        self.waiting.push('\n');
    }

    /// More may be shown without waiting.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < ROOM
    }

    /// Hands what waits to the writer as soon as that can take it; with nothing
    /// waiting, returns only when nothing more can be written.
    ///
    /// Cancel safe: what wasn't handed over still waits.
    pub(crate) async fn hand_over(&mut self) -> Result<(), Closed> {
        if self.waiting.is_empty() {
            self.to_writer.closed().await;
            return Err(Closed);
        }
        let place = self.to_writer.reserve().await.map_err(|_| Closed)?;
        place.send(std::mem::take(&mut self.waiting));
        Ok(())
    }

    /// Waits until everything is written. A reader that has gone away is no
    /// error: it has seen what it wanted.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            // If it is closed, the outcome says why.
            let _ = self.hand_over().await;
        }
        drop(self.to_writer);
        match self.outcome.await {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}
