//! The page and the other static files, which are part of the program.

use axum::Extension;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use wire::ErrorCode;

use crate::http::accept::Wanted;
use crate::http::guard::CheckedHost;
use crate::http::lean;
use crate::http::problem::Problem;

/// The content security policy of the page: it may load files of this server, and connect to it
/// and to the WebSockets of allowed sites. Inline scripts and styles are forbidden, so that no text of a user can become one.
fn page_policy(CheckedHost { host, sockets }: &CheckedHost) -> String {
    // Some browsers take the page's own host over WebSocket for another site. The name was
    // checked, so it is a host and nothing else.
    let own = host.iter().map(|host| format!(" ws://{host} wss://{host}"));
    let others = sockets.iter().map(|socket| format!(" {socket}"));
    let sockets: String = own.chain(others).collect();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'{sockets}; manifest-src 'self'; \
         worker-src 'self'; base-uri 'none'; form-action 'none'; \
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

impl Asset {
    /// The file as it is served.
    fn served(&self) -> Bytes {
        let language = match self.kind {
            SCRIPT => lean::SCRIPT,
            STYLE => lean::STYLE,
            HTML => lean::PAGE,
            _ => return Bytes::from_static(self.bytes),
        };
        match std::str::from_utf8(self.bytes) {
            Ok(text) => lean::lean(text, language).into(),
            Err(_) => Bytes::from_static(self.bytes),
        }
    }
}

macro_rules! assets {
    ($($name:literal => $kind:expr),* $(,)?) => {
        [$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("page/", $name)) }),*]
    };
}

/// The shared worker: one for all tabs of a browser.
const WORKER: &str = "worker.js";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const STYLE: &str = "text/css; charset=utf-8";
const PNG: &str = "image/png";
const SVG: &str = "image/svg+xml";

static ASSETS: [Asset; 27] = assets![
    "index.html" => HTML,
    "style.css" => STYLE,
    "manifest.webmanifest" => "application/manifest+json",
    "icon.svg" => SVG,
    "icon-unread.svg" => SVG,
    "icon-180.png" => PNG,
    "icon-512.png" => PNG,
    "attention.js" => SCRIPT,
    "commands.js" => SCRIPT,
    "composer.js" => SCRIPT,
    "dialogs.js" => SCRIPT,
    "finder.js" => SCRIPT,
    "hub.js" => SCRIPT,
    "keep.js" => SCRIPT,
    "login.js" => SCRIPT,
    "main.js" => SCRIPT,
    "message.js" => SCRIPT,
    "pace.js" => SCRIPT,
    "people.js" => SCRIPT,
    "port.js" => SCRIPT,
    "qr.js" => SCRIPT,
    "sidebar.js" => SCRIPT,
    "text.js" => SCRIPT,
    "timeline.js" => SCRIPT,
    "topic.js" => SCRIPT,
    "worker.js" => SCRIPT,
    // The client library, a link to that in clients/js, so that the published crate has it.
    "natter.js" => SCRIPT,
];

/// All files of the page.
fn assets() -> impl Iterator<Item = &'static Asset> {
    ASSETS.iter()
}

/// The root path: the page for a browser, a short text for other clients.
pub(crate) async fn index(Extension(host): Extension<CheckedHost>, headers: HeaderMap) -> Response {
    match Wanted::of(&headers) {
        Wanted::Page => page(&host),
        Wanted::Lines | Wanted::Events | Wanted::Text => USAGE.into_response(),
    }
}

/// The page. It reads the topic from its own address.
pub(crate) fn page(host: &CheckedHost) -> Response {
    with_policy(asset("index.html"), host)
}

fn with_policy(mut response: Response, host: &CheckedHost) -> Response {
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

pub(crate) async fn file(
    Path(name): Path<String>,
    Extension(host): Extension<CheckedHost>,
) -> Response {
    // A shared worker needs its own policy.
    match name.as_str() {
        WORKER => with_policy(asset(WORKER), &host),
        name => asset(name),
    }
}

pub(crate) async fn openapi() -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, kind)], OPENAPI).into_response()
}

fn asset(name: &str) -> Response {
    let Some(asset) = assets().find(|asset| asset.name == name) else {
        return Problem::new(
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound,
            format!("the page has no file {name:?}"),
        )
        .into_response();
    };
    let headers = [
        (CONTENT_TYPE, asset.kind),
        // Browsers ask again each time, because a new server has a new page.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, asset.served()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_asks_nobody_else() {
        let bytes: usize = assets().map(|asset| asset.served().len()).sum();
        assert!(bytes < 100_000, "{bytes} bytes");
        for Asset { name, bytes, .. } in assets() {
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

    /// Only comments and indentation may be removed.
    #[test]
    fn no_text_of_a_script_goes_over_several_lines() {
        for Asset { name, kind, bytes } in assets().filter(|asset| asset.kind == SCRIPT) {
            let text = String::from_utf8_lossy(bytes);
            assert!(kind.starts_with("text/javascript"));
            for line in text.lines().map(str::trim) {
                let code = line.split(" // ").next().unwrap();
                let is_comment = code.starts_with("//");
                // A regular expression or a string may hold one.
                let exempt =
                    code.contains("/^```") || code.contains("\"`\"") || code.contains("'`");
                let ticks = code.matches('`').count();
                assert!(is_comment || exempt || ticks % 2 == 0, "{name}: {line}");
            }
        }
    }
}
