//! What an administrator can ask for, and have done.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::Control;
use super::guard::refuse_pages;
use super::history;
use super::stats::stats;
use crate::exposition::{CONTENT_TYPE, exposition};
use crate::reload::ReloadError;

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

/// Answers when what is new is in force, with the difference; or with what is wrong with it.
async fn reload(State(control): State<Arc<Control>>) -> Response {
    let (status, text) = match control.reloader.reload_now().await {
        Ok(reloaded) => (StatusCode::OK, reloaded.to_string()),
        Err(error @ ReloadError::Mistakes(_)) => (StatusCode::CONFLICT, error.to_string()),
        Err(error @ ReloadError::Ending) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    };
    (status, text + "\n").into_response()
}

async fn drain(State(control): State<Arc<Control>>) -> Response {
    control.drain.notify_one();
    (StatusCode::ACCEPTED, "ending; the log says how it goes\n").into_response()
}
