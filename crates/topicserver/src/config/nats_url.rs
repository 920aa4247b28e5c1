//! The address of a NATS server, with or without what logs in there.

use std::fmt;
use std::str::FromStr;

/// The port of NATS.
const PORT: u16 = 4222;

/// The address of a NATS server. Its text has no password, so that it may be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsUrl {
    is_tls: bool,
    host: String,
    port: u16,
    user: Option<(String, Option<String>)>,
}

/// Why something isn't the address of a NATS server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is the address of a NATS server, as in nats://10.0.0.1:4222 or tls://nats.example")]
pub struct NatsUrlError;

impl NatsUrl {
    /// Whether it must speak TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        format!("{host}:{port}")
    }

    /// The user's name, or a token.
    pub fn user(&self) -> Option<&str> {
        self.user.as_ref().map(|(user, _)| user.as_str())
    }

    /// The user's password.
    pub fn password(&self) -> Option<&str> {
        self.user.as_ref()?.1.as_deref()
    }
}

impl FromStr for NatsUrl {
    type Err = NatsUrlError;

    fn from_str(text: &str) -> Result<Self, NatsUrlError> {
        let (is_tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some(("nats", rest)) => (false, rest),
            Some(("tls", rest)) => (true, rest),
            Some(_) => return Err(NatsUrlError),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((user, place)) => (Some(user), place),
        };
        let user = user.map(|user| match user.split_once(':') {
            Some((user, password)) => (decoded(user), Some(decoded(password))),
            None => (decoded(user), None),
        });
        let (host, port) = split_port(place)?;
        Ok(Self {
            is_tls,
            host: host.to_owned(),
            port,
            user,
        })
    }
}

/// The host as it is written, and the port.
fn split_port(place: &str) -> Result<(&str, u16), NatsUrlError> {
    let is_whole_address = place.starts_with('[') && place.ends_with(']');
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !is_whole_address => (host, port.parse().map_err(|_| NatsUrlError)?),
        _ => (place, PORT),
    };
    let in_brackets = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_host = match in_brackets {
        true => host[1..host.len() - 1]
            .parse::<std::net::Ipv6Addr>()
            .is_ok(),
        false => !host.is_empty() && host.bytes().all(allowed),
    };
    match is_host && port != 0 {
        true => Ok((host, port)),
        false => Err(NatsUrlError),
    }
}

/// With the characters that `%40` and the like stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Display for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "tls" } else { "nats" };
        let Self { host, port, .. } = self;
        write!(f, "{scheme}://{host}:{port}")
    }
}

impl fmt::Debug for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text of an option without the password that a URL in it has.
pub(super) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((_, place)) => format!("{scheme}://…@{place}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_scheme_a_host_and_a_port_with_or_without_a_user() {
        let read = |text: &str| {
            let url: NatsUrl = text.parse().unwrap();
            let user = url.user().map(str::to_owned);
            let password = url.password().map(str::to_owned);
            (url.to_string(), user, password)
        };
        let some = |text: &str| Some(text.to_owned());
        for (text, expected) in [
            ("10.0.0.1", ("nats://10.0.0.1:4222".to_owned(), None, None)),
            ("a:1/", ("nats://a:1".to_owned(), None, None)),
            (
                "tls://n.example",
                ("tls://n.example:4222".to_owned(), None, None),
            ),
            ("nats://[::1]", ("nats://[::1]:4222".to_owned(), None, None)),
            ("nats://[::1]:7", ("nats://[::1]:7".to_owned(), None, None)),
            (
                "nats://u:p%40s:%zz@a",
                ("nats://a:4222".to_owned(), some("u"), some("p@s:%zz")),
            ),
            (
                "nats://token@a",
                ("nats://a:4222".to_owned(), some("token"), None),
            ),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        let wrong = [
            "",
            "nats://",
            "http://a",
            "ws://a",
            "a b",
            "a:0",
            "a:x",
            "a:70000",
            "::1",
            "[::1",
            "[x]:4",
            "a/b",
            "nats://u:p@",
        ];
        for wrong in wrong {
            assert_eq!(wrong.parse::<NatsUrl>(), Err(NatsUrlError), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url: NatsUrl = "nats://user:secret@a".parse().unwrap();
        assert!(!format!("{url} {url:?}").contains("secret"));
        for text in [
            "nats://user:secret@a:1",
            "tls://secret@a",
            "nats://u:secret@x@a",
        ] {
            let shown = without_password(text);
            assert!(!shown.contains("secret"), "{shown}");
            assert!(
                shown.ends_with("…@a:1") || shown.ends_with("…@a"),
                "{shown}"
            );
        }
        for text in ["nats://a", "who@where", "plain"] {
            assert_eq!(without_password(text), text);
        }
    }
}
