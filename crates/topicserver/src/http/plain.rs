//! Requests in plain text where TLS is required: how they are answered, and how browsers are told
//! to use only https.

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use wire::ErrorCode;

use crate::http::context::HttpConnection;
use crate::http::problem::Problem;
use crate::http::ticket;

/// Where browsers send passwords and tokens to.
const LOGIN: &str = "/-/login";

/// The answer to a plain-text request where TLS is required. Reading requests are redirected to
/// https. Others are refused, because their body has been sent in plain text already, and after a
/// redirect nobody would notice.
pub(super) fn refuse<B>(
    context: &HttpConnection,
    request: &Request<B>,
    host: Option<&str>,
) -> Option<Response> {
    let tls = context.state().tls();
    let is_safe = context.is_secure || context.is_local;
    if is_safe || !tls.is_some_and(|tls| tls.is_required()) {
        return None;
    }
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_login = request.uri().path() == LOGIN && !is_reading;
    let has_header = request.headers().contains_key(AUTHORIZATION);
    let has_credential = has_header || is_login || ticket::is_in(request.uri());
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

/// Tells a browser to use only https for this host, with `--hsts`.
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
