//! Addresses as people paste them: what stands in a browser, `http://HOST:PORT/TOPIC`, or
//! without the scheme, or with ours.

/// The part that is an address, and the topic behind it, if there is one.
pub(super) fn read(text: &str) -> (&str, Option<String>) {
    let schemes = ["http://", "natter://"];
    let scheme = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    if scheme.is_none() && text.contains("://") {
        // Another scheme's address is none of ours.
        return (text, None);
    }
    let Some((address, path)) = scheme.unwrap_or(text).split_once('/') else {
        let address = scheme.unwrap_or(text);
        return (address.split(['?', '#']).next().unwrap_or(address), None);
    };
    let topic = path.split(['?', '#']).next().unwrap_or_default();
    let topic = decoded(topic.trim_end_matches('/'));
    (address, Some(topic).filter(|topic| !topic.is_empty()))
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
            ("https://host:1/lab", "https://host:1/lab", None),
        ] {
            assert_eq!(read(text), (address, topic.map(Into::into)), "{text}");
        }
    }
}
