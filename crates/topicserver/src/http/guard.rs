//! Which requests are served: those of every program, and those of web pages from this server or
//! from an allowed site. Without this, any page that a user opens could read and write in the
//! user's network.
//!
//! There are two checks, and both only concern browsers. `Origin` names the site of the page that
//! sends the request. `Host` is the name under which the server was reached: another name than
//! its own may belong to a site that points its name here (DNS rebinding).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use wire::ErrorCode;

use crate::config::Config;
use crate::http::problem::Problem;

/// By which a browser says whether a page of another site asks.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Load balancers request this path, under any host name. The answer tells nothing about
/// messages.
const ASKED_BY_BALANCERS: [&str; 2] = ["/-/health", "/-/ready"];

/// The sites and names that are allowed in addition to the server's own.
pub(crate) struct Guard {
    origins: Vec<String>,
    sockets: Arc<[String]>,
    hosts: Vec<String>,
}

/// The checked parts of a request. No other part of it may go into a header of the answer.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The host and port under which the server was reached.
    pub(crate) host: Option<String>,
    /// The site whose page asks and is allowed to, if it isn't our own.
    pub(crate) origin: Option<HeaderValue>,
}

/// Whose page sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// The server's own.
    Own,
    /// That of another site, which is allowed to.
    Other,
    /// Nothing says so: it is a program, or a browser that reads.
    Unsaid,
}

impl Site {
    /// Of a request that was checked. A page that came without TLS, where somebody on the way
    /// could change it, is not the page that comes with TLS.
    pub(crate) fn of(headers: &HeaderMap, is_other: bool, is_secure: bool) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        match text(&header::ORIGIN) {
            _ if is_other => Self::Other,
            Some(origin) if is_secure && !origin.starts_with("https://") => Self::Other,
            Some(_) => Self::Own,
            None if text(&SEC_FETCH_SITE) == Some("same-origin") => Self::Own,
            None => Self::Unsaid,
        }
    }
}

/// The checked host, for a request's handler.
#[derive(Clone, Debug)]
pub(crate) struct CheckedHost {
    /// The host and port under which the server was reached.
    pub(crate) host: Option<String>,
    /// WebSockets of other sites to which the page may connect.
    pub(crate) sockets: Arc<[String]>,
}

impl Guard {
    pub(crate) fn new(config: &Config) -> Self {
        let mut hosts: Vec<_> = config
            .allow_hosts
            .iter()
            .map(|host| host.to_ascii_lowercase())
            .collect();
        if let Some(name) = &config.host_name {
            let name = name.to_ascii_lowercase();
            if let Some((short, _)) = name.split_once('.') {
                hosts.push(format!("{short}.local"));
                hosts.push(short.to_owned());
            }
            hosts.push(format!("{name}.local"));
            hosts.push(name);
        }
        Self {
            sockets: config
                .allow_origins
                .iter()
                .filter_map(|o| socket_of(o))
                .collect(),
            origins: config.allow_origins.clone(),
            hosts,
        }
    }

    /// Where the page may connect, beside its own server. An allowed site may be another server of
    /// the same service, to which this one sends its clients.
    pub(crate) fn sockets(&self) -> Arc<[String]> {
        self.sockets.clone()
    }

    /// Checks a request. Returns the parts that may go into the answer.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<Checked, Problem> {
        let host = host_of(request)?;
        if let Some(host) = &host
            && !ASKED_BY_BALANCERS.contains(&request.uri().path())
        {
            self.check_host(host)?;
        }
        let origin = self.check_origin(request, host.as_deref())?;
        Ok(Checked { host, origin })
    }

    /// The site whose page asks and is allowed to, if it isn't our own.
    fn check_origin<B>(
        &self,
        request: &Request<B>,
        host: Option<&str>,
    ) -> Result<Option<HeaderValue>, Problem> {
        let Some(origin) = single(request.headers(), &header::ORIGIN)? else {
            return match is_of_another_site(request.headers()) {
                true => Err(forbidden_origin("another site")),
                false => Ok(None),
            };
        };
        let text = origin.to_str().unwrap_or_default();
        if host.is_some_and(|host| is_same(text, host)) {
            return Ok(None);
        }
        if self.origins.iter().any(|allowed| allowed == text) {
            return Ok(Some(origin.clone()));
        }
        Err(forbidden_origin(text))
    }

    fn check_host(&self, host: &str) -> Result<(), Problem> {
        let name = name_of(host).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let is_address = || {
            let inner = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
            inner.unwrap_or(name).parse::<IpAddr>().is_ok()
        };
        let is_local = || name == "localhost" || name.ends_with(".localhost");
        if is_address() || is_local() || self.hosts.iter().any(|allowed| allowed == name) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            ErrorCode::ForbiddenHost,
            format!(
                "this server isn't known as {name:?}; use its address, or start it with \
                 --allow-host and that name"
            ),
        ))
    }
}

fn forbidden_origin(origin: &str) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        ErrorCode::ForbiddenOrigin,
        format!(
            "a page of {origin:?} may not use this server; start it with --allow-origin and \
             that to let it"
        ),
    )
}

/// Whether a browser says that a page of another site loads this as a part of itself, such as a
/// picture. The browser doesn't name the site then. Following a link doesn't count.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let says = |name: &str, values: &[&str]| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| values.contains(&value))
    };
    says("sec-fetch-site", &["cross-site", "same-site"]) && !says("sec-fetch-mode", &["navigate"])
}

/// The host and port under which the server was reached; HTTP/1.0 may leave them out.
fn host_of<B>(request: &Request<B>) -> Result<Option<String>, Problem> {
    let host = single(request.headers(), &header::HOST)?;
    if let Some(authority) = request.uri().authority() {
        return checked_host(Some(authority.as_str()));
    }
    if host.is_none() && request.version() >= axum::http::Version::HTTP_11 {
        return Err(Problem::bad_request("a request says its Host"));
    }
    match host {
        Some(host) => checked_host(host.to_str().ok()),
        None => Ok(None),
    }
}

/// Checks that a host has only allowed characters.
fn checked_host(host: Option<&str>) -> Result<Option<String>, Problem> {
    match host {
        Some(host) if host.bytes().all(is_of_host) => Ok(Some(host.to_owned())),
        _ => Err(Problem::bad_request("Host is a name or an address")),
    }
}

/// The characters of a host and its port.
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte)
}

/// A header that may come only once. If it came twice, two programs could each take another one.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        Some(_) => Err(Problem::bad_request(format!("{name} comes twice"))),
        None => Ok(first),
    }
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

/// Whether an origin is the page of this server under the same name and port.
fn is_same(origin: &str, host: &str) -> bool {
    let (rest, default) = match origin.split_once("://") {
        Some(("http", rest)) => (rest, ":80"),
        Some(("https", rest)) => (rest, ":443"),
        _ => return false,
    };
    let host = host.strip_suffix(default).unwrap_or(host);
    rest.eq_ignore_ascii_case(host)
}

/// The WebSockets of a site: its origin with another scheme.
fn socket_of(origin: &str) -> Option<String> {
    let (scheme, host) = origin.split_once("://")?;
    let scheme = match scheme {
        "http" => "ws",
        "https" => "wss",
        _ => return None,
    };
    // It becomes a part of a header.
    host.bytes()
        .all(is_of_host)
        .then(|| format!("{scheme}://{host}"))
}

/// The answer to a browser's preflight request for a page of another site.
pub(crate) fn preflight<B>(request: &Request<B>, origin: Option<&HeaderValue>) -> Option<Response> {
    let is_preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    (is_preflight && origin.is_some()).then(|| {
        let headers = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT"),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, last-event-id",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        (StatusCode::NO_CONTENT, headers).into_response()
    })
}

/// The answer to a request that isn't allowed. Later bytes of the connection aren't read, because
/// another site may have smuggled them in.
pub(crate) fn refuse(problem: Problem) -> Response {
    close(secure(problem.into_response(), None))
}

/// An answer after which the connection is closed.
pub(crate) fn close(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// Adds the headers that every answer has for browsers.
pub(crate) fn secure(mut response: Response, origin: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::CACHE_CONTROL, "no-store");
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    set(header::VARY, "origin, accept");
    let resources = HeaderName::from_static("cross-origin-resource-policy");
    match origin {
        None => set(resources, "same-origin"),
        Some(origin) => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new(&Config {
            allow_origins: vec!["https://wiki.example".into()],
            allow_hosts: vec!["Chat.Example".into()],
            host_name: Some("box.lab".into()),
            ..Config::default()
        })
    }

    fn check(host: Option<&str>, origin: Option<&str>) -> Result<bool, ErrorCode> {
        let mut request = Request::builder().uri("/lab");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let checked = guard().check(&request.body(()).unwrap());
        checked
            .map(|c| c.origin.is_some())
            .map_err(|problem| problem.code)
    }

    #[test]
    fn a_server_is_known_by_its_addresses_and_names() {
        for host in [
            "127.0.0.1:20000",
            "[::1]:20000",
            "[::1]",
            "10.1.2.3",
            "localhost:20000",
            "LOCALHOST",
            "natter.localhost",
            "box",
            "box.lab:20000",
            "box.local",
            "BOX.lab.",
            "chat.example",
        ] {
            assert_eq!(check(Some(host), None), Ok(false), "{host}");
        }
        for host in [
            "evil.example:20000",
            "box.evil.example",
            "10.1.2.3.example",
            "",
        ] {
            let refused = Err(ErrorCode::ForbiddenHost);
            assert_eq!(check(Some(host), None), refused, "{host}");
        }
        assert_eq!(check(None, None), Err(ErrorCode::BadRequest));
        let odd = Some("x; script-src *.localhost");
        assert_eq!(check(odd, None), Err(ErrorCode::BadRequest));
    }

    #[test]
    fn the_page_may_connect_to_allowed_sites_and_nothing_else_gets_into_its_policy() {
        let origins = ["http://b:20000", "https://[::1]:1", "null", "https://x; y"];
        let guard = Guard::new(&Config {
            allow_origins: origins.map(Into::into).into(),
            ..Config::default()
        });
        assert_eq!(&*guard.sockets(), ["ws://b:20000", "wss://[::1]:1"]);
    }

    #[test]
    fn the_target_counts_and_is_checked_too() {
        let check = |target: &str| {
            let request = Request::builder()
                .uri(target)
                .header("host", "evil.example");
            guard().check(&request.body(()).unwrap()).map(|c| c.host)
        };
        let host = check("http://127.0.0.1:20000/lab").unwrap();
        assert_eq!(host.as_deref(), Some("127.0.0.1:20000"));
        for target in ["http://evil.example/lab", "http://me@127.0.0.1/lab"] {
            assert!(check(target).is_err(), "{target}");
        }
    }

    #[test]
    fn a_page_may_ask_its_own_server_and_where_it_is_allowed() {
        let host = Some("127.0.0.1:20000");
        assert_eq!(check(host, Some("http://127.0.0.1:20000")), Ok(false));
        assert_eq!(check(Some("box"), Some("http://box")), Ok(false));
        assert_eq!(check(Some("box:80"), Some("http://box")), Ok(false));
        assert_eq!(check(Some("box"), Some("https://box")), Ok(false));
        assert_eq!(check(host, Some("https://wiki.example")), Ok(true));
        for origin in [
            "http://127.0.0.1:20001",
            "http://127.0.0.1",
            "http://evil.example",
            "http://wiki.example",
            "https://wiki.example.evil",
            "null",
            "file://",
            "",
        ] {
            let refused = Err(ErrorCode::ForbiddenOrigin);
            assert_eq!(check(host, Some(origin)), refused, "{origin}");
        }
    }
}
