//! The routes. `openapi.json` describes them for people and programs, and a test compares both.

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{any, get, post};
use wire::ErrorCode;

use crate::http::problem::Problem;
use crate::http::publish::publish;
use crate::http::{assets, info, login, stream, websocket};

/// Topics are paths. The server's own routes are under `/-/`.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(assets::index).post(no_topic).put(no_topic))
        .route("/favicon.ico", get(assets::icon))
        .route("/-/health", get(info::health))
        .route("/-/ready", get(info::ready))
        .route("/-/metrics", get(info::metrics))
        .route("/-/topics", get(info::topics))
        .route("/-/topics/{topic}/who", get(info::who))
        .route("/-/stream", get(stream::open_several))
        .route("/-/ws", get(websocket::open))
        .route("/-/login", get(login::who).post(login::log_in))
        .route("/-/logout", post(login::log_out))
        .route("/-/ticket", post(login::ticket))
        .route("/-/openapi.json", get(assets::openapi))
        .route("/-/page/{file}", get(assets::file))
        .route("/-", any(nothing_here))
        .route("/-/", any(nothing_here))
        .route("/-/{*rest}", any(nothing_here))
        .route("/{*topic}", get(stream::open).post(publish).put(publish))
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here)
}

async fn no_topic() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        ErrorCode::BadTopic,
        "the path names the topic, as in /lab",
    )
}

async fn nothing_here(uri: Uri) -> Problem {
    Problem::nothing_at(uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::MethodNotAllowed,
        format!("{:?} doesn't take {method}", uri.path()),
    )
}
