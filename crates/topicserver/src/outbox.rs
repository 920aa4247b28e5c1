//! A connection's outbound queue, bounded in bytes.
//!
//! The sender writes: a task that has bytes for this peer writes them to its socket
//! directly, and queues only what the socket does not take. The session of the connection
//! then waits for the socket and drains the queue. A classic peer whose queue exceeds the
//! limit is disconnected as a slow reader.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;

use crate::outbox::batch::Batch;
use crate::outbox::form::Form;
use crate::outbox::individual::Individual;
use crate::outbox::transport::Transport;
use crate::queues::QueueLimits;

pub(crate) mod batch;
mod drain;
mod end;
mod events;
pub(crate) mod form;
pub(crate) mod individual;
mod peer;
pub(crate) mod positions;
mod queue;
pub(crate) mod reply;
mod slow_reader;
mod state;
mod stream;
mod texts;
pub(crate) mod transport;

pub(crate) use drain::Drain;
use peer::PeerAddress;
use state::{PIECES_PER_WRITE, Stage, State, write_pieces};

/// An outbox as topics and sessions share it.
pub(crate) type SharedOutbox = Arc<Outbox<dyn Transport>>;

/// Bytes queued beyond which a peer is no longer told of small errors. A peer that does
/// not read its errors must not be disconnected because of them.
const ROOM_FOR_NOTICES: usize = 16 * 1024;

/// The bytes queued for one peer, and its transport.
///
/// The contract of everything that sends here:
/// 1. it never waits for the peer;
/// 2. what is sent is written in the order of the calls, each piece whole;
/// 3. when it returns, the bytes are written, or queued, or the connection is
///    about to be closed and its peer is told why.
pub(crate) struct Outbox<T: ?Sized> {
    peer: PeerAddress,
    /// Whether there is something for the session to do or to learn under the lock.
    has_work: AtomicBool,
    /// The limits of the queue.
    limits: Arc<QueueLimits>,
    state: Mutex<State>,
    transport: T,
}

impl<T: Transport> Outbox<T> {
    /// An outbox that writes to `transport`, for `peer`, with these limits.
    pub(crate) fn new(transport: T, peer: SocketAddr, limits: Arc<QueueLimits>) -> Self {
        Self {
            peer: PeerAddress::new(peer),
            // The session's waker isn't here yet.
            has_work: AtomicBool::new(true),
            limits,
            state: Mutex::default(),
            transport,
        }
    }
}

impl<T: Transport + ?Sized> Outbox<T> {
    /// The peer's address. An IPv4-mapped address is given as IPv4.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer.get()
    }

    /// Replaces a proxy's address by that of the client that it forwards. Must be called before
    /// anything has used the old one.
    pub(crate) fn set_peer(&self, client: SocketAddr) {
        self.peer.set(client);
    }

    /// Whether this is the outbox of the same connection.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::addr_eq(self, other)
    }

    /// Sends a batch of whole frames.
    pub(crate) fn send(&self, batch: &Batch) {
        let mut state = self.state.lock();
        if state.stage != Stage::Open {
            return;
        }
        let bytes = batch.in_form(state.form);
        let mut written = 0;
        if state.queue.is_none() {
            match self.transport.try_write(bytes) {
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.break_off(&mut state, &error),
            }
            state.has_sent |= written > 0;
        }
        if written < bytes.len() {
            self.queue(&mut state, batch, written);
        }
        self.count_unsent(&mut state);
    }

    /// Sends several batches, as one if the socket takes them.
    pub(crate) fn send_all<'a>(&self, mut batches: impl Iterator<Item = &'a Batch> + Clone) {
        let mut state = self.state.lock();
        while state.stage == Stage::Open && batches.clone().next().is_some() {
            let some = batches.clone().take(PIECES_PER_WRITE);
            self.send_some(&mut state, some);
            batches.nth(PIECES_PER_WRITE - 1);
        }
    }

    /// Sends as many whole batches as there is room for, and returns their number. If some are
    /// left, [`take_drained`](Self::take_drained) tells the session when there is room again.
    ///
    /// The first batch always fits into an empty queue. For a connection that is closing, all
    /// batches count as sent.
    pub(crate) fn try_send_batch<'a>(
        &self,
        mut batches: impl Iterator<Item = &'a Batch> + Clone,
    ) -> usize {
        let mut state = self.state.lock();
        let mut accepted = 0;
        loop {
            let some = batches.clone().take(PIECES_PER_WRITE);
            let count = some.clone().count();
            let taken = self.offer_some(&mut state, some);
            accepted += taken;
            if count < PIECES_PER_WRITE || taken < count {
                return accepted;
            }
            batches.nth(PIECES_PER_WRITE - 1);
        }
    }

    fn offer_some<'a>(
        &self,
        state: &mut State,
        batches: impl Iterator<Item = &'a Batch> + Clone,
    ) -> usize {
        if state.stage != Stage::Open {
            return batches.count();
        }
        if let Some(mut individual) = state.individual.take() {
            let accepted = self.try_send_individual(state, &mut individual, batches);
            state.individual = Some(individual);
            return accepted;
        }
        let form = state.form;
        let mut written = 0;
        if state.queue.is_none() {
            let pieces = batches.clone().map(|batch| batch.in_form(form));
            match write_pieces(&self.transport, pieces) {
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.break_off(state, &error);
                    return batches.count();
                }
            }
            state.has_sent |= written > 0;
        }
        for (index, batch) in batches.clone().enumerate() {
            let length = batch.in_form(form).len();
            let skipped = written.min(length);
            written -= skipped;
            let waiting = length - skipped;
            if waiting == 0 {
                continue;
            }
            if state.queue.is_some() && state.queued() + waiting > self.limits.allowed_outbox() {
                state.is_wanted = true;
                self.count_unsent(state);
                return index;
            }
            self.push(state, batch.to_keep(form).slice(skipped..));
        }
        self.count_unsent(state);
        batches.count()
    }

    /// A topic has more for the peer, and half of the outbox is free now. Returns true only
    /// once; a topic that finds the outbox full again sets it again.
    pub(crate) fn take_drained(&self) -> bool {
        let mut state = self.state.lock();
        let is_due = state.is_wanted && state.queued() <= self.limits.per_connection() / 2;
        if is_due {
            state.is_wanted = false;
        }
        is_due
    }

    /// Sends a reply, however much is queued. Replies are bounded, because no request is read
    /// while the outbox [`is_full`](Self::is_full).
    pub(crate) fn send_reply(&self, line: Vec<u8>) {
        self.send_identified(line, None);
    }

    /// Sends a reply that states the peer's position. An event stream gets the position as the
    /// event's id.
    pub(crate) fn send_identified(&self, line: Vec<u8>, id: Option<&str>) {
        let mut state = self.state.lock();
        let line = state.form.encode_one(line, id);
        self.send_line(&mut state, line);
    }

    /// Sends a notice that must not be missing, however much is queued.
    pub(crate) fn send_notice(&self, notice: &Batch) {
        let mut state = self.state.lock();
        let bytes = notice.in_form(state.form).clone();
        self.send_line(&mut state, bytes);
    }

    /// Sends a notice that the peer can do without, unless much is queued. Returns whether it was
    /// sent.
    pub(crate) fn send_best_effort(&self, notice: &Batch) -> bool {
        let mut state = self.state.lock();
        let has_room = state.queued() < ROOM_FOR_NOTICES;
        if has_room {
            let bytes = notice.in_form(state.form).clone();
            self.send_line(&mut state, bytes);
        }
        has_room
    }

    /// Sends bytes of the peer's form that aren't lines, unless much is queued.
    pub(crate) fn send_control(&self, bytes: Vec<u8>) {
        let mut state = self.state.lock();
        if state.queued() < ROOM_FOR_NOTICES {
            self.send_line(&mut state, bytes.into());
        }
    }

    /// Begins an HTTP answer with these bytes. Everything after them is sent in this form, with
    /// the stream's individual settings. Returns whether the connection is still open.
    pub(crate) fn begin(&self, form: Form, individual: Individual, head: Vec<u8>) -> bool {
        let mut state = self.state.lock();
        self.send_line(&mut state, head.into());
        state.form = form;
        state.individual = individual.is_needed().then(|| Box::new(individual));
        state.stage == Stage::Open
    }

    /// Sends a sign of life, if nothing was sent since this, or [`take_sent`](Self::take_sent),
    /// was last called.
    pub(crate) fn keep_alive(&self) {
        let mut state = self.state.lock();
        let bytes = state.form.keep_alive();
        if !state.has_sent && state.queue.is_none() && !bytes.is_empty() {
            self.send_line(&mut state, bytes);
        }
        state.has_sent = false;
    }

    /// Whether bytes were sent since the last call.
    pub(crate) fn take_sent(&self) -> bool {
        std::mem::take(&mut self.state.lock().has_sent)
    }

    fn send_line(&self, state: &mut State, mut line: Bytes) {
        if state.stage != Stage::Open {
            return;
        }
        if state.queue.is_none() {
            match self.transport.try_write(&line) {
                Ok(count) => {
                    line.advance(count);
                    state.has_sent = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.break_off(state, &error),
            }
        }
        if !line.is_empty() {
            self.push(state, line);
        }
        self.count_unsent(state);
    }

    /// Whether the outbox is full, counting the replies that are still being made.
    pub(crate) fn is_full(&self) -> bool {
        self.has_work() && self.state.lock().promised() >= self.limits.allowed_outbox().max(1)
    }

    /// Whether an answer of so many bytes fits into the outbox. One that is larger than an outbox
    /// may be fits as soon as nothing else is queued or expected.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        if !self.has_work() {
            return true;
        }
        let promised = self.state.lock().promised();
        promised == 0 || promised + bytes <= self.limits.allowed_outbox()
    }

    /// Whether bytes are queued or expected, or the state has changed, since
    /// [`poll_drain`](Self::poll_drain) last found nothing. If not, the session needn't look: it
    /// is woken first.
    ///
    /// Without this check a session would take the lock to find nothing, and wait there for
    /// the task that is writing to its peer.
    pub(crate) fn has_work(&self) -> bool {
        self.has_work.load(Ordering::Acquire)
    }

    fn push(&self, state: &mut State, bytes: Bytes) {
        self.queue_of(state).push(bytes);
        self.wake(state);
    }

    fn break_off(&self, state: &mut State, error: &io::Error) {
        state.queue = None;
        state.stage = Stage::Broken(error.kind());
        self.wake(state);
    }

    /// Wakes the session.
    fn wake(&self, state: &mut State) {
        self.has_work.store(true, Ordering::Release);
        if let Some(session) = state.session.take() {
            session.wake();
        }
    }

    /// Has the session check again what its connection may do.
    pub(crate) fn set_stale(&self) {
        let mut state = self.state.lock();
        state.is_stale = true;
        self.wake(&mut state);
    }

    /// Whether the permissions have to be checked again. Returns true only once.
    pub(crate) fn take_stale(&self) -> bool {
        std::mem::take(&mut self.state.lock().is_stale)
    }

    /// The peer has registered in the classic form, so it reads lines.
    pub(crate) fn set_classic(&self) {
        self.state.lock().is_classic = true;
    }

    /// From now on the peer understands frames of the extended protocol.
    pub(crate) fn set_extended(&self) {
        self.state.lock().is_extended = true;
    }

    /// Sends as many batches as go out in one system call.
    fn send_some<'a>(&self, state: &mut State, batches: impl Iterator<Item = &'a Batch> + Clone) {
        let form = state.form;
        let mut written = 0;
        if state.queue.is_none() {
            let pieces = batches.clone().map(|batch| batch.in_form(form));
            match write_pieces(&self.transport, pieces) {
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.break_off(state, &error),
            }
            state.has_sent |= written > 0;
        }
        for batch in batches {
            let length = batch.in_form(form).len();
            let skipped = written.min(length);
            written -= skipped;
            if skipped < length {
                self.queue(state, batch, skipped);
            }
        }
        self.count_unsent(state);
    }

    /// Queues a batch without its first `written` bytes, which were written already.
    ///
    /// The limit bounds what accumulates. The first batch in an empty queue always fits, or a
    /// batch longer than the limit could never be sent.
    fn queue(&self, state: &mut State, batch: &Batch, written: usize) {
        if state.stage != Stage::Open {
            return;
        }
        let waiting = batch.in_form(state.form).len() - written;
        if state.queue.is_some() && state.queued() + waiting > self.limits.allowed_outbox() {
            return self.close_too_slow(state, waiting);
        }
        let kept = batch.to_keep(state.form).slice(written..);
        self.push(state, kept);
    }

    /// Whether bytes are queued.
    pub(crate) fn is_waiting(&self) -> bool {
        self.state.lock().queue.is_some()
    }
}

#[cfg(test)]
pub(crate) mod tests;
