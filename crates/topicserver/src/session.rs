//! One connection's life: it reads frames, publishes and registers, drains its
//! outbox when the socket was full, and keeps the deadlines.
//!
//! It waits in one place, [`Session::poll_live`], and everything else in it is
//! plain code; so a session is small, and an idle one is nothing but this struct.

mod close;
mod discard;
mod handler;
mod input;
pub(crate) mod protocol;
mod ranges;
mod secure;
pub(crate) mod source;
pub(crate) mod subscriptions;

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::Sleep;
use wire::{ErrorCode, RegistrationOptions, TopicName};

use crate::access::{ConnectionPermit, Principal};
use crate::config::Config;
use crate::outbox::{Drain, SharedOutbox};
use crate::session::discard::DiscardSink;
use crate::session::handler::Handler;
use crate::session::input::{First, FrameSink, Input, InputError, Read};
use crate::session::protocol::{Allowed, Protocol};
use crate::session::source::Source;
use crate::state::{ConnectionGuard, Handover};
use crate::tls::reader::Reader;

/// A deadline that is only there while it matters.
type Deadline = Option<Pin<Box<Sleep>>>;

/// A connection from its first byte to its last.
pub(crate) struct Session<R> {
    reader: R,
    input: Input,
    handler: Handler,
    /// Until when the first registration, or the rest of a frame, must come.
    read_deadline: Deadline,
    /// Until when the peer must take something of what waits for it.
    write_deadline: Deadline,
}

/// What a connection begins with.
enum Begin {
    /// Frames.
    Json,
    /// An HTTP request. Its first bytes are in the input.
    Http,
    /// A TLS handshake. Its first bytes are in the input.
    Tls,
    /// The connection ends without having sent anything that is served.
    End(End),
}

/// Why a session ends.
#[derive(Debug)]
enum End {
    /// The source has ended; [`Source::end`] says why.
    Source,
    /// The outbox is closed. The peer has been told why.
    Closed,
    /// The peer has read nothing for `--write-timeout`.
    Stalled,
    /// The peer's stream is broken, or there is no room for its frames.
    Input(InputError),
    /// The peer has said in a frame that it sends no more.
    Finished,
    /// The peer wants to speak TLS, and the server doesn't.
    Tls,
    /// The peer's address isn't served: there are no accounts, and it is outside the server's
    /// network.
    Stranger,
    /// The peer doesn't speak TLS, and the server speaks nothing else.
    Plain,
    /// The peer sent a PROXY header, and isn't a trusted proxy.
    Proxy,
    /// A deadline for reading has passed.
    Late(ErrorCode),
    /// The connection is lost.
    Broken(io::ErrorKind),
}

impl<R: Source> Session<R> {
    pub(crate) fn new(reader: R, outbox: SharedOutbox, guard: ConnectionGuard) -> Self {
        guard.set_outbox(&outbox);
        Self {
            reader,
            input: Input::default(),
            read_deadline: deadline(guard.config().registration_timeout),
            write_deadline: None,
            handler: Handler::new(guard, outbox),
        }
    }

    /// The connection begins with these bytes, which were read already.
    pub(crate) fn begin_with(&mut self, bytes: &BytesMut) {
        let limits = self.config().frame_limits;
        let queues = self.handler.state().queue_limits();
        self.input.begin_with(bytes, limits, queues);
    }

    /// Makes this a connection that only listens, to these topics.
    pub(crate) fn listening(
        mut self,
        topics: Vec<TopicName>,
        options: RegistrationOptions,
    ) -> Self {
        self.handler.register(topics, Some(Box::new(options)));
        self.handler.set_listener();
        self.read_deadline = None;
        self
    }

    /// Sets the principal that has opened the connection, as proven by the HTTP request, and the
    /// permit that counts it.
    pub(crate) fn of(mut self, principal: Principal, permit: Option<ConnectionPermit>) -> Self {
        self.handler.set_principal(principal);
        self.handler.set_permit(permit);
        self
    }

    /// Runs until the connection ends.
    ///
    /// An `async fn` would keep the session twice, as its argument and as its variable. Closing
    /// needs a timer and a buffer, and an idle connection should keep no room for them.
    #[allow(clippy::manual_async_fn, reason = "it keeps the session twice")]
    pub(crate) fn run(mut self) -> impl Future<Output = ()> {
        async move {
            let end = std::future::poll_fn(|cx| self.poll_live(cx)).await;
            Box::pin(self.close(end)).await;
        }
    }

    /// Waits for the first bytes, in the same way as for all later ones.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Begin> {
        if let Some(end) = self.drain(cx) {
            return Poll::Ready(Begin::End(end));
        }
        let settings = (self.config().frame_limits, self.allowed_protocols());
        let is_stranger = self.handler.is_of_stranger();
        let first = match is_stranger {
            true => {
                let queues = self.handler.state().queue_limits().clone();
                self.input
                    .poll_first(&mut self.reader, cx, settings, &mut DiscardSink { queues })
            }
            false => self
                .input
                .poll_first(&mut self.reader, cx, settings, &mut self.handler),
        };
        Poll::Ready(match first {
            Poll::Pending => return self.poll_late(cx).map(Begin::End),
            Poll::Ready(Ok(Ok(First::Other(protocol)))) => match protocol {
                Protocol::Http => Begin::Http,
                Protocol::PlainJson => Begin::End(End::Plain),
                Protocol::Proxy => Begin::End(End::Proxy),
                Protocol::Tls if self.may_secure() => Begin::Tls,
                Protocol::Tls | Protocol::Json => Begin::End(End::Tls),
            },
            Poll::Ready(Ok(_)) if is_stranger => Begin::End(End::Stranger),
            Poll::Ready(Ok(Ok(First::Json(read)))) => match self.note(&read) {
                Some(end) => Begin::End(end),
                None => Begin::Json,
            },
            Poll::Ready(Ok(Err(error))) => Begin::End(End::Input(error)),
            Poll::Ready(Err(error)) => Begin::End(End::Broken(error.kind())),
        })
    }

    fn allowed_protocols(&self) -> Allowed {
        let tls = self.handler.state().tls();
        match self.reader.is_secure() {
            true => Allowed::Json,
            // What doesn't leave the machine needs no TLS.
            false if self.reader.is_local() => Allowed::Both,
            false if tls.is_some_and(|tls| tls.is_required()) => Allowed::Tls,
            false => Allowed::Both,
        }
    }

    /// Whether TLS may be spoken on this connection.
    fn may_secure(&self) -> bool {
        self.handler.state().tls().is_some() && !self.reader.is_local()
    }

    /// Everything a session waits for.
    fn poll_live(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Some(end) = self.drain(cx) {
                return Poll::Ready(end);
            }
            // A peer that doesn't read its answers is read no further.
            if self.handler.outbox().is_full() {
                return match self.reader.poll_gone(cx) {
                    Poll::Ready(()) => Poll::Ready(End::Source),
                    Poll::Pending => self.poll_read_deadline(cx),
                };
            }
            if self.handler.poll_room(cx).is_pending() {
                if self.handler.is_registered() {
                    // While nothing is read, an unfinished frame can't be finished.
                    self.read_deadline = None;
                }
                ready!(self.reader.poll_gone(cx));
                return Poll::Ready(End::Source);
            }
            if self.handler.has_ended() {
                return Poll::Ready(End::Finished);
            }
            let limits = self.config().frame_limits;
            let read = self
                .input
                .poll_read(&mut self.reader, cx, limits, &mut self.handler);
            match read {
                Poll::Pending => return self.poll_late(cx),
                Poll::Ready(Ok(Ok(read))) => {
                    if let Some(end) = self.note(&read) {
                        return Poll::Ready(end);
                    }
                    if matches!(read, Read::Some { stopped: true, .. }) {
                        // Other tasks run first.
                        let _ = pin!(tokio::task::yield_now()).poll(cx);
                        return self.poll_read_deadline(cx);
                    }
                    if matches!(read, Read::Some { filled: true, .. }) {
                        // The topics' tasks run before they are sent more.
                        cx.waker().wake_by_ref();
                        return self.poll_read_deadline(cx);
                    }
                }
                Poll::Ready(Ok(Err(error))) => return Poll::Ready(End::Input(error)),
                Poll::Ready(Err(error)) => return Poll::Ready(End::Broken(error.kind())),
            }
        }
    }

    /// What a read means for the deadlines, or the session's end.
    fn note(&mut self, read: &Read) -> Option<End> {
        match read {
            Read::End => return Some(End::Source),
            Read::Some { finished: true, .. } if self.handler.is_registered() => {
                self.read_deadline = None;
            }
            Read::Some { .. } => {}
        }
        None
    }

    /// Writes what waits in the outbox, and checks the write deadline.
    fn drain(&mut self, cx: &mut Context<'_>) -> Option<End> {
        if !self.handler.outbox().has_work() {
            return None;
        }
        if self.handler.outbox().take_stale() {
            self.handler.recheck();
        }
        let drain = self.handler.outbox().poll_drain(cx);
        if let Drain::Broken(kind) = drain {
            return Some(End::Broken(kind));
        }
        if self.handler.outbox().closing().is_some() {
            return Some(End::Closed);
        }
        if self.handler.outbox().take_drained() {
            self.handler.notify_drained();
        }
        match drain {
            Drain::Waiting { progress: false } => {}
            _ => self.write_deadline = None,
        }
        if drain == Drain::Empty {
            return None;
        }
        let timeout = self.config().write_timeout;
        let deadline = self.write_deadline.get_or_insert_with(|| sleep(timeout));
        deadline
            .as_mut()
            .poll(cx)
            .is_ready()
            .then_some(End::Stalled)
    }

    /// Checks the read deadline when there is nothing to read. A peer has one deadline until it
    /// registers; after that, one for each frame that it begins.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let is_registered = self.handler.is_registered();
        if is_registered {
            if !self.input.is_partial() && !self.reader.is_partial() {
                self.read_deadline = None;
            } else if self.read_deadline.is_none() {
                self.read_deadline = deadline(self.config().frame_timeout);
            }
        }
        self.poll_read_deadline(cx)
    }

    /// A peer that sends without a pause has its deadline too.
    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Some(deadline) = &mut self.read_deadline else {
            return Poll::Pending;
        };
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(End::Late(if self.handler.is_registered() {
            ErrorCode::UnfinishedFrame
        } else {
            ErrorCode::RegistrationTimeout
        }))
    }

    fn config(&self) -> &Config {
        self.handler.config()
    }
}

impl Session<OwnedReadHalf> {
    /// Runs until the connection ends. If the peer speaks HTTP, the server's HTTP service takes
    /// the connection over.
    #[allow(clippy::manual_async_fn, reason = "it keeps the session twice")]
    pub(crate) fn enter(mut self) -> impl Future<Output = ()> {
        async move {
            let end = match std::future::poll_fn(|cx| self.poll_first(cx)).await {
                Begin::Json => std::future::poll_fn(|cx| self.poll_live(cx)).await,
                Begin::Http => return Box::pin(serve_http(self.hand_over())).await,
                Begin::Tls => return Box::pin(secure::accept(self.hand_over())).await,
                Begin::End(end) => end,
            };
            Box::pin(self.close(end)).await;
        }
    }
}

impl<R: Source + Into<Reader>> Session<R> {
    /// The same for a connection on which no TLS begins: within TLS, and over a UNIX socket.
    #[allow(clippy::manual_async_fn, reason = "it keeps the session twice")]
    pub(crate) fn enter_private(mut self) -> impl Future<Output = ()> {
        async move {
            let end = match std::future::poll_fn(|cx| self.poll_first(cx)).await {
                Begin::Json => std::future::poll_fn(|cx| self.poll_live(cx)).await,
                Begin::Http => return Box::pin(serve_http(self.hand_over())).await,
                Begin::Tls => End::Tls,
                Begin::End(end) => end,
            };
            Box::pin(self.close(end)).await;
        }
    }

    /// Ends the session, and hands over the connection.
    fn hand_over(self) -> Handover {
        let (outbox, guard) = self.handler.into_parts();
        Handover {
            reader: self.reader.into(),
            bytes: self.input.into_bytes(),
            outbox,
            guard,
        }
    }
}

/// A separate function, because the trait returns a future of two words and the session has room
/// for one.
async fn serve_http(connection: Handover) {
    let http = connection.guard.state().http().clone();
    http.serve(connection).await;
}

fn sleep(duration: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(duration))
}

fn deadline(duration: Duration) -> Deadline {
    Some(sleep(duration))
}

#[cfg(test)]
mod tests;
