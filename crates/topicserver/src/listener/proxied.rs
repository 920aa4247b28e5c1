//! Connections of trusted proxies, which first name the client that they forward.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use wire::ErrorCode;

use super::{Stream, session, turn_away};
use crate::access::proxy::{self, Header, ProxyError, Scan};
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
    mut stream: TcpStream,
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
            return turn_away(
                Stream::Tcp(stream),
                proxy,
                code,
                &error.to_string(),
                &state,
                &refusals,
            );
        }
        Err(_) => {
            let code = ErrorCode::RegistrationTimeout;
            let text = format!("nothing complete came within {} s", timeout.as_secs());
            return turn_away(Stream::Tcp(stream), proxy, code, &text, &state, &refusals);
        }
    };
    if let Some(client) = client {
        match state.assign(client) {
            Ok(permit) => guard.take_permit(permit),
            Err(refusal) => {
                let code = ErrorCode::TooManyConnections;
                let text = refusal.to_string();
                return turn_away(Stream::Tcp(stream), client, code, &text, &state, &refusals);
            }
        }
    }
    let mut session = session(stream, client.unwrap_or(proxy), guard);
    if !first.is_empty() {
        session.begin_with(&first);
    }
    drop(first);
    Box::pin(session.enter()).await;
}

/// Reads until it is known whether there is a header. The bytes after it stay in `bytes`.
async fn read_header(
    stream: &mut TcpStream,
    bytes: &mut BytesMut,
) -> Result<Option<SocketAddr>, NoHeader> {
    loop {
        // A proxy may keep idle connections. Until one is used, it has no buffer.
        stream.readable().await?;
        bytes.reserve(ROOM);
        if stream.read_buf(bytes).await? == 0 {
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
