//! The reading side of a WebSocket: reads its messages as lines, answers pings, and sends pings
//! to find out whether the peer is still there.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::http::stream_reader::poll_end;
use crate::outbox::SharedOutbox;
use crate::session::source::{Source, SourceEnd, Violation};
use crate::tls::reader::Reader;
use crate::websocket::close::CloseCode;
use crate::websocket::frame::close_frame;
use crate::websocket::reader::{FrameReader, ReadEnd};

/// Pings in a row that may stay without any answer.
const PINGS_UNANSWERED: u32 = 2;

/// How often the server checks whether a peer has gone while nothing is read from it.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// See the module.
pub(super) struct WebSocketReader {
    reader: Reader,
    /// Bytes that were read with the request.
    first: Bytes,
    frames: FrameReader,
    outbox: SharedOutbox,
    /// When the next ping is due.
    ping: Pin<Box<Sleep>>,
    interval: Duration,
    /// Pings since the peer last sent anything.
    unanswered: u32,
    /// When to check next whether the peer has gone, while nothing is read.
    look: Option<Pin<Box<Sleep>>>,
    /// Why nothing more is read.
    end: Option<SourceEnd>,
    /// Further bytes are discarded.
    is_over: bool,
}

impl WebSocketReader {
    /// A reader for messages of at most `max` bytes.
    pub(super) fn new(
        reader: Reader,
        first: Bytes,
        outbox: SharedOutbox,
        interval: Duration,
        max: usize,
    ) -> Self {
        Self {
            reader,
            first,
            frames: FrameReader::new(max),
            outbox,
            ping: Box::pin(tokio::time::sleep(interval)),
            interval,
            unanswered: 0,
            look: None,
            end: None,
            is_over: false,
        }
    }

    /// Sends pings when they are due; ready when the peer doesn't answer them.
    fn poll_pings(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.ping.as_mut().poll(cx));
            if self.unanswered == PINGS_UNANSWERED {
                return Poll::Ready(());
            }
            self.unanswered += 1;
            self.outbox.take_sent();
            self.outbox.keep_alive();
            let next = Instant::now() + self.interval;
            self.ping.as_mut().reset(next);
        }
    }

    /// Reads once, and leaves the messages in the buffer.
    fn poll_frames(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let start = buffer.filled().len();
        if self.first.is_empty() {
            ready!(Pin::new(&mut self.reader).poll_read(cx, buffer))?;
        } else {
            let count = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first.split_to(count));
        }
        let bytes = &mut buffer.filled_mut()[start..];
        if bytes.is_empty() {
            self.end = Some(SourceEnd::Gone);
            return Poll::Ready(Ok(()));
        }
        self.unanswered = 0;
        let decoded = self.frames.decode(bytes);
        buffer.set_filled(start + decoded.length);
        if !decoded.pongs.is_empty() {
            self.outbox.send_control(decoded.pongs);
        }
        self.end = decoded.end.map(source_end);
        Poll::Ready(Ok(()))
    }
}

/// The end of a WebSocket as its session needs it.
fn source_end(end: ReadEnd) -> SourceEnd {
    match end {
        ReadEnd::Closed(code) => {
            let code = code.unwrap_or(CloseCode::NORMAL);
            SourceEnd::Finished(Some(close_frame(code, "").into()))
        }
        ReadEnd::Violation(violation) => {
            let (code, text) = (violation.error_code(), violation.to_string());
            let reason = code.map_or(text.as_str(), |code| code.as_str());
            SourceEnd::Violation(Violation {
                last: close_frame(violation.close_code(), reason).into(),
                code,
                text,
            })
        }
    }
}

impl AsyncRead for WebSocketReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_over {
            return poll_end(&mut this.reader, cx).map(Ok);
        }
        this.look = None;
        if this.poll_pings(cx).is_ready() {
            this.end = Some(SourceEnd::Gone);
        }
        let start = buffer.filled().len();
        while buffer.filled().len() == start {
            if this.frames.take_line_end() {
                buffer.put_slice(b"\n");
            } else if this.end.is_some() {
                this.is_over = true;
                return Poll::Ready(Ok(()));
            } else {
                ready!(this.poll_frames(cx, buffer))?;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Source for WebSocketReader {
    fn is_partial(&self) -> bool {
        self.frames.is_partial()
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if has_finished(&self.reader) {
                self.end = Some(SourceEnd::Gone);
                return Poll::Ready(());
            }
            let new = || Box::pin(tokio::time::sleep(LOOK_INTERVAL));
            let look = self.look.get_or_insert_with(new);
            ready!(look.as_mut().poll(cx));
            look.as_mut().reset(Instant::now() + LOOK_INTERVAL);
        }
    }

    fn end(&mut self) -> SourceEnd {
        self.end.take().unwrap_or(SourceEnd::Gone)
    }
}

/// Whether the peer has sent its last byte, read or unread.
#[cfg(target_os = "linux")]
fn has_finished(reader: &Reader) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let flags = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    let socket = reader.socket();
    let mut asked = [PollFd::new(&socket, flags)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut asked, Some(&at_once)).is_ok_and(|count| count > 0)
}

/// On other systems reading finds out, or the deadlines do.
#[cfg(not(target_os = "linux"))]
fn has_finished(_: &Reader) -> bool {
    false
}
