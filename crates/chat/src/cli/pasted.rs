//! Addresses as people paste them: from a browser, `http://HOST:PORT/TOPIC`, without a scheme, or
//! with one of ours.

use std::borrow::Cow;

/// Schemes that leave open whether to use TLS.
const NEUTRAL: [&str; 2] = ["http://", "natter://"];
/// Schemes of a server's address, and the schemes that chat knows for them.
const SECURITY: [(&str, &str); 3] = [
    ("tls://", "tls://"),
    ("https://", "tls://"),
    ("tcp://", "tcp://"),
];

/// The part that is an address, and the topic behind it, if there is one.
pub(super) fn read(text: &str) -> (Cow<'_, str>, Option<String>) {
    // A path of a UNIX socket is no topic.
    if text.starts_with("unix:") {
        return (text.into(), None);
    }
    let neutral = NEUTRAL.iter().find_map(|scheme| text.strip_prefix(scheme));
    if let Some(rest) = neutral {
        let (address, topic, _) = split(rest);
        return (address.into(), topic);
    }
    for (scheme, security) in SECURITY {
        let Some(rest) = text.strip_prefix(scheme) else {
            continue;
        };
        let (address, topic, fragment) = split(rest);
        // A page's fragment isn't a key.
        let pin = match fragment {
            Some(pin) if scheme == security => format!("#{pin}"),
            _ => String::new(),
        };
        return (format!("{security}{address}{pin}").into(), topic);
    }
    if text.contains("://") {
        // An address of another scheme is left as it is.
        return (text.into(), None);
    }
    let (address, topic, fragment) = split(text);
    match fragment {
        // It can't be there, and the error says so.
        Some(pin) if pin.starts_with("sha256:") => (text.into(), None),
        _ => (address.into(), topic),
    }
}

/// The address, the topic in the path behind it, and the fragment.
fn split(text: &str) -> (&str, Option<String>, Option<&str>) {
    let (text, fragment) = match text.split_once('#') {
        Some((text, fragment)) => (text, Some(fragment)),
        None => (text, None),
    };
    let text = text.split('?').next().unwrap_or_default();
    let (address, path) = text.split_once('/').unwrap_or((text, ""));
    let topic = decoded(path.trim_end_matches('/'));
    (
        address,
        Some(topic).filter(|topic| !topic.is_empty()),
        fragment,
    )
}

/// A path without its percent signs.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let byte = after.get(..2).filter(|_| *first == b'%').and_then(hex);
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn addresses_are_read_as_they_are_pasted() {
        for (text, address, topic) in [
            ("127.0.0.1:20000", "127.0.0.1:20000", None),
            ("http://127.0.0.1:20000/lab", "127.0.0.1:20000", Some("lab")),
            ("http://127.0.0.1:20000/", "127.0.0.1:20000", None),
            ("http://127.0.0.1:20000", "127.0.0.1:20000", None),
            ("natter://[::1]:20000/lab", "[::1]:20000", Some("lab")),
            ("host:1/two%20words?last=20#x", "host:1", Some("two words")),
            ("host:1/gr%C3%BC%C3%9Fe", "host:1", Some("grüße")),
            ("host:1/100%", "host:1", Some("100%")),
            ("lab", "lab", None),
            ("https://host:1/lab#x", "tls://host:1", Some("lab")),
            ("tls://host:1", "tls://host:1", None),
            ("tcp://host:1/lab", "tcp://host:1", Some("lab")),
            (
                "tls://host:1#sha256:a/b+c=",
                "tls://host:1#sha256:a/b+c=",
                None,
            ),
            (
                "tls://host:1/lab#sha256:a/b",
                "tls://host:1#sha256:a/b",
                Some("lab"),
            ),
            ("host:1#sha256:a/b", "host:1#sha256:a/b", None),
            ("ftp://host:1/lab", "ftp://host:1/lab", None),
            ("unix:/run/natter/socket", "unix:/run/natter/socket", None),
        ] {
            let (found, its_topic) = read(text);
            let expected = (address, topic.map(Into::into));
            assert_eq!((found.as_ref(), its_topic), expected, "{text}");
        }
    }
}
