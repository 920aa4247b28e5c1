//! What an administrator can ask for, and have done.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::Control;
use super::exposition::{CONTENT_TYPE, exposition};
use super::guard::refuse_pages;
use super::history;
use super::stats::stats;

pub(super) fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/-/stats", get(statistics))
        .route("/-/health", get(health))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .route("/-/drain", post(drain))
        .merge(history::router())
        .layer(middleware::from_fn(refuse_pages))
        .with_state(control)
}

async fn metrics(State(control): State<Arc<Control>>) -> Response {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))];
    match exposition(&control.state) {
        Ok(text) => (headers, text).into_response(),
        // Writing into memory can't fail.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn statistics(State(control): State<Arc<Control>>) -> Response {
    axum::Json(stats(&control.state)).into_response()
}

async fn health() -> Response {
    axum::Json(serde_json::json!({"status": "ok"})).into_response()
}

async fn ready(State(control): State<Arc<Control>>) -> Response {
    let readiness = control.state.readiness();
    let status = match readiness.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, axum::Json(readiness)).into_response()
}

/// What came of it is in the log.
async fn reload(State(control): State<Arc<Control>>) -> Response {
    (control.reload)();
    (
        StatusCode::ACCEPTED,
        "reading the files again; the log says what has changed\n",
    )
        .into_response()
}

async fn drain(State(control): State<Arc<Control>>) -> Response {
    control.drain.notify_one();
    (StatusCode::ACCEPTED, "ending; the log says how it goes\n").into_response()
}
