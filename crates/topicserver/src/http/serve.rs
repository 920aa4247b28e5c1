//! Requests of one connection, one after another, each guarded and routed.

use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tower_service::Service;

use crate::config::Config;
use crate::http::connection::{Io, lingering_close};
use crate::http::context::RequestContext;
use crate::http::guard::{self, Guard};
use crate::http::router;
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

/// Answers requests until the connection ends, or becomes a WebSocket, or the server
/// ends.
async fn serve(service: Arc<HttpService>, connection: Handover) {
    let Handover {
        reader,
        bytes,
        outbox,
        guard,
    } = connection;
    let Ok(local) = reader.local_addr() else {
        return;
    };
    let peer = outbox.peer();
    let context = Arc::new(RequestContext { guard, peer, local });
    let state = context.state().clone();
    let reader = Arc::new(reader);
    let write_timeout = state.config().write_timeout;
    let io = Io::new(reader.clone(), bytes, outbox.clone(), write_timeout);
    let answer = service_fn(move |request| answer(service.clone(), context.clone(), request));
    let connection = builder(state.config())
        .serve_connection(TokioIo::new(io), answer)
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
        lingering_close(&reader, &*outbox).await;
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
    service: Arc<HttpService>,
    context: Arc<RequestContext>,
    mut request: Request<Incoming>,
) -> Result<Response, std::convert::Infallible> {
    let origin = match service.guard.check(&request) {
        Ok(origin) => origin,
        Err(problem) => {
            context
                .state()
                .complain(context.peer, problem.code, &problem.text);
            return Ok(guard::refuse(problem));
        }
    };
    if let Some(response) = guard::preflight(&request, origin.as_ref()) {
        return Ok(guard::secure(response, origin));
    }
    request.extensions_mut().insert(context.clone());
    let mut router = service.router.clone();
    let response = router.call(request).await?;
    Ok(guard::secure(response, origin))
}
