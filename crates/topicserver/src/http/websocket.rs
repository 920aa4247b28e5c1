//! `/-/ws`: the same frames as over TCP, one a text message, through a session like
//! every other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, Stream, StreamExt, stream::SplitSink};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use wire::ErrorCode;

use crate::http::context::RequestContext;
use crate::http::pipe::{PipeReader, STREAM_ROOM, pipe};
use crate::http::problem::Problem;
use crate::outbox::{Outbox, SharedOutbox};
use crate::session::Session;

/// Bytes that are read before the session takes them: one read of a socket.
const READ_ROOM: usize = 16 * 1024;

/// How long the peer has to close its side when we have closed ours.
const LINGER: Duration = Duration::from_secs(1);

/// Pings in a row that may stay without any answer.
const PINGS_UNANSWERED: u32 = 2;

pub(crate) async fn open(
    Extension(context): Extension<Arc<RequestContext>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| Problem::bad_request(error.body_text()))?;
    let max = context.config().frame_limits.max_frame;
    let upgrade = upgrade
        .read_buffer_size(READ_ROOM)
        .max_message_size(max)
        .max_frame_size(max);
    Ok(upgrade.on_upgrade(move |socket| talk(context, socket)))
}

/// Lives until the WebSocket ends.
async fn talk(context: Arc<RequestContext>, socket: WebSocket) {
    let config = context.config();
    let (sink, messages) = socket.split();
    let (pipe_writer, pipe_reader) = pipe(context.local, STREAM_ROOM);
    let (reader, writer) = tokio::io::duplex(READ_ROOM);
    let limits = context.state().outbox_limits().clone();
    let outbox: SharedOutbox = Arc::new(Outbox::new(pipe_writer, context.peer, limits));
    let session = Session::new(reader, outbox.clone(), context.state().admit_within());
    let is_there = AtomicBool::new(true);
    let outgoing = Outgoing {
        sink,
        pipe_reader,
        rest: BytesMut::new(),
        outbox: outbox.clone(),
    };
    let session = async {
        Box::pin(session.run()).await;
        // However it has ended, nothing more comes.
        outbox.finish_transport();
    };
    let gone = Notify::new();
    let outgoing = async {
        if outgoing.run(config.ping_interval, &is_there).await == Peer::Gone {
            gone.notify_one();
        }
    };
    let sending = async { tokio::join!(session, outgoing) };
    let max = config.frame_limits.max_frame;
    let receiving = async {
        tokio::select! {
            () = receive(messages, writer, &outbox, &is_there, max) => {}
            () = gone.notified() => {}
        }
    };
    let (mut sending, mut receiving) = (std::pin::pin!(sending), std::pin::pin!(receiving));
    tokio::select! {
        _ = &mut sending => {
            // A peer that doesn't close its side has had its moment.
            let _ = tokio::time::timeout(LINGER, receiving).await;
        }
        () = &mut receiving => {
            sending.await;
        }
    }
}

/// Hands on what the peer sends, each message as a line, until it sends no more.
async fn receive(
    mut messages: impl Stream<Item = Result<Message, axum::Error>> + Unpin,
    mut writer: DuplexStream,
    outbox: &SharedOutbox,
    is_there: &AtomicBool,
    max: usize,
) {
    let mut has_ended = false;
    while let Some(message) = messages.next().await {
        is_there.store(true, Relaxed);
        let bytes: Bytes = match message {
            Ok(Message::Text(text)) => text.into(),
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Close(_)) => return,
            Err(error) => {
                tell(outbox, &error, max);
                return;
            }
        };
        // When the session has ended, the rest is read for the sake of its farewell.
        has_ended = has_ended
            || writer.write_all(&bytes).await.is_err()
            || writer.write_all(b"\n").await.is_err();
    }
}

/// Tells the peer what can't be read. Of a connection that is gone, nobody reads it.
fn tell(outbox: &SharedOutbox, error: &axum::Error, max: usize) {
    let source = std::error::Error::source(error);
    let is_too_long = source.is_some_and(|source| source.to_string().contains("too long"));
    if is_too_long {
        let text = format!("a frame has at most {max} bytes; the connection is closed");
        outbox.close(ErrorCode::TooLong, &text);
    }
}

/// What became of the peer when nothing more is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// It was told that nothing more comes.
    Told,
    /// It takes nothing, or says nothing.
    Gone,
}

/// The way out.
struct Outgoing {
    sink: SplitSink<WebSocket, Message>,
    pipe_reader: PipeReader,
    /// A line that isn't complete.
    rest: BytesMut,
    outbox: SharedOutbox,
}

impl Outgoing {
    /// Sends what the session has, and asks whether the peer is still there.
    async fn run(mut self, interval: Duration, is_there: &AtomicBool) -> Peer {
        let start = tokio::time::Instant::now() + interval;
        let mut pings = tokio::time::interval_at(start, interval);
        let mut unanswered = 0;
        loop {
            let result = tokio::select! {
                bytes = self.pipe_reader.take() => match bytes {
                    Some(bytes) => self.send(&bytes).await,
                    None => {
                        self.close().await;
                        return Peer::Told;
                    }
                },
                _ = pings.tick() => {
                    unanswered = if is_there.swap(false, Relaxed) { 0 } else { unanswered + 1 };
                    if unanswered == PINGS_UNANSWERED {
                        return Peer::Gone;
                    }
                    self.sink.send(Message::Ping(Bytes::new())).await
                }
            };
            if result.is_err() {
                return Peer::Gone;
            }
        }
    }

    /// Sends the lines that are complete, each as a message.
    async fn send(&mut self, bytes: &[u8]) -> Result<(), axum::Error> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = memchr::memchr(b'\n', &self.rest) {
            let mut line = self.rest.split_to(end + 1);
            line.truncate(end);
            // Every frame was read as UTF-8, so that nothing is lost here.
            if let Ok(text) = Utf8Bytes::try_from(line.freeze()) {
                self.sink.feed(Message::Text(text)).await?;
            }
        }
        self.sink.flush().await
    }

    /// Says that nothing more comes, and why.
    async fn close(&mut self) {
        let reason = self.outbox.closing().flatten();
        let code = match reason {
            None => close_code::NORMAL,
            Some(ErrorCode::ShuttingDown) => close_code::AWAY,
            Some(ErrorCode::TooLong) => close_code::SIZE,
            Some(_) => close_code::POLICY,
        };
        let reason = reason.map_or("", ErrorCode::as_str).into();
        let frame = CloseFrame { code, reason };
        // A peer that has gone needs no farewell.
        let _ = self.sink.send(Message::Close(Some(frame))).await;
    }
}
