//! Errors that an outbox sends to its peer, and its end.

use std::net::{Ipv4Addr, SocketAddr};
use std::task::Poll;

use bytes::Bytes;
use wire::{ErrorCode, Event, Message, Removed, ReportedError};

use crate::metrics::{self, ByCode, Count};
use crate::outbox::form::Form;
use crate::outbox::state::{Stage, State};
use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, ROOM_FOR_NOTICES};
use crate::peer;

impl<T: Transport + ?Sized> Outbox<T> {
    /// Sends an error about a frame of the peer, and goes on. An error about a message with an id
    /// is sent however much is queued.
    pub(crate) fn send_error(&self, code: ErrorCode, text: &str, id: Option<&str>) {
        self.send_report(code, text, id, None);
    }

    /// The same when the peer has reached the limit of this name.
    pub(crate) fn send_exceeded(
        &self,
        code: ErrorCode,
        text: &str,
        id: Option<&str>,
        limit: &'static str,
    ) {
        self.send_report(code, text, id, Some(limit));
    }

    fn send_report(&self, code: ErrorCode, text: &str, id: Option<&str>, limit: Option<&str>) {
        let mut state = self.state.lock();
        let has_room = state.queued() < ROOM_FOR_NOTICES || id.is_some();
        if state.stage == Stage::Open && has_room {
            metrics::count_code(ByCode::Errors, code);
            let line = match state.is_extended || id.is_some() {
                true => extended_error(code, text, id, limit),
                false => self.error_line(&state, code, text),
            };
            let line = state.form.encode_one(line, None);
            self.push(&mut state, line);
        }
    }

    /// Tells the peer that it has left a topic which it may no longer read, however much is
    /// queued.
    pub(crate) fn send_removed(&self, topic: &str) {
        let mut state = self.state.lock();
        if state.stage != Stage::Open {
            return;
        }
        let code = ErrorCode::Forbidden;
        let line = if state.is_extended {
            let (topic, code) = (topic.into(), code.as_str().into());
            Event::Removed(Removed { topic, code }).to_line()
        } else {
            let text = format!("you may no longer read {topic:?}, and have left it");
            self.error_line(&state, code, &text)
        };
        let line = state.form.encode_one(line, None);
        self.push(&mut state, line);
    }

    /// Sends an extended peer this event, however much is queued, unless it reads a stream over
    /// HTTP: that has another way to say the same.
    pub(crate) fn send_hint(&self, event: &[u8]) {
        let mut state = self.state.lock();
        let is_two_way = matches!(state.form, Form::Lines | Form::WebSocket);
        if state.stage == Stage::Open && state.is_extended && is_two_way {
            let line = state.form.encode_one(event.to_vec(), None);
            self.push(&mut state, line);
        }
    }

    /// Tells an extended peer with this event what has changed, and a classic one with this error,
    /// unless much is queued. One that hasn't registered yet is told nothing: its first bytes may
    /// turn out to be a request of HTTP.
    pub(crate) fn tell(&self, event: &[u8], error: Option<(ErrorCode, &str)>) {
        let mut state = self.state.lock();
        if state.stage != Stage::Open || state.queued() >= ROOM_FOR_NOTICES {
            return;
        }
        let line = match (state.is_extended, error) {
            (true, _) => event.to_vec(),
            (false, Some((code, text))) if state.is_classic => self.error_line(&state, code, text),
            (false, _) => return,
        };
        let line = state.form.encode_one(line, None);
        self.push(&mut state, line);
    }

    /// Closes the outbox: sends what is queued and then the reason.
    pub(crate) fn close(&self, code: ErrorCode, text: &str) {
        self.close_with(code, text, None);
    }

    /// Closes the outbox with other last bytes than the usual ones of its form.
    pub(crate) fn close_with(&self, code: ErrorCode, text: &str, last: Option<Bytes>) {
        let mut state = self.state.lock();
        if state.stage == Stage::Open {
            self.close_locked(&mut state, code, text, last);
        }
    }

    pub(super) fn close_locked(
        &self,
        state: &mut State,
        code: ErrorCode,
        text: &str,
        last: Option<Bytes>,
    ) {
        metrics::count_code(ByCode::Errors, code);
        if matches!(code, ErrorCode::SlowReader | ErrorCode::QueuesFull) {
            metrics::count(Count::SlowReaders, 1);
        }
        let line = self.error_line(state, code, text);
        let line = state.form.encode_one(line, None);
        self.push(state, line);
        self.push_last(state, Some(code), last);
        state.stage = Stage::Closing(Some(code));
    }

    /// Takes no more. What is queued is still sent, and then these bytes, or the usual end of the
    /// form.
    pub(crate) fn finish(&self, last: Option<Bytes>) {
        self.finish_locked(&mut self.state.lock(), last);
    }

    pub(super) fn finish_locked(&self, state: &mut State, last: Option<Bytes>) {
        if state.stage == Stage::Open {
            self.push_last(state, None, last);
            state.stage = Stage::Closing(None);
            self.wake(state);
        }
    }

    fn push_last(&self, state: &mut State, reason: Option<ErrorCode>, last: Option<Bytes>) {
        let last = last.unwrap_or_else(|| state.form.end(reason));
        if !last.is_empty() {
            self.push(state, last);
        }
    }

    /// Whether the outbox is closed, and why.
    pub(crate) fn closing(&self) -> Option<Option<ErrorCode>> {
        match self.state.lock().stage {
            Stage::Closing(reason) => Some(reason),
            Stage::Open | Stage::Broken(_) => None,
        }
    }

    /// Resolves when the outbox is closed. Only one task may wait, and for nothing else here.
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

    /// Tells the peer that nothing more comes.
    pub(crate) fn finish_transport(&self) {
        self.transport.finish();
        self.count_unsent(&mut self.state.lock());
    }

    /// Our address of the connection, IPv4-mapped addresses as IPv4; the unspecified address if
    /// it is unknown.
    pub(crate) fn local(&self) -> SocketAddr {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let local = self.transport.local_addr().unwrap_or(nowhere);
        SocketAddr::new(local.ip().to_canonical(), local.port())
    }

    /// Ends the connection so that the peer sees that it doesn't get everything.
    pub(crate) fn abort(&self) {
        self.transport.abort();
    }

    /// An error as the peer understands it: a classic client prints it.
    fn error_line(&self, state: &State, code: ErrorCode, text: &str) -> Vec<u8> {
        if state.is_extended {
            return extended_error(code, text, None, None);
        }
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let message = Message {
            // The address of a lost connection is unknown, and nobody will read it.
            source: self.transport.local_addr().unwrap_or(nowhere).into(),
            destination: peer::endpoint(self.peer()).into(),
            topic: ErrorCode::TOPIC,
            text: &code.to_text(text),
        };
        message.to_line()
    }
}

fn extended_error(code: ErrorCode, text: &str, id: Option<&str>, limit: Option<&str>) -> Vec<u8> {
    let told = ReportedError {
        code: code.as_str().into(),
        text: text.into(),
        id: id.map(Into::into),
        limit: limit.map(Into::into),
    };
    Event::Error(told).to_line()
}
