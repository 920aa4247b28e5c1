//! Requests of one connection, one after another, each guarded and routed.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Parts};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tower_service::Service;
use wire::ErrorCode;

use crate::access::locality;
use crate::config::Config;
use crate::gate::Gate;
use crate::http::auth::{self, RequestVisitor};
use crate::http::connection::{Io, lingering_close};
use crate::http::context::{HttpConnection, RequestContext};
use crate::http::forwarded;
use crate::http::guard::{self, Checked, CheckedHost, Guard};
use crate::http::plain;
use crate::http::problem::Problem;
use crate::http::router;
use crate::http::takeover::{Forwarded, Seats, Slot, Takeover};
use crate::metrics::Speaks;
use crate::state::{Handover, ServeHttp, Serving};

/// Header lines of a request. Browsers send about twenty, and proxies add some.
const MAX_HEADER_LINES: usize = 64;

/// The smallest read buffer that the HTTP library takes.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// What requests are answered with: made once for a server.
pub(crate) struct HttpService {
    router: Router,
    guard: Guard,
}

impl ServeHttp for HttpService {
    fn serve(self: Arc<Self>, connection: Handover) -> Serving {
        Box::pin(serve(self, connection))
    }
}

impl HttpService {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            router: router::router(),
            guard: Guard::new(config),
        }
    }
}

/// Answers requests, and goes on with what the connection has become then, if it has.
/// For that, nothing of the HTTP library is kept.
async fn serve(service: Arc<HttpService>, connection: Handover) {
    if let Some(session) = Box::pin(answer_all(service, connection)).await {
        session.await;
    }
}

/// Answers requests until the connection ends, or becomes something else, or the server
/// ends.
async fn answer_all(service: Arc<HttpService>, connection: Handover) -> Option<Serving> {
    let Handover {
        reader,
        bytes,
        outbox,
        mut guard,
    } = connection;
    guard.counted().become_one(Speaks::Http, reader.is_secure());
    let local = reader.socket().local_addr().ok()?;
    let peer = outbox.peer();
    let context = Arc::new(HttpConnection {
        guard,
        peer,
        local,
        is_secure: reader.is_secure(),
    });
    let write_timeout = context.state().config().write_timeout;
    let io = Io::new(reader, bytes, outbox.clone(), write_timeout);
    let is_blocked = io.is_blocked();
    let slot = Slot::default();
    let answer = service_fn(|request| {
        let (service, context) = (service.clone(), context.clone());
        Box::pin(answer(service, context, slot.clone(), request))
    });
    let mut connection =
        builder(context.state().config()).serve_connection(TokioIo::new(io), answer);
    let mut closed = pin!(outbox.closed());
    let mut is_closing = false;
    let result = std::future::poll_fn(|cx| {
        if !is_closing && closed.as_mut().poll(cx).is_ready() {
            is_closing = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        let result = connection.poll_without_shutdown(cx);
        // Answers to earlier requests go out first.
        if slot.is_filled() && !is_blocked.load(Relaxed) {
            return Poll::Ready(Ok(()));
        }
        result
    })
    .await;
    let log = |error| tracing::debug!(%peer, %error, "the HTTP connection is lost");
    let pending = result.map_err(log).ok().and_then(|()| slot.take());
    let Parts { io, read_buf, .. } = connection.into_parts();
    let mut io = io.into_inner();
    let first = Bytes::from([read_buf, io.take_first()].concat());
    if let Some(pending) = pending
        && let Some(context) = Arc::into_inner(context)
    {
        return pending.begin(io, first, context.guard, outbox.clone());
    }
    lingering_close(&io.into_reader(), &*outbox).await;
    None
}

fn builder(config: &Config) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.registration_timeout)
        .max_headers(MAX_HEADER_LINES)
        .max_header_size(config.max_headers)
        // A client that has only finished sending gets its answer.
        .half_close(true)
        .max_buf_size(SMALLEST_BUFFER.max(2 * config.max_headers));
    builder
}

/// Answers one request.
async fn answer(
    service: Arc<HttpService>,
    connection: Arc<HttpConnection>,
    slot: Slot,
    mut request: Request<Incoming>,
) -> Result<Response, std::convert::Infallible> {
    let config = connection.state().config();
    let peer = match forwarded::client(request.headers(), connection.peer, config) {
        Ok(peer) => peer,
        Err(problem) => return Ok(refuse(&connection, connection.peer, problem)),
    };
    if !connection.state().access().lets_in(peer.ip()) {
        return Ok(refuse(&connection, peer, server_is_protected()));
    }
    let Checked { host, origin } = match service.guard.check(&request) {
        Ok(checked) => checked,
        Err(problem) => return Ok(refuse(&connection, peer, problem)),
    };
    if let Some(refused) = plain::refuse(&connection, &request, host.as_deref()) {
        return Ok(guard::close(guard::secure(refused, origin)));
    }
    if let Some(response) = guard::preflight(&request, origin.as_ref()) {
        return Ok(guard::secure(response, origin));
    }
    let context = RequestContext {
        connection: connection.clone(),
        peer,
    };
    let is_browser = auth::is_browser(request.headers());
    let visitor = match auth::visitor(&context, request.headers()).await {
        Ok(visitor) => visitor,
        Err(problem) => {
            let mut response = guard::secure(problem.into_response(), origin);
            auth::challenge(&mut response, is_browser);
            return Ok(response);
        }
    };
    request.extensions_mut().insert(visitor.clone());
    request.extensions_mut().insert(Arc::new(context));
    request.extensions_mut().insert(CheckedHost(host));
    let mut router = service.router.clone();
    let mut response = router.call(request).await?;
    let seats = match take_seats(&connection, peer, &visitor, &response) {
        Ok(seats) => seats,
        Err(problem) => {
            response = problem.into_response();
            Seats::default()
        }
    };
    let mut response = guard::secure(response, origin);
    auth::challenge(&mut response, is_browser);
    plain::forbid(&connection, &mut response);
    if slot.fill(&mut response, seats) {
        // The connection leaves the HTTP library, which waits for an answer till then.
        std::future::pending::<()>().await;
    }
    Ok(response)
}

/// A client outside the server's own network, where there are no accounts.
fn server_is_protected() -> Problem {
    let (status, code) = (StatusCode::FORBIDDEN, ErrorCode::Protected);
    Problem::new(status, code, locality::REFUSAL)
}

/// The answer to a request that isn't let in.
fn refuse(connection: &HttpConnection, peer: SocketAddr, problem: Problem) -> Response {
    let state = connection.state();
    state.log_peer_error(peer, problem.code, &problem.text);
    guard::refuse(problem)
}

/// A connection that becomes something else counts from now on for whoever has opened that,
/// and a proxy's as one of the client whom the proxy forwards. If they have too many, they
/// are told so instead.
fn take_seats(
    connection: &HttpConnection,
    client: SocketAddr,
    visitor: &RequestVisitor,
    response: &Response,
) -> Result<Seats, Problem> {
    if response.extensions().get::<Takeover>().is_none() {
        return Ok(Seats::default());
    }
    let state = connection.state();
    let limited = Gate::new(state, &visitor.0, client).connect()?;
    if client == connection.peer {
        return Ok(Seats {
            limited,
            forwarded: None,
        });
    }
    match state.assign(client) {
        Ok(place) => Ok(Seats {
            limited,
            forwarded: Some(Forwarded { client, place }),
        }),
        Err(refusal) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let (code, text) = (ErrorCode::TooManyConnections, refusal.to_string());
            state.log_peer_error(client, code, &text);
            Err(Problem::new(status, code, text))
        }
    }
}
