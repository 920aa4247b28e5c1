//! A connection that begins with a TLS handshake. After the handshake a new session runs on the
//! decrypted stream.

use std::sync::Arc;

use crate::metrics::{self, Count, Speaks};
use crate::outbox::Outbox;
use crate::peer::Shown;
use crate::session::Session;
use crate::state::Handover;
use crate::tls::handshake::HandshakeError;
use crate::tls::reader::{Reader, TlsReader, TlsWriter};

/// The code of these errors in the log.
const CODE: &str = "tls-handshake";

/// Answers the handshake. The connection stays counted. Its first outbox only tells it that the
/// server is ending.
pub(super) async fn accept(connection: Handover) {
    let Handover {
        reader,
        bytes,
        outbox,
        mut guard,
    } = connection;
    let state = guard.state().clone();
    let (Reader::Plain(socket), Some(tls)) = (reader, state.tls()) else {
        return;
    };
    let accepted = tokio::select! {
        () = outbox.closed() => return,
        accepted = tls.accept(socket.as_ref(), &bytes) => accepted,
    };
    let peer = outbox.peer();
    if accepted.is_err() {
        metrics::count(Count::HandshakesFailed, 1);
    }
    match accepted {
        Ok(accepted) => {
            metrics::count(Count::HandshakesDone, 1);
            guard.counted().become_one(Speaks::Tcp, true);
            let stream = accepted.into_stream(socket);
            let limits = state.queue_limits().clone();
            let outbox = Arc::new(Outbox::new(TlsWriter(stream.clone()), peer, limits));
            let session = Session::new(TlsReader(stream), outbox, guard);
            // In a new task, because this one is as large as the handshake needs.
            tokio::spawn(session.enter_private());
        }
        Err(HandshakeError::Gone(error)) => {
            let peer = Shown(peer);
            tracing::debug!(%peer, %error, "the connection ended within the TLS handshake");
        }
        Err(error) => {
            state.log_peer_error(peer, CODE, &error.to_string());
            tls.hang_up(socket.as_ref()).await;
        }
    }
}
