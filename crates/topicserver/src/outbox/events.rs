//! Lines as Server-Sent Events. A message is an event whose id is the position to resume from.
//! Every other frame is an event with the frame's name.

/// The beginning of all frames for extended connections.
const FRAME: &[u8] = b"{\"extended\":{";

/// Bytes that an event adds to its line, without its id's parts, for a number with few digits.
const EVENT_COST: usize = "id: 100000\ndata: \n".len();

/// The parts of an event's id before and after its message's number.
#[derive(Debug, Default)]
pub(super) struct IdParts {
    pub(super) before: String,
    pub(super) after: String,
}

impl IdParts {
    /// The parts for messages of one topic in this epoch.
    pub(super) fn of_epoch(epoch: u64) -> Self {
        Self {
            before: format!("{epoch:016x}:"),
            after: String::new(),
        }
    }
}

/// Whole lines as events, the messages among them with these ids.
pub(super) fn write_events(lines: &[u8], ids: &IdParts) -> Vec<u8> {
    let count = memchr::memchr_iter(b'\n', lines).count();
    let id_bytes = ids.before.len() + ids.after.len();
    let mut events = Vec::with_capacity(lines.len() + count * (EVENT_COST + id_bytes));
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', lines) {
        write_event(&lines[start..=end], ids, &mut events);
        start = end + 1;
    }
    events
}

/// The number of the last of these messages that is stored.
pub(super) fn last_number(lines: &[u8]) -> Option<u64> {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    lines
        .rsplit(|byte| *byte == b'\n')
        .find_map(|line| match Kind::of(line) {
            Kind::Message(Some(seq)) => std::str::from_utf8(seq).ok()?.parse().ok(),
            Kind::Message(None) | Kind::Other(_) => None,
        })
}

/// Writes one line as an event. The line's end is also the end of the event's last field.
fn write_event(line: &[u8], ids: &IdParts, out: &mut Vec<u8>) {
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
    match Kind::of(line) {
        Kind::Message(Some(seq)) => {
            put(&[b"id: ", ids.before.as_bytes(), seq]);
            put(&[ids.after.as_bytes(), b"\n"]);
        }
        Kind::Message(None) => {}
        Kind::Other(name) => put(&[b"event: ", name, b"\n"]),
    }
    put(&[b"data: ", line, b"\n"]);
}

/// The kind of a line, from its beginning, which the server has written.
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
        let events = write_events(lines.as_bytes(), &IdParts::of_epoch(0x5f1c));
        assert_eq!(std::str::from_utf8(&events).unwrap(), expected);
    }

    #[test]
    fn the_last_number_is_that_of_the_last_stored_message() {
        let message = |envelope| format!("{{\"extended\":{{{envelope},\"time\":5}}}}\n");
        let (seven, eight) = (message("\"seq\":7"), message("\"seq\":8"));
        let unstored = message("\"stored\":false");
        assert_eq!(last_number(format!("{seven}{eight}").as_bytes()), Some(8));
        assert_eq!(
            last_number(format!("{seven}{unstored}").as_bytes()),
            Some(7)
        );
        assert_eq!(last_number(unstored.as_bytes()), None);
    }
}
