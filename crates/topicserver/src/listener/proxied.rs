//! Connections of trusted proxies, which first name the client that they forward.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use wire::ErrorCode;

use super::{Stream, local_session, session, turn_away};
use crate::access::proxy::{self, Header, ProxyError, Scan};
use crate::session::Session;
use crate::session::source::Source;
use crate::state::ConnectionGuard;

/// Nearly all headers fit.
const ROOM: usize = 256;

/// Why there is no header.
enum NoHeader {
    /// The connection ended before a complete header. Proxies open some only to check that the
    /// server is there.
    Gone,
    Wrong(ProxyError),
}

impl From<io::Error> for NoHeader {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<ProxyError> for NoHeader {
    fn from(error: ProxyError) -> Self {
        Self::Wrong(error)
    }
}

/// Reads the proxy's header, if there is one, and serves the connection for the client that it
/// names.
pub(super) async fn serve(
    mut stream: Stream,
    proxy: SocketAddr,
    mut guard: ConnectionGuard,
    refusals: Arc<Semaphore>,
) {
    let state = guard.state().clone();
    let mut first = BytesMut::new();
    let timeout = guard.config().registration_timeout;
    let reading = tokio::time::timeout(timeout, read_header(&mut stream, &mut first));
    let client = match Box::pin(reading).await {
        Ok(Ok(client)) => client,
        Ok(Err(NoHeader::Gone)) => return,
        Ok(Err(NoHeader::Wrong(error))) => {
            let code = ErrorCode::NotJson;
            let text = error.to_string();
            return turn_away(stream, proxy, code, &text, &state, &refusals);
        }
        Err(_) => {
            let code = ErrorCode::RegistrationTimeout;
            let text = format!("nothing complete came within {} s", timeout.as_secs());
            return turn_away(stream, proxy, code, &text, &state, &refusals);
        }
    };
    if let Some(client) = client {
        match state.assign(client) {
            Ok(permit) => guard.take_permit(permit),
            Err(refusal) => {
                let code = ErrorCode::TooManyConnections;
                let text = refusal.to_string();
                return turn_away(stream, client, code, &text, &state, &refusals);
            }
        }
    }
    let peer = client.unwrap_or(proxy);
    match stream {
        Stream::Tcp(stream) => {
            let session = begin(session(stream, peer, guard), &first);
            drop(first);
            Box::pin(session.enter()).await;
        }
        Stream::Unix(stream) => {
            let session = begin(local_session(stream, peer, guard), &first);
            drop(first);
            Box::pin(session.enter_private()).await;
        }
    }
}

/// Has a session begin with the bytes that were read already.
fn begin<R: Source>(mut session: Session<R>, first: &BytesMut) -> Session<R> {
    if !first.is_empty() {
        session.begin_with(first);
    }
    session
}

/// Reads until it is known whether there is a header. The bytes after it stay in `bytes`.
async fn read_header(
    stream: &mut Stream,
    bytes: &mut BytesMut,
) -> Result<Option<SocketAddr>, NoHeader> {
    loop {
        // A proxy may keep idle connections. Until one is used, it has no buffer.
        stream.socket().readable().await?;
        bytes.reserve(ROOM);
        let count = match stream {
            Stream::Tcp(stream) => stream.read_buf(bytes).await?,
            Stream::Unix(stream) => stream.read_buf(bytes).await?,
        };
        if count == 0 {
            return Err(NoHeader::Gone);
        }
        match proxy::scan(bytes)? {
            Scan::Partial => {}
            Scan::None => return Ok(None),
            Scan::Header(Header { length, client }) => {
                bytes.advance(length);
                return Ok(client);
            }
        }
    }
}
