//! `/-/ws`: the same frames as over TCP, each in a text message, with a session like every other.

use axum::http::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use wire::ErrorCode;

use crate::http::auth::RequestPrincipal;
use crate::http::problem::Problem;
use crate::http::takeover::Takeover;
use crate::websocket::handshake;

/// The only version of the protocol.
const VERSION: &str = "13";

pub(crate) async fn open(
    RequestPrincipal(principal): RequestPrincipal,
    method: Method,
    version: Version,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let is_get = method == Method::GET && version >= Version::HTTP_11;
    if !is_get || !says(&headers, &CONNECTION, "upgrade") || !says(&headers, &UPGRADE, "websocket")
    {
        let text = "here is a WebSocket: ask with GET and the headers of a WebSocket's client";
        return Err(Problem::bad_request(text));
    }
    if !says(&headers, &SEC_WEBSOCKET_VERSION, VERSION) {
        let text = format!("the version of WebSocket is {VERSION}");
        let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, ErrorCode::BadRequest, text);
        let known = [(SEC_WEBSOCKET_VERSION, VERSION)];
        return Ok((known, problem).into_response());
    }
    let key = headers.get(SEC_WEBSOCKET_KEY);
    let accepted = key
        .and_then(|key| handshake::accept(key.as_bytes()))
        .and_then(|accepted| HeaderValue::try_from(accepted).ok())
        .ok_or_else(|| Problem::bad_request("Sec-WebSocket-Key is sixteen bytes in base 64"))?;
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let answer = response.headers_mut();
    answer.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    response
        .extensions_mut()
        .insert(Takeover::WebSocket(principal));
    Ok(response)
}

/// Whether a header's list has this word.
fn says(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut words = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    words.any(|said| said.trim().eq_ignore_ascii_case(word))
}
