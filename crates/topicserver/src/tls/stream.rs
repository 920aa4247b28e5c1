//! An encrypted connection: what a socket is to a session and an outbox, with TLS between.
//!
//! Nothing is buffered here that the outbox could queue as plain text: a write encrypts one
//! record after the other, and stops when the socket doesn't take one whole. The end of that
//! record is the only ciphertext that is kept, and is sent first. Reading decrypts the bytes of
//! one read, and keeps the beginning of an incomplete record. An idle connection has no buffer.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncryptError, InsufficientSizeError, UnbufferedStatus};
use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use crate::tls::handshake::{Accepted, Ending};
use crate::tls::records::{RECORD, RECORD_OVERHEAD, encode, process};

/// The longest incomplete record that is kept.
const MAX_PARTIAL: usize = RECORD + RECORD_OVERHEAD;

/// What one read brings at most: the same as without TLS.
const READ: usize = 64 * 1024;

/// The buffers of a worker thread, which are used within one call.
struct Scratch {
    /// Room for a partial record, and behind it for a read.
    incoming: Box<[u8]>,
    /// Text from several pieces that goes into one record.
    gathered: Vec<u8>,
    /// A record to be sent.
    sealed: Vec<u8>,
    /// What TLS itself must send.
    outgoing: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        incoming: vec![0; MAX_PARTIAL + READ].into(),
        gathered: Vec::with_capacity(RECORD),
        sealed: vec![0; RECORD + RECORD_OVERHEAD],
        outgoing: Vec::new(),
    });
}

/// An encrypted connection.
pub(crate) struct TlsStream {
    socket: OwnedReadHalf,
    /// Both directions share the connection's state: each holds it for the time of one read's
    /// decryption or one write.
    state: Mutex<State>,
}

struct State {
    connection: UnbufferedServerConnection,
    /// The beginning of an incomplete record.
    partial: Vec<u8>,
    /// Text for which the reader had no room.
    surplus: Bytes,
    /// Bytes of a record that the socket hasn't taken.
    unsent: BytesMut,
    /// Why the peer's stream has ended, if it has.
    end: Option<End>,
    /// The socket's sending side is to be closed when everything is sent.
    is_finished: bool,
}

/// Why the peer's stream has ended.
#[derive(Clone, Copy)]
enum End {
    /// The peer says that it has sent everything.
    CloseNotify,
    /// The connection is broken.
    Broken(io::ErrorKind),
}

impl TlsStream {
    pub(super) fn new(socket: OwnedReadHalf, accepted: Accepted) -> Arc<Self> {
        let Accepted {
            connection,
            mut rest,
            received,
            end,
        } = accepted;
        rest.shrink_to_fit();
        Arc::new(Self {
            socket,
            state: Mutex::new(State {
                connection,
                partial: rest,
                surplus: received.into(),
                unsent: BytesMut::new(),
                end: end.map(|end| match end {
                    Ending::CloseNotify => End::CloseNotify,
                    Ending::Broken => End::Broken(io::ErrorKind::InvalidData),
                }),
                is_finished: false,
            }),
        })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.socket.as_ref()
    }

    /// Reads text into `buffer`, as much as is available and fits.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let start = buffer.filled().len();
        loop {
            if self.take_what_is_here(cx, buffer, start)? {
                return Poll::Ready(Ok(()));
            }
            if self.socket().poll_read_ready(cx)?.is_pending() {
                return match buffer.filled().len() > start {
                    true => Poll::Ready(Ok(())),
                    false => Poll::Pending,
                };
            }
            match self.read(buffer) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Sends what is still unsent, and returns text that is decrypted already. True if the buffer
    /// is full, or the stream has ended.
    fn take_what_is_here(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        start: usize,
    ) -> io::Result<bool> {
        let mut state = self.state.lock();
        while !state.unsent.is_empty() {
            match state.flush(self.socket()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.socket().poll_write_ready(cx)?.is_pending() {
                        break;
                    }
                }
                // The writing side gets the error.
                Err(_) => break,
            }
        }
        let count = state.surplus.len().min(buffer.remaining());
        buffer.put_slice(&state.surplus.split_to(count));
        match state.end {
            _ if buffer.remaining() == 0 => Ok(true),
            Some(_) if buffer.filled().len() > start => Ok(true),
            Some(End::CloseNotify) => Ok(true),
            Some(End::Broken(kind)) => Err(kind.into()),
            None => Ok(false),
        }
    }

    /// Reads once from the socket, and decrypts the bytes.
    fn read(&self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            let Scratch {
                incoming, outgoing, ..
            } = scratch;
            let limit = buffer.remaining().clamp(MAX_PARTIAL, READ);
            let count = self
                .socket()
                .try_read(&mut incoming[MAX_PARTIAL..MAX_PARTIAL + limit])?;
            let mut state = self.state.lock();
            if count == 0 {
                // An attacker may have cut the connection: the peer has not sent `close_notify`.
                let cut = End::Broken(io::ErrorKind::UnexpectedEof);
                state.end = state.end.or(Some(cut));
                return Ok(());
            }
            let partial = std::mem::take(&mut state.partial);
            let start = MAX_PARTIAL - partial.len();
            incoming[start..MAX_PARTIAL].copy_from_slice(&partial);
            let incoming = &mut incoming[start..MAX_PARTIAL + count];
            state.decrypt(self.socket(), incoming, buffer, outgoing);
            Ok(())
        })
    }

    /// Encrypts and writes as much as the socket takes, record by record.
    pub(super) fn write(&self, mut text: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.flush_all(self.socket())?;
        SCRATCH.with_borrow_mut(|scratch| {
            let length = text.len();
            while !text.is_empty() && state.unsent.is_empty() {
                let (record, rest) = text.split_at(text.len().min(RECORD));
                state.send_text(self.socket(), record, &mut scratch.sealed)?;
                text = rest;
            }
            Ok(length - text.len())
        })
    }

    /// The same for several pieces: small ones go into one record.
    pub(super) fn write_gathered(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.flush_all(self.socket())?;
        SCRATCH.with_borrow_mut(|scratch| {
            let Scratch {
                gathered, sealed, ..
            } = scratch;
            let (mut pieces, mut rest, mut written) = (pieces.iter(), &[][..], 0);
            loop {
                gathered.clear();
                while gathered.len() < RECORD {
                    if rest.is_empty() {
                        let Some(piece) = pieces.next() else { break };
                        rest = piece;
                    }
                    let (some, after) = rest.split_at(rest.len().min(RECORD - gathered.len()));
                    gathered.extend_from_slice(some);
                    rest = after;
                }
                if gathered.is_empty() {
                    return Ok(written);
                }
                state.send_text(self.socket(), gathered, sealed)?;
                written += gathered.len();
                if !state.unsent.is_empty() {
                    return Ok(written);
                }
            }
        })
    }

    /// Bytes that were accepted and that the socket hasn't taken.
    pub(super) fn unsent(&self) -> usize {
        self.state.lock().unsent.len()
    }

    /// Writes as much of them as the socket takes; `WouldBlock` if it takes none.
    pub(super) fn flush(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        match state.unsent.is_empty() {
            true => Ok(()),
            false => state.flush(self.socket()),
        }
    }

    /// Sends `close_notify`, and then closes the socket's sending side.
    pub(super) fn finish(&self) {
        let mut state = self.state.lock();
        if state.is_finished {
            return;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let sealed = &mut scratch.sealed;
            // If it can't be sent any more, the peer sees the end of the socket.
            if let Ok(length) = state.seal(&[], Kind::CloseNotify, sealed) {
                let _ = state.send(self.socket(), &sealed[..length]);
            }
        });
        state.is_finished = true;
        if state.unsent.is_empty() {
            close_sending_side(self.socket());
        }
    }
}

/// The content of a record.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    CloseNotify,
}

impl State {
    /// Decrypts the bytes that have come, after the incomplete record that was kept.
    fn decrypt(
        &mut self,
        socket: &TcpStream,
        incoming: &mut [u8],
        buffer: &mut ReadBuf<'_>,
        outgoing: &mut Vec<u8>,
    ) {
        outgoing.clear();
        let mut surplus = Vec::new();
        let processed = process(&mut self.connection, incoming, outgoing, |text| {
            let (fits, more) = text.split_at(text.len().min(buffer.remaining()));
            buffer.put_slice(fits);
            surplus.extend_from_slice(more);
        });
        self.surplus = surplus.into();
        let rest = &incoming[processed.used..];
        if !rest.is_empty() {
            self.partial = rest.to_vec();
        }
        if processed.has_ended {
            self.end = Some(End::CloseNotify);
        } else if processed.failure.is_some() || rest.len() > MAX_PARTIAL {
            self.end = Some(End::Broken(io::ErrorKind::InvalidData));
        }
        if !outgoing.is_empty() {
            // The next write gets the error.
            let _ = self.send(socket, outgoing);
        }
    }

    /// Encrypts a record into `sealed`, and returns its length.
    fn seal(&mut self, text: &[u8], kind: Kind, sealed: &mut Vec<u8>) -> io::Result<usize> {
        if let Some(End::Broken(kind)) = self.end {
            return Err(kind.into());
        }
        loop {
            let (connection, partial) = (&mut self.connection, &mut self.partial);
            let UnbufferedStatus { discard, state } = connection.process_tls_records(partial);
            let result = match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => Some(match kind {
                    Kind::Text => traffic.encrypt(text, sealed),
                    Kind::CloseNotify => traffic.queue_close_notify(sealed),
                }),
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    let mut outgoing = Vec::new();
                    encode(&mut data, &mut outgoing);
                    self.unsent.extend_from_slice(&outgoing);
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                // The stream has ended, or can't be decrypted any further.
                Ok(_) | Err(_) => return Err(io::ErrorKind::BrokenPipe.into()),
            };
            self.partial.drain(..discard);
            match result {
                None => {}
                Some(Ok(length)) => return Ok(length),
                Some(Err(EncryptError::InsufficientSize(InsufficientSizeError {
                    required_size,
                }))) if required_size > sealed.len() => sealed.resize(required_size, 0),
                Some(Err(_)) => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    fn send_text(
        &mut self,
        socket: &TcpStream,
        text: &[u8],
        sealed: &mut Vec<u8>,
    ) -> io::Result<()> {
        let length = self.seal(text, Kind::Text, sealed)?;
        self.send(socket, &sealed[..length])
    }

    /// Writes a record, and keeps what the socket doesn't take.
    fn send(&mut self, socket: &TcpStream, mut record: &[u8]) -> io::Result<()> {
        if self.unsent.is_empty() {
            match socket.try_write(record) {
                Ok(count) => record = &record[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent.extend_from_slice(record);
        Ok(())
    }

    /// Writes once of what the socket hasn't taken.
    fn flush(&mut self, socket: &TcpStream) -> io::Result<()> {
        let count = socket.try_write(&self.unsent)?;
        self.unsent.advance(count);
        if self.unsent.is_empty() {
            // This frees its memory.
            self.unsent = BytesMut::new();
            if self.is_finished {
                close_sending_side(socket);
            }
        }
        Ok(())
    }

    /// Makes room for another record: `WouldBlock` if there is none.
    fn flush_all(&mut self, socket: &TcpStream) -> io::Result<()> {
        while !self.unsent.is_empty() {
            self.flush(socket)?;
        }
        Ok(())
    }
}

fn close_sending_side(socket: &TcpStream) {
    // A peer that has gone needn't be told.
    let _ = SockRef::from(socket).shutdown(Shutdown::Write);
}
