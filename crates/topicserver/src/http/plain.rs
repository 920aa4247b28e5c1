//! What a request gets that isn't encrypted, where the server takes only what is; and how
//! browsers are told to use nothing else.

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use wire::ErrorCode;

use crate::http::context::HttpConnection;
use crate::http::problem::Problem;

/// The answer to a request that must be encrypted and isn't. Reading requests are sent to the
/// same place by https. Others aren't: their body has been sent in plain already, and nobody
/// would notice.
pub(super) fn refuse<B>(
    context: &HttpConnection,
    request: &Request<B>,
    host: Option<&str>,
) -> Option<Response> {
    let tls = context.state().tls();
    if context.is_secure || !tls.is_some_and(|tls| tls.is_required()) {
        return None;
    }
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let has_credential = request.headers().contains_key(AUTHORIZATION);
    let mut text = "this server speaks TLS only; use https".to_owned();
    if has_credential {
        text += "; your password or token was not encrypted, so replace it";
        let complaint = "a request sent a password or token that others may have read";
        context
            .state()
            .log_peer_error(context.peer, ErrorCode::TlsRequired, complaint);
    } else if let (true, Some(host)) = (is_reading, host) {
        let path = request.uri().path_and_query();
        let path = path.map_or("/", |path| path.as_str());
        let to = HeaderValue::try_from(format!("https://{host}{path}"));
        if let Ok(to) = to {
            return Some((StatusCode::PERMANENT_REDIRECT, [(LOCATION, to)]).into_response());
        }
    }
    let problem = Problem::new(StatusCode::FORBIDDEN, ErrorCode::TlsRequired, text);
    Some(problem.into_response())
}

/// Tells a browser to use https only for this host, if that is wanted.
pub(super) fn forbid(context: &HttpConnection, response: &mut Response) {
    let tls = context.state().tls().filter(|_| context.is_secure);
    if let Some(time) = tls.and_then(|tls| tls.hsts())
        && let Ok(value) = HeaderValue::try_from(format!("max-age={}", time.as_secs()))
    {
        response
            .headers_mut()
            .insert(STRICT_TRANSPORT_SECURITY, value);
    }
}
