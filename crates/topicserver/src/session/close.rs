//! How a session ends: what the peer is told, and what is still sent to it.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use memchr::memmem;
use tokio::io::ReadBuf;
use tokio::time::Instant;
use wire::ErrorCode;

use crate::access::locality;
use crate::outbox::Drain;
use crate::peer::Shown;
use crate::session::handler::Handler;
use crate::session::source::{Source, SourceEnd, Violation};
use crate::session::{End, Session, sleep};

/// How long a connection to which everything was written stays, for its peer to
/// close it too: closing it with bytes unread would reset it, and on some systems
/// a reset destroys what the peer hasn't read yet.
const LINGER: Duration = Duration::from_secs(1);

/// A frame with this holds a credential.
const CREDENTIAL: &[u8] = b"\"auth\"";

impl<R: Source> Session<R> {
    /// Ends the connection: tells the peer why, leaves its topics, and lets the
    /// peer have what waits for it.
    pub(super) async fn close(mut self, end: End) {
        match end {
            End::Source => match self.reader.end() {
                SourceEnd::Finished(last) => self.finish(last).await,
                SourceEnd::Gone => self.log_end(&"the peer has gone"),
                SourceEnd::Violation(violation) => {
                    self.tell_violation(&violation);
                    self.leave().await;
                }
            },
            End::Finished => self.finish(None).await,
            End::Broken(kind) => self.log_end(&kind),
            End::Stalled => {
                let seconds = self.config().write_timeout.as_secs();
                let text = format!("it took none of its messages for {seconds} s");
                let (outbox, state) = (self.handler.outbox(), self.handler.state());
                state.log_peer_error(outbox.peer(), ErrorCode::SlowReader, &text);
            }
            End::Closed
            | End::Input(_)
            | End::Tls
            | End::Plain
            | End::Proxy
            | End::Stranger
            | End::Late(_) => {
                self.tell_end(&end);
                self.leave().await;
            }
        }
    }

    /// The peer has only finished sending, and still gets what was published before. Some
    /// of that may be on its way through the topics, or come from their history.
    async fn finish(mut self, last: Option<Bytes>) {
        self.log_end(&"the peer has said everything");
        let topics = self.handler.finish();
        let delivered = async move {
            for topic in topics {
                // A topic that has ended has nothing left to deliver.
                let _ = topic.await;
            }
        };
        let timeout = self.config().write_timeout;
        lingering_close(self.reader, &mut self.handler, delivered, last, timeout).await;
    }

    /// Leaves the topics. The peer still gets what waits in its outbox.
    async fn leave(mut self) {
        self.handler.leave();
        let timeout = self.close_timeout();
        let delivered = std::future::ready(());
        lingering_close(self.reader, &mut self.handler, delivered, None, timeout).await;
    }

    /// How long the peer may read nothing before it is cut off.
    fn close_timeout(&self) -> Duration {
        // The end of a server is by the configuration in force then.
        let config = self.handler.state().config();
        match self.handler.outbox().closing() {
            Some(Some(ErrorCode::SlowReader)) => config.write_timeout,
            // The server's own deadline comes first, and counts who is cut off.
            Some(Some(ErrorCode::ShuttingDown)) => config.drain_timeout + LINGER,
            _ => config.drain_timeout,
        }
    }

    fn log_end(&self, why: &dyn std::fmt::Display) {
        let peer = Shown(self.handler.outbox().peer());
        tracing::debug!(%peer, %why, "the connection ends");
    }

    fn tell_violation(&self, violation: &Violation) {
        let (outbox, state) = (self.handler.outbox(), self.handler.state());
        let Violation { code, text, last } = violation;
        match code {
            Some(code) => outbox.close_with(*code, text, Some(last.clone())),
            None => outbox.finish(Some(last.clone())),
        }
        state.log_peer_error(outbox.peer(), code.unwrap_or(ErrorCode::BadFrame), text);
    }

    /// Tells the peer why the connection ends, and logs it.
    fn tell_end(&self, end: &End) {
        let (outbox, state) = (self.handler.outbox(), self.handler.state());
        let peer = outbox.peer();
        match end {
            End::Input(error) => {
                outbox.close(error.code(), &format!("{error}; the connection is closed"));
                state.log_peer_error(peer, error.code(), &error.to_string());
            }
            End::Tls => {
                let text = match self.reader.is_local() {
                    true => "TLS isn't spoken over a UNIX socket; connect without it",
                    false => {
                        "this server doesn't speak TLS; connect without it, or put a proxy that \
                         does before it"
                    }
                };
                outbox.close(ErrorCode::TlsNotSupported, text);
                state.log_peer_error(peer, ErrorCode::TlsNotSupported, "it wants to speak TLS");
            }
            End::Stranger => {
                outbox.close(ErrorCode::Protected, locality::REFUSAL);
                state.log_peer_error(
                    peer,
                    ErrorCode::Protected,
                    "it isn't of the server's network",
                );
            }
            End::Plain => self.refuse_plain(),
            End::Proxy => {
                let text = "a PROXY header is read once, and only from an address that the \
                            server was started with in --trust-proxy";
                outbox.close(ErrorCode::NotJson, text);
                state.log_peer_error(peer, ErrorCode::NotJson, text);
            }
            End::Late(code) => {
                let text = self.lateness(*code);
                outbox.close(*code, &text);
                state.log_peer_error(peer, *code, &text);
            }
            End::Closed => match outbox.closing().flatten() {
                Some(code @ (ErrorCode::SlowReader | ErrorCode::QueuesFull)) => {
                    state.log_peer_error(peer, code, "it fell further behind than its outbox");
                }
                Some(code) => tracing::debug!(%peer, code = code.as_str(), "told, and closed"),
                None => {}
            },
            End::Source | End::Finished | End::Broken(_) | End::Stalled => {}
        }
    }

    /// Tells a peer that doesn't speak TLS that it must. If it has sent a credential, it should
    /// no longer use it: others may have read it.
    fn refuse_plain(&self) {
        let (outbox, state) = (self.handler.outbox(), self.handler.state());
        let mut text = format!(
            "this server speaks TLS only; connect with chat -topic tls://{}",
            outbox.local()
        );
        let mut complaint = "it doesn't speak TLS".to_owned();
        if memmem::find(self.input.rest(), CREDENTIAL).is_some() {
            text += "; what you sent was not encrypted, so replace a password or token in it";
            complaint += ", and sent a password or token that others may have read";
        }
        outbox.close(ErrorCode::TlsRequired, &text);
        state.log_peer_error(outbox.peer(), ErrorCode::TlsRequired, &complaint);
    }

    fn lateness(&self, code: ErrorCode) -> String {
        let config = self.config();
        match code {
            ErrorCode::RegistrationTimeout => format!(
                "no registration came within {} s; send {{\"topics\":[\"NAME\"]}} first",
                config.registration_timeout.as_secs()
            ),
            _ => format!(
                "a frame was begun and not finished within {} s",
                config.frame_timeout.as_secs()
            ),
        }
    }
}

/// Waits until everything is `delivered` to the outbox, writes what waits there and then `last`,
/// and gives the peer time to read it and to close too. A peer that reads nothing for `timeout`
/// is cut off with a reset; one for whom nothing waits yet is not, however slow the server is.
pub(super) async fn lingering_close<R: Source>(
    mut reader: R,
    handler: &mut Handler,
    delivered: impl Future<Output = ()>,
    mut last: Option<Bytes>,
    timeout: Duration,
) {
    let outbox = handler.shared_outbox();
    let mut delivered = pin!(delivered);
    let (mut is_delivered, mut is_finished, mut has_ended) = (false, false, false);
    let mut deadline = sleep(timeout);
    outbox.take_sent();
    std::future::poll_fn(|cx| {
        // A peer that is still sending may not read before it has finished. Closing a socket with
        // unread bytes would destroy what we sent.
        has_ended = has_ended || poll_discard(&mut reader, cx).is_ready();
        if !is_delivered && delivered.as_mut().poll(cx).is_ready() {
            is_delivered = true;
            outbox.finish(last.take());
        }
        if outbox.take_stale() {
            handler.recheck();
        }
        let drain = outbox.poll_drain(cx);
        if outbox.take_drained() {
            handler.notify_drained();
        }
        match drain {
            Drain::Broken(_) => return Poll::Ready(()),
            Drain::Empty if is_delivered && !is_finished => {
                outbox.finish_transport();
                is_finished = true;
                let latest = Instant::now() + LINGER;
                if latest < deadline.deadline() {
                    deadline.as_mut().reset(latest);
                }
            }
            Drain::Empty | Drain::Waiting { .. } => {}
        }
        if is_finished && has_ended {
            return Poll::Ready(());
        }
        loop {
            ready!(deadline.as_mut().poll(cx));
            if is_finished {
                return Poll::Ready(());
            }
            let has_nothing_to_read = drain == Drain::Empty && !is_delivered;
            if !outbox.take_sent() && !has_nothing_to_read {
                outbox.abort();
                return Poll::Ready(());
            }
            deadline.as_mut().reset(Instant::now() + timeout);
        }
    })
    .await;
}

/// Reads and discards; ready when the peer sends no more.
fn poll_discard<R: Source>(reader: &mut R, cx: &mut Context<'_>) -> Poll<()> {
    let mut bytes = [0; 4096];
    loop {
        let mut buffer = ReadBuf::new(&mut bytes);
        let result = ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer));
        if result.is_err() || buffer.filled().is_empty() {
            return Poll::Ready(());
        }
    }
}
