//! An outbox for the single answer to a request.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::outbox::transport::Transport;
use crate::outbox::{Outbox, SharedOutbox};
use crate::queues::QueueLimits;

/// An outbox for an answer to `peer`, and the receiver of the first line sent there.
pub(super) fn asker(peer: SocketAddr) -> (SharedOutbox, oneshot::Receiver<Vec<u8>>) {
    let (sender, answer) = oneshot::channel();
    let sender = AnswerSender(Mutex::new(Some(sender)));
    // It takes all bytes at once, so nothing is queued.
    let limits = QueueLimits::of_one(0);
    (Arc::new(Outbox::new(sender, peer, limits)), answer)
}

struct AnswerSender(Mutex<Option<oneshot::Sender<Vec<u8>>>>);

impl Transport for AnswerSender {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let sender = self.0.lock().take().ok_or(io::ErrorKind::BrokenPipe)?;
        // The request may have been cancelled.
        let _ = sender.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        self.try_write(&all)
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn finish(&self) {}

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::UNSPECIFIED, 0).into())
    }
}
