//! HTTP on the same port: topics are paths, and the page lives here too.
//!
//! A connection's requests come here one after another. What a stream or a WebSocket
//! sends and gets goes through a session of its own, with the outbox and the rules of
//! every other one: nothing in here knows how messages are delivered.

mod accept;
mod assets;
mod connection;
mod guard;
mod info;
mod pipe;
mod problem;
mod publish;
mod query;
mod router;
mod sse;
mod stream;
mod websocket;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::tcp::OwnedReadHalf;
use tower_service::Service;

use crate::config::Config;
use crate::http::connection::{Io, linger};
use crate::http::guard::Guard;
use crate::session::protocol::Foreign;
use crate::state::{Place, Shared};

/// Header lines of a request. Browsers send about twenty, and proxies add some.
const MAX_HEADER_LINES: usize = 64;

/// The smallest read buffer that the HTTP library takes.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// What requests are answered with: made once for a server.
pub(crate) struct Web {
    router: Router,
    guard: Guard,
}

impl Web {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            router: router::router(),
            guard: Guard::new(config),
        }
    }
}

/// A connection on which requests come.
pub(crate) struct Visitor {
    place: Place,
    /// The client's end of the connection.
    peer: SocketAddr,
    /// The server's end.
    local: SocketAddr,
}

impl Visitor {
    fn shared(&self) -> &Arc<Shared> {
        self.place.shared()
    }

    fn config(&self) -> &Config {
        self.shared().config()
    }
}

/// Answers requests until the connection ends, or becomes a WebSocket, or the server
/// ends.
pub(crate) async fn serve(foreign: Foreign<OwnedReadHalf>) {
    let Foreign {
        reader,
        bytes,
        outbox,
        place,
    } = foreign;
    let Ok(local) = reader.local_addr() else {
        return;
    };
    let peer = outbox.peer();
    let visitor = Arc::new(Visitor { place, peer, local });
    let shared = visitor.shared().clone();
    let reader = Arc::new(reader);
    let write_timeout = shared.config().write_timeout;
    let io = Io::new(reader.clone(), bytes, outbox.clone(), write_timeout);
    let service = service_fn(move |request| answer(visitor.clone(), request));
    let connection = builder(shared.config())
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let result = {
        let mut connection = pin!(connection);
        tokio::select! {
            result = connection.as_mut() => result,
            () = outbox.closed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "the HTTP connection is lost");
    }
    // If it has become a WebSocket, somebody else has it now.
    if let Some(reader) = Arc::into_inner(reader) {
        linger(&reader, &*outbox).await;
    }
}

fn builder(config: &Config) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.registration_timeout)
        .max_headers(MAX_HEADER_LINES)
        .max_header_size(config.max_headers)
        .max_buf_size(SMALLEST_BUFFER.max(2 * config.max_headers));
    builder
}

/// Answers one request.
async fn answer(
    visitor: Arc<Visitor>,
    mut request: Request<Incoming>,
) -> Result<Response, std::convert::Infallible> {
    let web = visitor.shared().web();
    let origin = match web.guard.check(&request) {
        Ok(origin) => origin,
        Err(problem) => {
            visitor
                .shared()
                .complain(visitor.peer, problem.code, &problem.text);
            return Ok(guard::refuse(problem));
        }
    };
    if let Some(response) = guard::preflight(&request, origin.as_ref()) {
        return Ok(guard::secure(response, origin));
    }
    request.extensions_mut().insert(visitor.clone());
    let mut router = web.router.clone();
    let response = router.call(request).await?;
    Ok(guard::secure(response, origin))
}
