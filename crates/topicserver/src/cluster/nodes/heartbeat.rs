//! What a server says each second, as bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::node::NodeId;

/// The first byte. Later releases add fields at the end, which earlier ones don't read.
const VERSION: u8 = 1;

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heartbeat {
    pub(super) id: NodeId,
    /// When this run began. Of two runs of one server the later one counts.
    pub(super) started: u64,
    /// How many this run has sent, with this one.
    pub(super) number: u64,
    pub(super) state: State,
    pub(super) name: String,
    /// Where clients reach it.
    pub(super) advertise: Option<String>,
}

/// What a server is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Lives,
    /// It hands its topics over, and still serves its connections.
    Leaving,
    /// It has ended.
    Gone,
}

impl Heartbeat {
    /// Whether another one says the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.state == other.state && self.advertise == other.advertise
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        for field in [self.id.0, self.started, self.number] {
            bytes.put_u64_le(field);
        }
        bytes.put_u8(match self.state {
            State::Lives => 0,
            State::Leaving => 1,
            State::Gone => 2,
        });
        put_text(&mut bytes, &self.name);
        put_text(&mut bytes, self.advertise.as_deref().unwrap_or(""));
        bytes.freeze()
    }

    /// `None` if it is damaged, or not understood.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let mut fields = [0; 3];
        for field in &mut fields {
            *field = bytes.try_get_u64_le().ok()?;
        }
        let [id, started, number] = fields;
        let state = match bytes.try_get_u8().ok()? {
            0 => State::Lives,
            1 => State::Leaving,
            2 => State::Gone,
            _ => return None,
        };
        Some(Self {
            id: NodeId(id),
            started,
            number,
            state,
            name: take_text(&mut bytes)?,
            advertise: take_text(&mut bytes).map(|text| (!text.is_empty()).then_some(text))?,
        })
    }
}

/// Longer ones aren't sent whole: options have no longer names.
fn put_text(bytes: &mut BytesMut, text: &str) {
    let text = &text.as_bytes()[..text.floor_char_boundary(u8::MAX.into())];
    bytes.put_u8(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(text);
}

fn take_text(bytes: &mut Bytes) -> Option<String> {
    let len = usize::from(bytes.try_get_u8().ok()?);
    let text = (len <= bytes.len()).then(|| bytes.split_to(len))?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_understood() {
        for (state, advertise) in [
            (State::Lives, Some("a.example:20000")),
            (State::Leaving, None),
            (State::Gone, None),
        ] {
            let heartbeat = Heartbeat {
                id: NodeId(7),
                started: 8,
                number: 9,
                state,
                name: "ä".to_owned(),
                advertise: advertise.map(str::to_owned),
            };
            let bytes = heartbeat.encode();
            assert_eq!(Heartbeat::decode(bytes.clone()).as_ref(), Some(&heartbeat));
            for at in 0..bytes.len() {
                assert_eq!(Heartbeat::decode(bytes.slice(..at)), None, "cut at {at}");
            }
            let later = [&bytes[..], b"more"].concat();
            assert_eq!(Heartbeat::decode(later.into()), Some(heartbeat));
        }
        assert_eq!(Heartbeat::decode(Bytes::from_static(b"\x02")), None);
    }
}
