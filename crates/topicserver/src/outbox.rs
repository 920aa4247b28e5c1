//! A connection's outbound queue, bounded in bytes.
//!
//! The write is made where the message is: whoever has bytes for this peer
//! writes them to its socket, and queues only what the socket doesn't take. The
//! connection's own session then waits for the socket and drains the queue.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use wire::{ErrorCode, Event, Message, Told};

use crate::outbox::batch::Batch;
use crate::outbox::limits::OutboxLimits;
use crate::outbox::queue::Queue;
use crate::outbox::transport::Transport;

pub(crate) mod batch;
pub(crate) mod limits;
mod queue;
pub(crate) mod reply;
mod state;
pub(crate) mod transport;

use state::{PIECES_PER_WRITE, Stage, State, write_pieces};

/// An outbox as topics and sessions share it.
pub(crate) type SharedOutbox = Arc<Outbox<dyn Transport>>;

/// Bytes that may wait before a peer is no longer told of its small errors: who
/// doesn't read what was wrong shall not be disconnected for our telling it.
const ROOM_FOR_NOTICES: usize = 16 * 1024;

/// What waits for one peer, and the way to it.
///
/// The contract of everything that sends here:
/// 1. it never waits for the peer;
/// 2. what is sent is written in the order of the calls, each piece whole;
/// 3. when it returns, the bytes are written, or queued, or the connection is
///    about to be closed and its peer is told why.
pub(crate) struct Outbox<T: ?Sized> {
    /// Who gets it. As its parts, because a `SocketAddr` takes half as much again.
    ip: IpAddr,
    port: u16,
    /// Whether there is something for the session to do or to learn under the lock.
    has_work: AtomicBool,
    /// Bytes that may wait.
    limits: Arc<OutboxLimits>,
    state: Mutex<State>,
    transport: T,
}

/// How far a session's draining has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drain {
    /// Nothing waits.
    Empty,
    /// The socket is full.
    Waiting {
        /// Some bytes went out before it was.
        progress: bool,
    },
    /// The connection is gone.
    Broken(io::ErrorKind),
}

impl<T: Transport> Outbox<T> {
    /// An outbox before `transport`, for `peer`, in which so much may wait.
    pub(crate) fn new(transport: T, peer: SocketAddr, limits: Arc<OutboxLimits>) -> Self {
        Self {
            ip: peer.ip().to_canonical(),
            port: peer.port(),
            // The session's waker isn't here yet.
            has_work: AtomicBool::new(true),
            limits,
            state: Mutex::default(),
            transport,
        }
    }
}

impl<T: Transport + ?Sized> Outbox<T> {
    /// The peer's address, IPv4 as IPv4.
    pub(crate) fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
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
        let mut written = 0;
        if state.queue.is_none() {
            match self.transport.try_write(batch.bytes()) {
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.break_off(&mut state, &error),
            }
        }
        if written < batch.bytes().len() {
            self.queue(&mut state, batch, written);
        }
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

    /// Sends as many of several batches as there is room for, whole ones, and tells
    /// their number. If that isn't all, [`take_drained`](Self::take_drained) says so
    /// to the session when there is room again.
    ///
    /// The first batch that waits always may. To a connection that is about to be
    /// closed, everything is as good as sent.
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
        let mut written = 0;
        if state.queue.is_none() {
            let pieces = batches.clone().map(Batch::bytes);
            match write_pieces(&self.transport, pieces) {
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.break_off(state, &error);
                    return batches.count();
                }
            }
        }
        for (index, batch) in batches.clone().enumerate() {
            let skipped = written.min(batch.bytes().len());
            written -= skipped;
            let waiting = batch.bytes().len() - skipped;
            if waiting == 0 {
                continue;
            }
            if state.queue.is_some() && state.queued() + waiting > self.limits.allowed() {
                state.is_wanted = true;
                return index;
            }
            self.push(state, batch.to_keep().slice(skipped..));
        }
        batches.count()
    }

    /// Whether somebody has more for the peer and half of the outbox is free now.
    /// Said once; whoever finds it full again has to be told again.
    pub(crate) fn take_drained(&self) -> bool {
        let mut state = self.state.lock();
        let is_due = state.is_wanted && state.queued() <= self.limits.per_connection / 2;
        if is_due {
            state.is_wanted = false;
        }
        is_due
    }

    /// Sends a line that the peer has asked for, whatever waits already. What a peer
    /// can ask for is bounded by not reading from it while
    /// [`is_full`](Self::is_full).
    pub(crate) fn send_reply(&self, line: impl Into<Bytes>) {
        let mut state = self.state.lock();
        self.send_line(&mut state, line.into());
    }

    /// Sends a line that a peer can do without, unless much waits for it: false then.
    pub(crate) fn send_best_effort(&self, line: &Bytes) -> bool {
        let mut state = self.state.lock();
        let has_room = state.queued() < ROOM_FOR_NOTICES;
        if has_room {
            self.send_line(&mut state, line.clone());
        }
        has_room
    }

    fn send_line(&self, state: &mut State, mut line: Bytes) {
        if state.stage != Stage::Open {
            return;
        }
        if state.queue.is_none() {
            match self.transport.try_write(&line) {
                Ok(count) => line.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.break_off(state, &error),
            }
        }
        if !line.is_empty() {
            self.push(state, line);
        }
    }

    /// Whether as much waits as may, with the answers that are expected.
    pub(crate) fn is_full(&self) -> bool {
        self.has_work() && self.state.lock().promised() >= self.limits.allowed().max(1)
    }

    /// Whether something waits or is expected, or has happened here, since
    /// [`poll_drain`](Self::poll_drain) last said that nothing did. Until then the
    /// session need not look: it is woken first.
    ///
    /// A session that took the lock to find nothing would wait there for whoever is
    /// writing to its peer, who answers meanwhile.
    pub(crate) fn has_work(&self) -> bool {
        self.has_work.load(Ordering::Acquire)
    }

    fn push(&self, state: &mut State, bytes: Bytes) {
        let new = || Box::new(Queue::new(self.limits.clone()));
        state.queue.get_or_insert_with(new).push(bytes);
        self.wake(state);
    }

    fn break_off(&self, state: &mut State, error: &io::Error) {
        state.queue = None;
        state.stage = Stage::Broken(error.kind());
        self.wake(state);
    }

    /// Lets the session look here again.
    fn wake(&self, state: &mut State) {
        self.has_work.store(true, Ordering::Release);
        if let Some(session) = state.session.take() {
            session.wake();
        }
    }

    /// From now on the peer understands frames of the extended protocol.
    pub(crate) fn set_extended(&self) {
        self.state.lock().is_extended = true;
    }

    /// Sends as many batches as go out in one system call.
    fn send_some<'a>(&self, state: &mut State, batches: impl Iterator<Item = &'a Batch> + Clone) {
        let mut written = 0;
        if state.queue.is_none() {
            let pieces = batches.clone().map(Batch::bytes);
            match write_pieces(&self.transport, pieces) {
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.break_off(state, &error),
            }
        }
        for batch in batches {
            let skipped = written.min(batch.bytes().len());
            written -= skipped;
            if skipped < batch.bytes().len() {
                self.queue(state, batch, skipped);
            }
        }
    }

    /// Queues a batch without its first `written` bytes, which are out already.
    ///
    /// The limit is for what piles up: the first batch that waits always may, or a
    /// batch longer than the limit could never be sent to anybody.
    fn queue(&self, state: &mut State, batch: &Batch, written: usize) {
        if state.stage != Stage::Open {
            return;
        }
        let waiting = batch.bytes().len() - written;
        if state.queue.is_some() && state.queued() + waiting > self.limits.allowed() {
            return self.close_too_slow(state, waiting);
        }
        self.push(state, batch.to_keep().slice(written..));
    }

    /// Tells the peer what was wrong with something it sent, and goes on. Of a
    /// message with an id it is told that it was this one, whatever waits already.
    pub(crate) fn send_error(&self, code: ErrorCode, text: &str, id: Option<&str>) {
        let mut state = self.state.lock();
        let has_room = state.queued() < ROOM_FOR_NOTICES || id.is_some();
        if state.stage == Stage::Open && has_room {
            let line = match id {
                Some(id) => extended_error(code, text, Some(id)),
                None => self.error_line(&state, code, text),
            };
            self.push(&mut state, line);
        }
    }

    /// Tells the peer why, after everything that waits for it, and takes no more.
    pub(crate) fn close(&self, code: ErrorCode, text: &str) {
        let mut state = self.state.lock();
        if state.stage == Stage::Open {
            self.close_locked(&mut state, code, text);
        }
    }

    fn close_locked(&self, state: &mut State, code: ErrorCode, text: &str) {
        let line = self.error_line(state, code, text);
        self.push(state, line);
        state.stage = Stage::Closing(Some(code));
    }

    /// Takes no more; what waits still goes out.
    pub(crate) fn finish(&self) {
        let mut state = self.state.lock();
        if state.stage == Stage::Open {
            state.stage = Stage::Closing(None);
            self.wake(&mut state);
        }
    }

    /// Whether nothing more is taken, and why.
    pub(crate) fn closing(&self) -> Option<Option<ErrorCode>> {
        match self.state.lock().stage {
            Stage::Closing(reason) => Some(reason),
            Stage::Open | Stage::Broken(_) => None,
        }
    }

    /// Resolves when nothing more is taken, for the one who waits for nothing else here.
    pub(crate) async fn closed(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock();
            if state.stage != Stage::Open {
                return Poll::Ready(());
            }
            state.wait(cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// Whether something waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.state.lock().queue.is_some()
    }

    /// Writes what waits, for the session, which is woken when there is more.
    pub(crate) fn poll_drain(&self, cx: &mut Context<'_>) -> Drain {
        let mut state = self.state.lock();
        let mut progress = false;
        loop {
            if let Stage::Broken(kind) = state.stage {
                return Drain::Broken(kind);
            }
            if state.queue.is_none() {
                state.wait(cx.waker());
                self.has_work.store(state.expected > 0, Ordering::Release);
                return Drain::Empty;
            }
            match state.write_to(&self.transport) {
                Ok(()) => progress = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match self.transport.poll_writable(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(error)) => self.break_off(&mut state, &error),
                        Poll::Pending => {
                            state.wait(cx.waker());
                            return Drain::Waiting { progress };
                        }
                    }
                }
                Err(error) => self.break_off(&mut state, &error),
            }
        }
    }

    /// Tells the peer that nothing more comes.
    pub(crate) fn finish_transport(&self) {
        self.transport.finish();
    }

    /// An error in the form that the peer understands: a classic client prints it.
    fn error_line(&self, state: &State, code: ErrorCode, text: &str) -> Bytes {
        if state.is_extended {
            return extended_error(code, text, None);
        }
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let message = Message {
            // Of a connection that is gone it can't be had; nobody will read it.
            source: self.transport.local_addr().unwrap_or(nowhere).into(),
            destination: self.peer().into(),
            topic: ErrorCode::TOPIC,
            text: &format!("{code}: {text}"),
        };
        message.to_line().into()
    }
}

fn extended_error(code: ErrorCode, text: &str, id: Option<&str>) -> Bytes {
    let told = Told {
        code: code.as_str().into(),
        text: text.into(),
        id: id.map(Into::into),
    };
    Event::Error(told).to_line().into()
}

#[cfg(test)]
pub(crate) mod tests;
