//! The client that a trusted proxy forwards, from the headers of a request.
//!
//! Each proxy appends the address of its own peer, so the list is read from the end, past the
//! trusted proxies. Anything before that is only a client's claim.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use crate::config::Config;
use crate::http::problem::Problem;
use crate::peer;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client of a request that came over a connection from `peer`.
pub(crate) fn client(
    headers: &HeaderMap,
    peer: SocketAddr,
    config: &Config,
) -> Result<SocketAddr, Problem> {
    if !config.trusts_proxy(peer.ip()) {
        return Ok(peer);
    }
    let plain = walk(lines(headers, &X_FORWARDED_FOR, plain_hops), config)?;
    let standard = walk(lines(headers, &header::FORWARDED, standard_hops), config)?;
    match (plain, standard) {
        // Most proxies write one of the headers, and pass the other on as the client sent it.
        (Some(plain), Some(standard)) if plain.ip() != standard.ip() => Err(Problem::bad_request(
            "Forwarded and X-Forwarded-For name different clients; the proxy must remove \
                 the one that it doesn't write",
        )),
        (plain, standard) => Ok(plain.or(standard).unwrap_or(peer)),
    }
}

/// Whether the client speaks https with a trusted proxy. A client that claims it falsely gains
/// nothing: its browser refuses the cookie that it gets then.
pub(crate) fn is_https(headers: &HeaderMap, peer: SocketAddr, config: &Config) -> bool {
    if !config.trusts_proxy(peer.ip()) {
        return false;
    }
    let first = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let plain = first(&X_FORWARDED_PROTO).and_then(|line| line.split(',').next());
    let standard = || {
        let element = split_unquoted(first(&header::FORWARDED)?, ',')?
            .into_iter()
            .next()?;
        let pairs = split_unquoted(element, ';')?.into_iter();
        let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("proto"))?;
        Some(value.trim().trim_matches('"'))
    };
    let said = plain.or_else(standard);
    said.is_some_and(|said| said.trim().eq_ignore_ascii_case("https"))
}

/// The last address that isn't a trusted proxy's; the first one if all are.
fn walk(
    hops: impl Iterator<Item = Option<SocketAddr>>,
    config: &Config,
) -> Result<Option<SocketAddr>, Problem> {
    let mut client = None;
    for hop in hops {
        let hop = hop.ok_or_else(|| {
            Problem::bad_request("the proxy doesn't say from which address this request came")
        })?;
        client = Some(hop);
        if !config.trusts_proxy(hop.ip()) {
            break;
        }
    }
    Ok(client)
}

/// The addresses in all lines of a header, from the end. `None` if there is anything else.
fn lines<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    hops: fn(&'a str) -> Vec<Option<SocketAddr>>,
) -> impl Iterator<Item = Option<SocketAddr>> {
    let lines = headers.get_all(name).iter().rev();
    lines.flat_map(move |line| match line.to_str() {
        Ok(line) => hops(line),
        Err(_) => vec![None],
    })
}

/// `ADDRESS, ADDRESS`: the addresses from the end.
fn plain_hops(line: &str) -> Vec<Option<SocketAddr>> {
    line.rsplit(',').map(|hop| address(hop.trim())).collect()
}

/// `for=ADDRESS;proto=http, for="[ADDRESS]:PORT"`: the addresses from the end.
fn standard_hops(line: &str) -> Vec<Option<SocketAddr>> {
    let Some(elements) = split_unquoted(line, ',') else {
        return vec![None];
    };
    let hop = |element: &str| {
        let pairs = split_unquoted(element, ';')?;
        let mut pairs = pairs.into_iter().filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        // An address has no character that needs an escape.
        address(value.trim().trim_matches('"'))
    };
    elements.into_iter().rev().map(hop).collect()
}

/// The parts of a text between separators that aren't within quotation marks; `None` if a
/// quotation mark is missing.
fn split_unquoted(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, character) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if character == '"' {
            is_quoted = !is_quoted;
        } else if is_quoted {
            is_escaped = character == '\\';
        } else if character == separator {
            parts.push(&text[start..at]);
            start = at + separator.len_utf8();
        }
    }
    parts.push(&text[start..]);
    (!is_quoted).then_some(parts)
}

/// An address with or without a port; IPv6 may be in brackets. A missing port is 0. A proxy
/// can't forward a user of the UNIX socket.
fn address(text: &str) -> Option<SocketAddr> {
    let alone = || {
        let inner = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let ip: IpAddr = inner.unwrap_or(text).parse().ok()?;
        Some(SocketAddr::new(ip.to_canonical(), 0))
    };
    let with_port = || {
        let address: SocketAddr = text.parse().ok()?;
        Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
    };
    let address = alone().or_else(with_port);
    address.filter(|address| peer::user_of(address.ip()).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client of a request with these headers, on a connection from `peer`.
    fn client_of(peer: &str, lines: &[(&'static str, &str)]) -> Result<String, String> {
        let config = Config {
            trust_proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
            ..Config::default()
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 7);
        match client(&headers, peer, &config) {
            Ok(client) => Ok(client.ip().to_string()),
            Err(problem) => Err(problem.text),
        }
    }

    fn trusted(name: &'static str, value: &str) -> Result<String, String> {
        client_of("10.0.0.1", &[(name, value)])
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        for name in ["x-forwarded-for", "forwarded"] {
            let forged = [(name, "for=203.0.113.9")];
            assert_eq!(client_of("192.0.2.1", &forged).unwrap(), "192.0.2.1");
        }
        assert_eq!(client_of("10.0.0.1", &[]).unwrap(), "10.0.0.1");
    }

    #[test]
    fn the_list_is_read_from_the_end_past_trusted_proxies() {
        for (line, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("1.1.1.1, 203.0.113.9", "203.0.113.9"),
            ("1.1.1.1,203.0.113.9 , 10.9.9.9, ::1", "203.0.113.9"),
            ("garbage\", 203.0.113.9", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]:80", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("203.0.113.9:80", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            // A client inside the network.
            ("10.0.0.7, 10.0.0.2", "10.0.0.7"),
        ] {
            let client = trusted("x-forwarded-for", line);
            assert_eq!(client.as_deref(), Ok(expected), "{line}");
        }
        let lines = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(client_of("::1", &lines).unwrap(), "203.0.113.9");
    }

    #[test]
    fn the_standard_header_is_read_with_its_quotation_marks() {
        for (line, expected) in [
            ("for=203.0.113.9", "203.0.113.9"),
            ("For=\"203.0.113.9:80\";proto=https", "203.0.113.9"),
            ("proto=http; for=203.0.113.9 ;by=10.0.0.1", "203.0.113.9"),
            ("for=\"[2001:db8::9]:80\"", "2001:db8::9"),
            ("for=1.1.1.1, for=203.0.113.9, for=10.0.0.2", "203.0.113.9"),
            // A client chose the name of the host.
            ("for=203.0.113.9;host=\"a, for=1.1.1.1\"", "203.0.113.9"),
            ("for=203.0.113.9;host=\"a\\\", for=1.1.1.1\"", "203.0.113.9"),
        ] {
            let client = trusted("forwarded", line);
            assert_eq!(client.as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_where_it_counts() {
        for (name, line) in [
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-for", "203.0.113.9, unix:"),
            ("x-forwarded-for", ""),
            ("x-forwarded-for", "ff0f:756e:0:3e8::"),
            ("forwarded", "for=unknown"),
            ("forwarded", "for=_hidden"),
            ("forwarded", "proto=http"),
            // The client's quotation mark would swallow what the proxy adds.
            ("forwarded", "for=1.1.1.1;x=\", for=203.0.113.9"),
        ] {
            let text = trusted(name, line).unwrap_err();
            assert!(text.contains("doesn't say"), "{line}: {text}");
        }
    }

    #[test]
    fn a_trusted_proxy_says_whether_its_client_speaks_https() {
        let is_https = |peer: &str, name: &'static str, line: &str| {
            let config = Config {
                trust_proxies: vec!["10.0.0.0/8".parse().unwrap()],
                ..Config::default()
            };
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), line.parse().unwrap())]);
            super::is_https(&headers, SocketAddr::new(peer.parse().unwrap(), 7), &config)
        };
        for (name, line, expected) in [
            ("x-forwarded-proto", "https", true),
            ("x-forwarded-proto", "HTTPS, http", true),
            ("x-forwarded-proto", "http", false),
            ("x-forwarded-proto", "", false),
            ("forwarded", "for=203.0.113.9;proto=https", true),
            (
                "forwarded",
                "proto=\"https\";for=1.1.1.1, for=10.0.0.2;proto=http",
                true,
            ),
            ("forwarded", "for=203.0.113.9;host=\"a;proto=https\"", false),
            ("forwarded", "for=203.0.113.9", false),
        ] {
            assert_eq!(is_https("10.0.0.1", name, line), expected, "{line}");
            assert!(!is_https("192.0.2.1", name, line), "{line}");
        }
    }

    #[test]
    fn two_headers_must_say_the_same() {
        let both = |standard| {
            let lines = [("x-forwarded-for", "203.0.113.9"), ("forwarded", standard)];
            client_of("10.0.0.1", &lines)
        };
        assert_eq!(both("for=\"203.0.113.9:80\"").unwrap(), "203.0.113.9");
        assert!(both("for=1.1.1.1").unwrap_err().contains("different"));
    }
}
