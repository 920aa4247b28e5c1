//! No web page is an administrator: what a browser sends for one is refused.

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// A header that browsers send with every request, and nothing else does.
const FETCH_SITE: &str = "sec-fetch-site";

pub(super) async fn refuse_pages(request: Request, next: Next) -> Response {
    match is_of_page(request.headers()) || !is_by_address(request.headers()) {
        true => (
            StatusCode::FORBIDDEN,
            "this is for programs, not for web pages, and only under its address\n",
        )
            .into_response(),
        false => next.run(request).await,
    }
}

/// Whether a page of any site asks: even one that the browser's user only looks at can.
/// Somebody who types the address into the browser may see it.
fn is_of_page(headers: &HeaderMap) -> bool {
    let site = headers.get(FETCH_SITE);
    headers.contains_key(ORIGIN) || site.is_some_and(|site| site != "none")
}

/// Whether the host is an address or `localhost`. Another name may be a site's that lets its
/// name lead here.
fn is_by_address(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else {
        return true;
    };
    let host = host.to_str().unwrap_or("?");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    name.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || inner.unwrap_or(name).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        lines.iter().map(header).collect()
    }

    #[test]
    fn programs_may_ask_and_pages_may_not() {
        for host in [
            "127.0.0.1:20001",
            "[::1]:20001",
            "[::1]",
            "localhost",
            "LOCALHOST:1",
            "",
        ] {
            assert!(is_by_address(&headers(&[("host", host)])), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:20001",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_by_address(&headers(&[("host", host)])), "{host}");
        }
        assert!(!is_of_page(&headers(&[("host", "127.0.0.1")])));
        assert!(!is_of_page(&headers(&[("sec-fetch-site", "none")])));
        for page in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "same-origin"),
        ] {
            assert!(is_of_page(&headers(&[page])), "{page:?}");
        }
    }
}
