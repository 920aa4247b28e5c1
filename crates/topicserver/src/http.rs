//! HTTP on the same port: topics are paths, and the page is served here too.
//!
//! A connection's requests come here one after another. A stream or a WebSocket leaves the HTTP
//! library when its request is known, and becomes a session straight on the socket, with the same
//! outbox and rules as every other session. So nothing here knows how messages are delivered.

mod accept;
mod answer;
mod assets;
mod auth;
mod body;
mod connection;
mod context;
mod cookie;
mod forwarded;
mod guard;
mod info;
mod lean;
mod login;
mod plain;
mod problem;
mod publish;
mod query;
mod range;
mod router;
mod serve;
mod several;
mod stream;
mod stream_reader;
mod takeover;
mod ticket;
mod websocket;
mod websocket_reader;

pub(crate) use serve::HttpService;

/// What the handlers read from a request's head, for the fuzz target.
#[cfg(any(fuzzing, test))]
pub(crate) fn fuzz_head(request: &axum::extract::Request<()>, config: &crate::config::Config) {
    use axum::extract::Query;
    use axum::http::HeaderValue;

    if let Ok(checked) = guard::Guard::new(config).check(request) {
        let cookie = cookie::Cookie::of(checked.host.as_deref(), true);
        let _ = cookie.values(request.headers()).count();
        let host = checked.host.unwrap_or_default();
        assert!(HeaderValue::from_str(&host).is_ok() && !host.contains([' ', ';', ',']));
    }
    let _ = accept::Wanted::of(request.headers());
    let _ = several::SeveralTopics::of(request.uri(), config.max_stream_topics);
    let Ok(Query(query)) = Query::<query::StreamQuery>::try_from_uri(request.uri()) else {
        return;
    };
    let name = request.uri().path().trim_start_matches('/');
    let Ok(topic) = wire::TopicName::new(name) else {
        return;
    };
    let id = request.headers().get("last-event-id");
    let id = id.and_then(|id| id.to_str().ok());
    let _ = (query.options(&[topic], id, u64::MAX), query.ending());
}
