//! The reading side of a stream: it waits for the peer's end, sends signs of life, and decides
//! when the answer is complete.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::http::query::Until;
use crate::outbox::SharedOutbox;
use crate::session::source::{Source, SourceEnd};
use crate::tls::reader::Reader;

/// The reading side of a stream. Bytes that the peer sends are discarded; only its end counts.
pub(super) struct StreamReader {
    reader: Reader,
    outbox: SharedOutbox,
    /// When the next sign of life is due.
    silence: Pin<Box<Sleep>>,
    interval: Duration,
    /// When the answer is complete; `None` if only an end of the connection ends it.
    end: Option<Pin<Box<Sleep>>>,
    /// The answer is complete.
    is_complete: bool,
}

impl StreamReader {
    pub(super) fn new(
        reader: Reader,
        outbox: SharedOutbox,
        interval: Duration,
        until: Until,
    ) -> Self {
        let end = match until {
            Until::After(time) => Some(Box::pin(tokio::time::sleep(time))),
            Until::Sent | Until::Closed => None,
        };
        Self {
            reader,
            outbox,
            silence: Box::pin(tokio::time::sleep(interval)),
            interval,
            end,
            is_complete: until == Until::Sent,
        }
    }

    fn poll_complete(&mut self, cx: &mut Context<'_>) -> bool {
        let end = self.end.as_mut();
        self.is_complete |= end.is_some_and(|end| end.as_mut().poll(cx).is_ready());
        self.is_complete
    }

    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) {
        while self.silence.as_mut().poll(cx).is_ready() {
            self.outbox.keep_alive();
            let next = Instant::now() + self.interval;
            self.silence.as_mut().reset(next);
        }
    }
}

impl AsyncRead for StreamReader {
    /// Returns no bytes, only the end.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_complete(cx) {
            return Poll::Ready(Ok(()));
        }
        self.poll_keep_alive(cx);
        ready!(poll_end(&mut self.reader, cx));
        Poll::Ready(Ok(()))
    }
}

impl Source for StreamReader {
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        poll_end(&mut self.reader, cx)
    }

    fn end(&mut self) -> SourceEnd {
        match std::mem::take(&mut self.is_complete) {
            true => SourceEnd::Finished(None),
            false => SourceEnd::Gone,
        }
    }
}

/// Reads and discards until the peer sends no more.
pub(super) fn poll_end(reader: &mut Reader, cx: &mut Context<'_>) -> Poll<()> {
    let mut bytes = [0; 1024];
    loop {
        let mut buffer = ReadBuf::new(&mut bytes);
        let result = ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer));
        if result.is_err() || buffer.filled().is_empty() {
            return Poll::Ready(());
        }
    }
}
