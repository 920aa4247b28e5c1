//! natter's extended frames: messages that carry an envelope, acknowledgements,
//! and replay. What is looked for in a line is found by its name, never by
//! parsing the line as JSON: the generator must not be the slower side.

use super::journal::{Answer, Id, Journal, Position, Reader};
use super::{Codec, Step, natter, shown};
use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;

/// What begins every line of the server to an extended connection.
const HEAD: &[u8] = b"{\"extended\":{";
/// What begins a message's envelope, after `HEAD`.
const SEQUENCE: &[u8] = b"\"seq\":";
/// The same of a message that the server doesn't keep and so doesn't number.
const UNSTORED: &[u8] = b"\"stored\":false";
/// What begins a question whether this end is still there.
const PING: &[u8] = b"\"ping\":";
/// What begins what is said to everybody: that a cluster takes no messages now, or does again.
const NOTICE: &[u8] = b"\"notice\":";
/// What ends an envelope that holds no object of its own.
const ENVELOPE_END: &[u8] = b"},";

/// Receivers that get the envelope; what they deliver is the message behind it.
pub(crate) struct Extended;

/// A topic's history: every line is given out whole.
pub(crate) struct Kept;

/// Appends an extended registration; `wishes` stands in its `extended` object.
fn register(topic: &str, wishes: &str, out: &mut Vec<u8>) {
    let frame = format!(
        "{{\"source\":{{\"ip\":\"127.0.0.1\",\"port\":\"1\"}},\"topics\":[\"{topic}\"],\
         \"extended\":{{{wishes}}}}}\n"
    );
    out.extend_from_slice(frame.as_bytes());
}

/// What a message's line says.
struct Enveloped<'a> {
    /// The sequence number that the server gave it, if it keeps it.
    sequence: Option<u64>,
    /// The frame behind the envelope, but for its first brace.
    rest: &'a [u8],
}

/// Reads a line that holds a message; `None` for one that holds none.
fn message(line: &[u8]) -> Result<Option<Enveloped<'_>>> {
    let Some(envelope) = line.strip_prefix(HEAD) else {
        bail!("natter sent a line without an envelope: {}", shown(line));
    };
    let damaged = || format!("natter sent a damaged envelope: {}", shown(line));
    let sequence = match envelope.strip_prefix(SEQUENCE) {
        Some(digits) => Some(number(digits).with_context(damaged)?),
        None if envelope.starts_with(UNSTORED) => None,
        None => return quiet(envelope).map(|()| None).with_context(|| shown(line)),
    };
    let end = memmem::find(envelope, ENVELOPE_END).with_context(damaged)?;
    Ok(Some(Enveloped {
        sequence,
        rest: &envelope[end + ENVELOPE_END.len()..],
    }))
}

/// What was published, of a frame with or without an envelope; `None` of a frame that is
/// no message.
pub(super) fn bare(frame: &[u8]) -> Result<Option<&[u8]>> {
    if !frame.starts_with(HEAD) {
        return Ok(Some(frame));
    }
    Ok(message(frame)?.map(|enveloped| enveloped.rest))
}

/// The answer to a line that wants one, which has the same value.
fn pong(line: &[u8]) -> Option<Vec<u8>> {
    let value = line.strip_prefix(HEAD)?.strip_prefix(PING)?;
    Some([HEAD, b"\"pong\":", value].concat())
}

/// Refuses what may not come while nothing is wrong.
fn quiet(frame: &[u8]) -> Result<()> {
    for wrong in ["error", "gap"] {
        let found = frame.starts_with(format!("\"{wrong}\"").as_bytes());
        ensure!(!found, "natter told of {wrong}");
    }
    Ok(())
}

/// The number at the beginning of some bytes.
fn number(bytes: &[u8]) -> Option<u64> {
    let length = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    std::str::from_utf8(&bytes[..length]).ok()?.parse().ok()
}

/// What follows `name` in a line.
fn after<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    memmem::find(line, name).map(|at| &line[at + name.len()..])
}

impl Codec for Extended {
    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        register(topic, "", out);
    }

    // The publisher is the same as in the classic workload.
    fn enter(&self, topic: &str, out: &mut Vec<u8>) {
        natter::Natter.enter(topic, out);
    }

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        natter::Natter.publish(topic, payload, out);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        let Step::Delivery { used, payload } = natter::line(bytes) else {
            return Ok(Step::Incomplete);
        };
        Ok(match message(payload)? {
            Some(Enveloped { rest, .. }) => Step::Delivery {
                used,
                payload: rest,
            },
            None => pong(payload).map_or(Step::Skip(used), |pong| Step::Answer(used, pong)),
        })
    }
}

impl Codec for Kept {
    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        self.enter(topic, out);
    }

    fn enter(&self, topic: &str, out: &mut Vec<u8>) {
        register(topic, "", out);
    }

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        natter::Natter.publish(topic, payload, out);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        let step = natter::line(bytes);
        if let Step::Delivery { used, payload } = &step
            && let Some(pong) = pong(payload)
        {
            return Ok(Step::Answer(*used, pong));
        }
        // What becomes of each message is told besides.
        if let Step::Delivery { used, payload } = &step
            && payload
                .strip_prefix(HEAD)
                .is_some_and(|rest| rest.starts_with(NOTICE))
        {
            return Ok(Step::Skip(*used));
        }
        Ok(step)
    }
}

impl Journal for Kept {
    fn enter_all(&self, _first_lane: usize, topics: &[String], out: &mut Vec<u8>) {
        // Between the names stand the quotes and the comma of their array.
        register(&topics.join("\",\""), "", out);
    }

    fn answers_entering(&self) -> bool {
        true
    }

    fn append(&self, _topic: &str, id: Id, payload: &[u8], out: &mut Vec<u8>) {
        let Id { lane, number } = id;
        let envelope = format!("{{\"extended\":{{\"id\":\"p{lane}-{number}\"}},");
        out.extend_from_slice(envelope.as_bytes());
        out.extend_from_slice(&payload[1..]);
    }

    fn answer(&self, arrival: &[u8]) -> Result<Answer> {
        match arrival.strip_prefix(HEAD) {
            Some(frame) if frame.starts_with(b"\"registered\"") => Ok(Answer::Ready),
            Some(frame) if frame.starts_with(b"\"ack\"") => acknowledgement(frame)
                .with_context(|| format!("natter sent a damaged ack: {}", shown(arrival))),
            _ => bail!("natter answered a publisher {}", shown(arrival)),
        }
    }

    fn reader(&self, topic: &str, count: u64) -> Box<dyn Reader> {
        let mut registration = Vec::new();
        register(topic, &format!("\"last\":{count}"), &mut registration);
        Box::new(Replay {
            registration,
            next: None,
        })
    }
}

fn acknowledgement(frame: &[u8]) -> Option<Answer> {
    let id = after(frame, b"\"id\":\"p")?;
    Some(Answer::Ack {
        id: Some(Id {
            lane: usize::try_from(number(id)?).ok()?,
            number: number(after(id, b"-")?)?,
        }),
        position: (number(after(frame, SEQUENCE)?)?, 0),
    })
}

/// A registration that wants the history; the server sends all of it by itself.
struct Replay {
    registration: Vec<u8>,
    /// The sequence number that must come next; `None` until the first has come.
    next: Option<u64>,
}

impl Reader for Replay {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.registration);
    }

    fn take<'a>(
        &mut self,
        arrival: &'a [u8],
        _out: &mut Vec<u8>,
    ) -> Result<Option<(Position, &'a [u8])>> {
        let Some(Enveloped { sequence, rest }) = message(arrival)? else {
            return Ok(None);
        };
        let sequence = sequence.context("natter replayed a message without its number")?;
        ensure!(
            self.next.is_none_or(|next| next == sequence),
            "natter replayed sequence number {sequence} after {}",
            self.next.unwrap_or_default().saturating_sub(1)
        );
        self.next = Some(sequence + 1);
        Ok(Some(((sequence, 0), rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::{decoded, holds_at_every_split};

    const REGISTERED: &[u8] =
        b"{\"extended\":{\"registered\":{\"topics\":{\"T\":{\"epoch\":\"5f1c\",\"seq\":57}}}}}\n";
    const MESSAGE: &[u8] = b"{\"extended\":{\"seq\":58,\"time\":1763796000123,\"user\":\"alice\"},\
        \"source\":{\"ip\":\"1\"},\"message\":{\"topic\":\"T\",\"text\":\"x\"}}\n";
    const REST: &[u8] =
        b"\"source\":{\"ip\":\"1\"},\"message\":{\"topic\":\"T\",\"text\":\"x\"}}\n";
    const PING_7: &[u8] = b"{\"extended\":{\"ping\":7}}\n";
    const PONG_7: &[u8] = b"{\"extended\":{\"pong\":7}}\n";
    const QUORUM: &[u8] = b"{\"extended\":{\"notice\":{\"code\":\"quorum\",\"text\":\"\"}}}\n";
    const ERROR: &[u8] = b"{\"extended\":{\"error\":{\"code\":\"storage-full\",\"text\":\"\"}}}\n";

    #[test]
    fn messages_are_found_behind_their_envelopes_wherever_the_bytes_are_cut() {
        let unstored = b"{\"extended\":{\"stored\":false,\"time\":1},\"message\":{}}\n";
        let wire = [REGISTERED, MESSAGE, PING_7, unstored].concat();
        let rest = b"\"message\":{}}\n";
        holds_at_every_split(&Extended, &wire, &[REST, rest], PONG_7);
    }

    #[test]
    fn what_concerns_the_history_is_given_out_whole_and_pings_are_answered() {
        let wire = [REGISTERED, PING_7, QUORUM, MESSAGE].concat();
        holds_at_every_split(&Kept, &wire, &[REGISTERED, MESSAGE], PONG_7);
    }

    #[test]
    fn an_error_a_gap_and_a_line_without_an_envelope_end_the_run() {
        let gap = b"{\"extended\":{\"gap\":{\"topic\":\"T\",\"from\":12,\"to\":40}}}\n";
        let classic = b"{\"message\":{\"topic\":\"T\",\"text\":\"x\"}}\n";
        for wrong in [ERROR, gap, classic] {
            assert!(decoded(&Extended, &[wrong]).is_err());
            assert!(Kept.reader("T", 1).take(wrong, &mut Vec::new()).is_err());
            assert!(Kept.answer(wrong).is_err());
        }
    }

    #[test]
    fn all_topics_of_a_publisher_are_entered_with_one_registration() {
        let mut out = Vec::new();
        Kept.enter_all(0, &["T".to_owned(), "U".to_owned()], &mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["topics"], serde_json::json!(["T", "U"]));
        assert!(json["extended"].is_object());
    }

    #[test]
    fn a_message_with_an_id_is_json_with_the_payload_behind_it() {
        let mut out = Vec::new();
        let id = Id {
            lane: 3,
            number: 17,
        };
        let payload = b"{\"message\":{\"topic\":\"T\",\"text\":\"x\"}}\n";
        Kept.append("T", id, payload, &mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["extended"]["id"], "p3-17");
        assert_eq!(json["message"]["text"], "x");
    }

    #[test]
    fn answers_are_read_whatever_the_order_of_their_fields() {
        let expected = Answer::Ack {
            id: Some(Id {
                lane: 3,
                number: 17,
            }),
            position: (58, 0),
        };
        let acks: [&[u8]; 2] = [
            b"{\"extended\":{\"ack\":{\"id\":\"p3-17\",\"topic\":\"t-3\",\"seq\":58}}}\n",
            b"{\"extended\":{\"ack\":{\"seq\":58,\"topic\":\"t-3\",\"id\":\"p3-17\"}}}\n",
        ];
        for ack in acks {
            assert_eq!(Kept.answer(ack).unwrap(), expected);
        }
        assert_eq!(Kept.answer(REGISTERED).unwrap(), Answer::Ready);
        assert!(Kept.answer(b"{\"extended\":{\"ack\":{}}}\n").is_err());
    }

    #[test]
    fn a_replay_asks_for_so_many_and_gives_their_sequence_numbers() {
        let mut reader = Kept.reader("T", 20);
        let mut out = Vec::new();
        reader.begin(&mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (json["topics"][0].as_str(), &json["extended"]["last"]),
            (Some("T"), &20.into())
        );
        out.clear();
        assert_eq!(reader.take(REGISTERED, &mut out).unwrap(), None);
        assert_eq!(
            reader.take(MESSAGE, &mut out).unwrap(),
            Some(((58, 0), REST))
        );
        assert!(out.is_empty());
        let again = reader.take(MESSAGE, &mut out).unwrap_err().to_string();
        assert!(again.contains("58 after 58"), "{again}");
    }
}
