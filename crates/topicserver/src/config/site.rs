//! The sites and names that browsers may use: read from options, and checked.

/// Why an origin can't be allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an origin is SCHEME://HOST or SCHEME://HOST:PORT, as in https://wiki.example{0}")]
pub(super) struct OriginError(OriginMistake);

/// What is wrong with an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum OriginMistake {
    /// The scheme is missing.
    #[error("; the scheme is missing")]
    NoScheme,
    /// The scheme isn't http or https.
    #[error("; the scheme is http or https, not {0:?}")]
    OtherScheme(String),
    /// The origin ends with a slash.
    #[error("; without the slash at its end: {without}")]
    Slash {
        /// The origin without the slash.
        without: String,
    },
    /// The origin has a path, a query or a user.
    #[error("; a site as a whole is allowed, not a path of it")]
    Path,
    /// The host or the port can't be one.
    #[error("")]
    HostOrPort,
}

/// Why a name can't be allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is the name alone, as in chat.example{0}")]
pub(super) struct HostError(HostMistake);

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum HostMistake {
    /// A URL was given.
    #[error(", not a URL")]
    Url,
    /// A port was given.
    #[error(", without a port: {name}; it holds for every port")]
    Port {
        /// The name without the port.
        name: String,
    },
    /// It isn't a valid name.
    #[error("")]
    NoName,
}

/// Reads an origin in the form that browsers send: without the scheme's default port, and in
/// small letters.
pub(super) fn origin(value: &str) -> Result<String, OriginError> {
    read_origin(value).map_err(OriginError)
}

fn read_origin(value: &str) -> Result<String, OriginMistake> {
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
        Some((scheme, _)) => return Err(OriginMistake::OtherScheme(scheme.to_owned())),
        None => return Err(OriginMistake::NoScheme),
    };
    if let Some(host) = rest.strip_suffix('/').filter(|host| !host.contains('/')) {
        let without = format!("{scheme}://{host}");
        return Err(OriginMistake::Slash { without });
    }
    if rest.contains(['/', '?', '#', '@']) {
        return Err(OriginMistake::Path);
    }
    let (name, port) = split_port(rest);
    let has_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !is_host(name) || !has_port {
        return Err(OriginMistake::HostOrPort);
    }
    let name = name.to_ascii_lowercase();
    Ok(match (scheme, port) {
        (_, None) | ("http", Some("80")) | ("https", Some("443")) => format!("{scheme}://{name}"),
        (_, Some(port)) => format!("{scheme}://{name}:{port}"),
    })
}

/// Reads a name under which the server is reached, without a port.
pub(super) fn host(value: &str) -> Result<String, HostError> {
    read_host(value).map_err(HostError)
}

fn read_host(value: &str) -> Result<String, HostMistake> {
    if value.contains("://") || value.contains('/') {
        return Err(HostMistake::Url);
    }
    match split_port(value) {
        (name, None) if is_host(name) => Ok(name.to_ascii_lowercase()),
        (name, Some(_)) if is_host(name) => Err(HostMistake::Port {
            name: name.to_owned(),
        }),
        _ => Err(HostMistake::NoName),
    }
}

/// A host, and the port after it. The colons of an address in brackets don't count.
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
            assert_eq!(origin(given).ok().as_deref(), Some(kept));
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
            let error = origin(given).unwrap_err().to_string();
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
            let error = host(given).unwrap_err().to_string();
            assert!(error.contains(reason), "{given}: {error}");
        }
        assert_eq!(host("Chat.Example").ok().as_deref(), Some("chat.example"));
        assert_eq!(host("[::1]").ok().as_deref(), Some("[::1]"));
    }
}
