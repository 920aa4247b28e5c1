//! Lines as Server-Sent Events: a message is an event whose id says where to go on
//! from, and everything else that a server says is an event of its own name.

/// What all frames for extended connections begin with.
const FRAME: &[u8] = b"{\"extended\":{";

/// What an event adds to its line, with an id of few digits.
const EVENT_COST: usize = "id: 5f1c2e77a0b3d964:100000\ndata: \n".len();

/// Whole lines as events. The messages among them are of this epoch of their topic.
pub(super) fn write_events(lines: &[u8], epoch: u64) -> Vec<u8> {
    let count = memchr::memchr_iter(b'\n', lines).count();
    let mut events = Vec::with_capacity(lines.len() + count * EVENT_COST);
    let prefix = format!("id: {epoch:016x}:");
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', lines) {
        write_event(&lines[start..=end], prefix.as_bytes(), &mut events);
        start = end + 1;
    }
    events
}

/// One line, its end included, which is also the end of the event's last field.
fn write_event(line: &[u8], prefix: &[u8], out: &mut Vec<u8>) {
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
    match Kind::of(line) {
        Kind::Message(Some(seq)) => put(&[prefix, seq, b"\n"]),
        Kind::Message(None) => {}
        Kind::Other(name) => put(&[b"event: ", name, b"\n"]),
    }
    put(&[b"data: ", line, b"\n"]);
}

/// What a line is. The server has written its beginning, so that suffices.
enum Kind<'a> {
    /// A message and, if it is stored, its number.
    Message(Option<&'a [u8]>),
    /// Something else, and its name.
    Other(&'a [u8]),
}

impl<'a> Kind<'a> {
    fn of(line: &'a [u8]) -> Self {
        let Some(extended) = line.strip_prefix(FRAME) else {
            return Self::Message(None);
        };
        if let Some(seq) = extended.strip_prefix(b"\"seq\":") {
            let digits = seq.iter().take_while(|byte| byte.is_ascii_digit()).count();
            return Self::Message(Some(&seq[..digits]));
        }
        let name = extended.strip_prefix(b"\"").unwrap_or_default();
        match memchr::memchr(b'"', name) {
            Some(end) if &name[..end] != b"stored" => Self::Other(&name[..end]),
            _ => Self::Message(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_place_as_id() {
        let message = r#"{"extended":{"seq":8,"time":5},"message":{"topic":"lab","text":"id: 9"}}"#;
        let gap = r#"{"extended":{"gap":{"topic":"lab","from":9,"to":10}}}"#;
        let unstored = r#"{"extended":{"stored":false,"time":5},"message":{}}"#;
        let lines = format!("{message}\n{gap}\n{unstored}\n");
        let expected = format!(
            "id: 0000000000005f1c:8\ndata: {message}\n\nevent: gap\ndata: {gap}\n\n\
             data: {unstored}\n\n"
        );
        let events = write_events(lines.as_bytes(), 0x5f1c);
        assert_eq!(std::str::from_utf8(&events).unwrap(), expected);
    }
}
