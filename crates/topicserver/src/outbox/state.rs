//! The state of an outbox, under its lock.

use std::io::{self, IoSlice};
use std::task::Waker;

use bytes::Bytes;
use wire::ErrorCode;

use crate::outbox::form::Form;
use crate::outbox::individual::Individual;
use crate::outbox::queue::Queue;
use crate::outbox::transport::Transport;

/// Pieces of the queue that go out in one system call. Linux takes 1,024; with
/// this many the call's own cost has become small against the copying.
pub(super) const PIECES_PER_WRITE: usize = 64;

/// The queue, and what is known of the peer and its session.
#[derive(Default)]
pub(super) struct State {
    /// The queue; `None` while it is empty, which it nearly always is.
    pub(super) queue: Option<Box<Queue>>,
    pub(super) stage: Stage,
    /// Bytes of replies that are still being made.
    pub(super) expected: u32,
    /// The form in which the peer gets lines.
    pub(super) form: Form,
    /// Individual settings of a stream; `None` if it gets the same bytes as others, as nearly all
    /// do.
    pub(super) individual: Option<Box<Individual>>,
    /// The peer has registered in the classic form.
    pub(super) is_classic: bool,
    /// The peer understands frames of the extended protocol.
    pub(super) is_extended: bool,
    /// Bytes were sent since the last call of `take_sent`.
    pub(super) has_sent: bool,
    /// A topic had more for the peer than there was room for.
    pub(super) is_wanted: bool,
    /// The permissions of the connection have to be checked again.
    pub(super) is_stale: bool,
    /// Wakes the session, when it waits for a change.
    pub(super) session: Option<Waker>,
}

/// The life of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Open: everything is sent.
    #[default]
    Open,
    /// Closing: what is queued is still sent, and nothing more is taken.
    Closing(Option<ErrorCode>),
    /// The connection is lost.
    Broken(io::ErrorKind),
}

impl State {
    /// Bytes that are queued.
    pub(super) fn queued(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes())
    }

    /// Bytes that are queued or expected.
    pub(super) fn promised(&self) -> usize {
        self.queued() + self.expected as usize
    }

    pub(super) fn wait(&mut self, session: &Waker) {
        match &mut self.session {
            Some(known) => known.clone_from(session),
            none => *none = Some(session.clone()),
        }
    }

    /// Writes the front of the queue, once.
    pub(super) fn write_to<T: Transport + ?Sized>(&mut self, transport: &T) -> io::Result<()> {
        let Some(queue) = &mut self.queue else {
            return Ok(());
        };
        if queue.unsent() > 0 {
            transport.flush()?;
        } else {
            let written = write_pieces(transport, queue.iter())?;
            queue.remove(written);
        }
        queue.set_unsent(transport.unsent());
        self.has_sent = true;
        if queue.bytes() == 0 {
            self.queue = None;
        }
        Ok(())
    }
}

/// Writes the first [`PIECES_PER_WRITE`] pieces in one system call.
pub(super) fn write_pieces<'a, T: Transport + ?Sized>(
    transport: &T,
    bytes: impl Iterator<Item = &'a Bytes>,
) -> io::Result<usize> {
    let mut pieces = [IoSlice::new(&[]); PIECES_PER_WRITE];
    let mut count = 0;
    for (piece, bytes) in pieces.iter_mut().zip(bytes) {
        *piece = IoSlice::new(bytes);
        count += 1;
    }
    match &pieces[..count] {
        [] => Ok(0),
        [one] => transport.try_write(one),
        several => transport.try_write_vectored(several),
    }
}
