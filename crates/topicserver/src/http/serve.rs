//! Requests of one connection, one after another, each guarded and routed.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::HeaderValue;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Parts};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use tower_service::Service;
use wire::ErrorCode;

use crate::access::{Principal, locality};
use crate::config::Config;
use crate::gate::Gate;
use crate::http::auth::{self, Caller};
use crate::http::connection::{Io, lingering_close};
use crate::http::context::{HttpConnection, RequestContext};
use crate::http::cookie::Cookie;
use crate::http::forwarded;
use crate::http::guard::{self, Checked, CheckedHost, Guard, Site};
use crate::http::plain;
use crate::http::problem::Problem;
use crate::http::router;
use crate::http::takeover::{Forwarded, Permits, Slot, Takeover};
use crate::http::ticket;
use crate::metrics::Speaks;
use crate::peer::Shown;
use crate::state::{Handover, ServeHttp, Serving};

/// Header lines of a request. Browsers send about twenty, and proxies add some.
const MAX_HEADER_LINES: usize = 64;

/// The smallest read buffer that the HTTP library takes.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// The HTTP service, made once for a server.
pub(crate) struct HttpService {
    router: Router,
    /// By the configuration in force.
    guard: RwLock<Arc<Guard>>,
}

impl ServeHttp for HttpService {
    fn serve(self: Arc<Self>, connection: Handover) -> Serving {
        Box::pin(serve(self, connection))
    }

    fn follow(&self, config: &Config) {
        *self.guard.write() = Arc::new(Guard::new(config));
    }
}

impl HttpService {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            router: router::router(),
            guard: RwLock::new(Arc::new(Guard::new(config))),
        }
    }
}

/// Answers requests. If the connection becomes a stream or a WebSocket, runs that; nothing of the
/// HTTP library is kept meanwhile.
async fn serve(service: Arc<HttpService>, connection: Handover) {
    if let Some(session) = Box::pin(answer_all(service, connection)).await {
        session.await;
    }
}

/// Answers requests until the connection ends, leaves HTTP, or the server ends.
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
        is_local: reader.is_local(),
    });
    let write_timeout = context.guard.config().write_timeout;
    let io = Io::new(reader, bytes, outbox.clone(), write_timeout);
    let is_blocked = io.is_blocked();
    let slot = Slot::default();
    let answer = service_fn(|request| {
        let (service, context) = (service.clone(), context.clone());
        Box::pin(answer(service, context, slot.clone(), request))
    });
    let mut connection = builder(context.guard.config()).serve_connection(TokioIo::new(io), answer);
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
    let peer = Shown(peer);
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
    let guard = service.guard.read().clone();
    let LetIn {
        context,
        host,
        origin,
    } = match let_in(&guard, &connection, &request) {
        Ok(let_in) => let_in,
        Err(response) => return Ok(*response),
    };
    let peer = context.peer;
    let is_browser = auth::is_browser(request.headers());
    let caller = match identify(&context, &mut request).await {
        Ok(caller) => caller,
        Err(problem) => {
            let mut response = guard::secure(problem.into_response(), origin);
            auth::challenge(&mut response, is_browser);
            return Ok(response);
        }
    };
    let context = Arc::new(context);
    request.extensions_mut().insert(caller.clone());
    request.extensions_mut().insert(context.clone());
    request.extensions_mut().insert(CheckedHost {
        host,
        sockets: guard.sockets(),
    });
    let mut router = service.router.clone();
    let mut response = router.call(request).await?;
    let permits = match take_permits(&connection, peer, caller.principal(), &response) {
        Ok(permits) => permits,
        Err(problem) => {
            response = problem.into_response();
            Permits::default()
        }
    };
    // Not before the page was told: it couldn't say why it asks who one is.
    if caller.is_over() && response.status() == StatusCode::UNAUTHORIZED {
        context.cookie.clear(&mut response);
    }
    // It holds the connection, which goes on without this request.
    drop(context);
    let mut response = guard::secure(response, origin);
    auth::challenge(&mut response, is_browser);
    plain::forbid(&connection, &mut response);
    if slot.fill(&mut response, permits) {
        // The connection leaves the HTTP library, which waits for an answer until then.
        std::future::pending::<()>().await;
    }
    Ok(response)
}

/// A request that may be looked at.
struct LetIn {
    context: RequestContext,
    host: Option<String>,
    origin: Option<HeaderValue>,
}

/// Lets a request in, or answers it: whoever sends it, and whatever it asks for.
fn let_in(
    guard: &Guard,
    connection: &Arc<HttpConnection>,
    request: &Request<Incoming>,
) -> Result<LetIn, Box<Response>> {
    let (config, headers) = (connection.state().config(), request.headers());
    let refuse = |peer, problem| Box::new(refuse(connection, peer, problem));
    let peer = forwarded::client(headers, connection.peer, &config)
        .map_err(|problem| refuse(connection.peer, problem))?;
    if !connection.state().access().lets_in(peer.ip()) {
        return Err(refuse(peer, server_is_protected()));
    }
    let checked = guard.check(request);
    let Checked { host, origin } = checked.map_err(|problem| refuse(peer, problem))?;
    if let Some(refused) = plain::refuse(connection, request, host.as_deref()) {
        return Err(Box::new(guard::close(guard::secure(refused, origin))));
    }
    if let Some(response) = guard::preflight(request, origin.as_ref()) {
        return Err(Box::new(guard::secure(response, origin)));
    }
    let is_secure = connection.is_secure || forwarded::is_https(headers, connection.peer, &config);
    let context = RequestContext {
        connection: connection.clone(),
        peer,
        site: Site::of(headers, origin.is_some(), is_secure),
        cookie: Cookie::of(host.as_deref(), is_secure),
        config,
    };
    Ok(LetIn {
        context,
        host,
        origin,
    })
}

/// Finds out who has sent a request. A ticket is in it no longer then.
async fn identify(
    context: &RequestContext,
    request: &mut Request<Incoming>,
) -> Result<Caller, Problem> {
    let ticket = ticket::take(request)?;
    auth::caller(context, request.method(), request.headers(), ticket).await
}

/// A client outside the server's own network, where there are no accounts.
fn server_is_protected() -> Problem {
    let (status, code) = (StatusCode::FORBIDDEN, ErrorCode::Protected);
    Problem::new(status, code, locality::REFUSAL)
}

/// Logs that a request is refused, and answers it.
fn refuse(connection: &HttpConnection, peer: SocketAddr, problem: Problem) -> Response {
    let state = connection.state();
    state.log_peer_error(peer, problem.code, &problem.text);
    guard::refuse(problem)
}

/// Counts a connection that leaves HTTP for the principal that has opened it. A proxy's
/// connection also counts for the client that the proxy forwards. If there are too many, the
/// answer is an error.
fn take_permits(
    connection: &HttpConnection,
    client: SocketAddr,
    principal: &Principal,
    response: &Response,
) -> Result<Permits, Problem> {
    if response.extensions().get::<Takeover>().is_none() {
        return Ok(Permits::default());
    }
    let state = connection.state();
    let limited = Gate::new(state, principal, client).connect()?;
    if client == connection.peer {
        return Ok(Permits {
            limited,
            forwarded: None,
        });
    }
    match state.assign(client) {
        Ok(permit) => Ok(Permits {
            limited,
            forwarded: Some(Forwarded { client, permit }),
        }),
        Err(refusal) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let (code, text) = (ErrorCode::TooManyConnections, refusal.to_string());
            state.log_peer_error(client, code, &text);
            Err(Problem::new(status, code, text))
        }
    }
}
