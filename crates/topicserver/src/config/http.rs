//! What browsers and other HTTP clients may do.

use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::Config;
use super::parse::seconds;

impl Config {
    /// 16 KiB: browsers send 1 to 4, and cookies of other servers on the same host
    /// come with them.
    pub const DEFAULT_MAX_HEADERS: usize = 16 * 1024;
    /// Half of the minute after which most proxies and routers forget a connection
    /// that is silent.
    pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(30);
    /// The id of each event has a place of at most 38 bytes for each topic: so many add
    /// 1.2 kB to an event.
    pub const DEFAULT_MAX_STREAM_TOPICS: usize = 32;
}

/// With more, the header in which a browser sends an event's id back could be longer than
/// the 8 KiB that proxies take.
const MOST_STREAM_TOPICS: u64 = 200;

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct HttpOptions {
    /// Let pages of this other site use the server: SCHEME://HOST or SCHEME://HOST:PORT. Can be
    /// given several times
    #[arg(long = "allow-origin", value_name = "ORIGIN", value_parser = origin)]
    allow_origins: Vec<String>,

    /// Let browsers reach the server under this name, in addition to its addresses, localhost
    /// and the name of the machine. Can be given several times
    #[arg(long = "allow-host", value_name = "NAME", value_parser = host)]
    allow_hosts: Vec<String>,

    /// Maximum bytes of an HTTP request before its body
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT_MAX_HEADERS,
          value_parser = RangedU64ValueParser::<usize>::new().range(1024..=1024 * 1024))]
    max_headers: usize,

    /// Maximum topics of one stream over HTTP
    #[arg(long, value_name = "COUNT", default_value_t = Config::DEFAULT_MAX_STREAM_TOPICS,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST_STREAM_TOPICS))]
    max_stream_topics: usize,

    /// Time between two pings of a WebSocket. The server closes it when two in a row stay
    /// unanswered
    #[arg(long, value_name = "SECONDS", value_parser = seconds(1),
          default_value_t = Config::DEFAULT_PING_INTERVAL.as_secs())]
    ping_interval: u64,
}

impl HttpOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        config.allow_origins.clone_from(&self.allow_origins);
        config.allow_hosts.clone_from(&self.allow_hosts);
        config.max_headers = self.max_headers;
        config.max_stream_topics = self.max_stream_topics;
        config.ping_interval = Duration::from_secs(self.ping_interval);
    }
}

/// An origin as browsers send it: no port that the scheme has anyway, and small letters.
/// Anything else would never be equal to one.
fn origin(value: &str) -> Result<String, String> {
    let wanted = "an origin is SCHEME://HOST or SCHEME://HOST:PORT, as in https://wiki.example";
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
        Some((scheme, _)) => {
            return Err(format!(
                "{wanted}; the scheme is http or https, not {scheme:?}"
            ));
        }
        None => return Err(format!("{wanted}; the scheme is missing")),
    };
    if let Some(host) = rest.strip_suffix('/').filter(|host| !host.contains('/')) {
        return Err(format!(
            "{wanted}; without the slash at its end: {scheme}://{host}"
        ));
    }
    if rest.contains(['/', '?', '#', '@']) {
        return Err(format!(
            "{wanted}; a site as a whole is allowed, not a path of it"
        ));
    }
    let (name, port) = split_port(rest);
    let has_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !is_host(name) || !has_port {
        return Err(wanted.to_owned());
    }
    let name = name.to_ascii_lowercase();
    Ok(match (scheme, port) {
        (_, None) | ("http", Some("80")) | ("https", Some("443")) => format!("{scheme}://{name}"),
        (_, Some(port)) => format!("{scheme}://{name}:{port}"),
    })
}

/// A name under which the server is reached, without a port.
fn host(value: &str) -> Result<String, String> {
    let wanted = "this is the name alone, as in chat.example";
    if value.contains("://") || value.contains('/') {
        return Err(format!("{wanted}, not a URL"));
    }
    match split_port(value) {
        (name, None) if is_host(name) => Ok(name.to_ascii_lowercase()),
        (name, Some(_)) if is_host(name) => Err(format!(
            "{wanted}, without a port: {name}; it holds for every port"
        )),
        _ => Err(wanted.to_owned()),
    }
}

/// A host, and the port after it. The colons of an address in brackets are its own.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// Whether this can be a name, an address, or an IPv6 address in brackets.
fn is_host(name: &str) -> bool {
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !name.is_empty() && name.bytes().all(is_part)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_as_browsers_send_it() {
        for (given, kept) in [
            ("https://wiki.example", "https://wiki.example"),
            ("https://Wiki.Example:443", "https://wiki.example"),
            ("http://wiki.example:80", "http://wiki.example"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://10.0.0.1", "http://10.0.0.1"),
        ] {
            assert_eq!(origin(given).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn what_no_browser_would_ever_send_is_refused_with_the_reason() {
        for (given, reason) in [
            (
                "https://wiki.example/",
                "without the slash at its end: https://wiki.example",
            ),
            ("wiki.example", "the scheme is missing"),
            (
                "ftp://wiki.example",
                "the scheme is http or https, not \"ftp\"",
            ),
            ("https://wiki.example/page", "not a path of it"),
            ("https://me@wiki.example", "not a path of it"),
            ("https://", "an origin is"),
            ("https://wiki example", "an origin is"),
            ("https://wiki.example:0", "an origin is"),
            ("*", "the scheme is missing"),
        ] {
            let error = origin(given).unwrap_err();
            assert!(error.contains(reason), "{given}: {error}");
        }
        for (given, reason) in [
            ("https://chat.example", "not a URL"),
            ("chat.example/lab", "not a URL"),
            ("chat.example:20000", "without a port: chat.example"),
            ("", "the name alone"),
            ("chat example", "the name alone"),
            ("*", "the name alone"),
        ] {
            let error = host(given).unwrap_err();
            assert!(error.contains(reason), "{given}: {error}");
        }
        assert_eq!(host("Chat.Example").as_deref(), Ok("chat.example"));
        assert_eq!(host("[::1]").as_deref(), Ok("[::1]"));
    }
}
