//! The page, and what else lies ready in the program.

use axum::Extension;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use axum::response::{IntoResponse, Response};
use wire::ErrorCode;

use crate::http::accept::Wanted;
use crate::http::guard::CheckedHost;
use crate::http::problem::Problem;

/// What the page may do: load what is this server's, and talk to it. No script or
/// style within the page itself, so that nothing that somebody writes can become one.
fn page_policy(CheckedHost(host): &CheckedHost) -> String {
    // To some browsers, the page's own host over WebSocket is another one. The name was
    // checked: it is a host's and nothing else.
    let host = host.as_deref();
    let sockets = host.map_or(String::new(), |host| format!(" ws://{host} wss://{host}"));
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

const OPENAPI: &str = include_str!("openapi.json");

const USAGE: &str = "\
natter: talk by topic. This port speaks HTTP, WebSocket, and JSON over TCP.

  curl -d 'build is green' HOST:PORT/ci        say something
  curl -N HOST:PORT/ci                         listen; ?last=20, ?since=10m, ?poll=1
  curl HOST:PORT/-/topics                      what there is
  curl HOST:PORT/-/openapi.json                everything

In a browser this address is a page.
";

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal => $kind:expr),* $(,)?) => {
        [$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("page/", $name)) }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 10] = assets![
    "index.html" => HTML,
    "style.css" => "text/css; charset=utf-8",
    "icon.svg" => "image/svg+xml",
    "main.js" => SCRIPT,
    "link.js" => SCRIPT,
    "room.js" => SCRIPT,
    "view.js" => SCRIPT,
    "text.js" => SCRIPT,
    "keep.js" => SCRIPT,
    "qr.js" => SCRIPT,
];

/// At the root: the page for a browser, and a few words for everything else.
pub(crate) async fn index(Extension(host): Extension<CheckedHost>, headers: HeaderMap) -> Response {
    match Wanted::of(&headers) {
        Wanted::Page => page(&host),
        Wanted::Lines | Wanted::Events | Wanted::Text => USAGE.into_response(),
    }
}

/// The page, which finds out from its own address which topic it is at.
pub(crate) fn page(host: &CheckedHost) -> Response {
    let mut response = asset("index.html");
    if let Ok(policy) = page_policy(host).parse() {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

pub(crate) async fn icon() -> Response {
    asset("icon.svg")
}

pub(crate) async fn file(Path(name): Path<String>) -> Response {
    asset(&name)
}

pub(crate) async fn openapi() -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, kind)], OPENAPI).into_response()
}

fn asset(name: &str) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Problem::new(
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound,
            format!("the page has no file {name:?}"),
        )
        .into_response();
    };
    let headers = [
        (CONTENT_TYPE, asset.kind),
        // Asked for again each time: a new server brings a new page.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_asks_nobody_else() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes < 60_000, "{bytes} bytes");
        for Asset { name, bytes, .. } in ASSETS {
            let text = String::from_utf8_lossy(bytes);
            let without_namespace = text.replace("http://www.w3.org/2000/svg", "");
            for forbidden in [
                "//cdn",
                "https://",
                "http://",
                "innerHTML",
                "style=\"",
                "eval(",
            ] {
                assert!(
                    !without_namespace.contains(forbidden),
                    "{name}: {forbidden}"
                );
            }
        }
    }
}
