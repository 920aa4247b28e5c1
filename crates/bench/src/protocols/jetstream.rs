//! NATS with JetStream: publishing is a request, whose answer says that the message is in a
//! stream. Each message names its own subject for that answer.

use super::journal::{Answer, Id, Journal, Reader, Unread};
use super::nats::{CONNECT, Nats};
use super::{Codec, Step, crlf_line, shown};
use anyhow::{Result, bail};
use memchr::memmem;

/// What begins the subjects of the stream that is published to.
pub(crate) const SUBJECTS: &str = "topicbench";
/// What begins the subjects to which JetStream answers.
const INBOX: &str = "_INBOX.topicbench";
const PONG: &[u8] = b"PONG";

/// JetStream, as far as a publisher needs it. Every answer is a delivery, with its line.
pub(crate) struct JetStream;

impl Codec for JetStream {
    fn join(&self, topic: &str, out: &mut Vec<u8>) {
        Nats.join(&format!("{SUBJECTS}.{topic}"), out);
    }

    fn enter(&self, topic: &str, out: &mut Vec<u8>) {
        Nats.enter(topic, out);
    }

    fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        Nats.publish(&format!("{SUBJECTS}.{topic}"), payload, out);
    }

    fn next<'a>(&self, bytes: &'a [u8]) -> Result<Step<'a>> {
        let Some((line, start)) = crlf_line(bytes)? else {
            return Ok(Step::Incomplete);
        };
        if line == PONG {
            return Ok(Step::Delivery {
                used: start,
                payload: line,
            });
        }
        Ok(match Nats.next(bytes)? {
            // With its line, and without what ends the payload.
            Step::Delivery { used, .. } => Step::Delivery {
                used,
                payload: &bytes[..used - b"\r\n".len()],
            },
            other => other,
        })
    }
}

impl Journal for JetStream {
    fn enter_all(&self, first_lane: usize, topics: &[String], out: &mut Vec<u8>) {
        out.extend_from_slice(CONNECT);
        for lane in first_lane..first_lane + topics.len() {
            out.extend_from_slice(format!("SUB {INBOX}.{lane}.* {}\r\n", lane + 1).as_bytes());
        }
        // Its answer comes behind those subscriptions.
        out.extend_from_slice(b"PING\r\n");
    }

    fn answers_entering(&self) -> bool {
        true
    }

    fn append(&self, topic: &str, id: Id, payload: &[u8], out: &mut Vec<u8>) {
        let Id { lane, number } = id;
        let length = payload.len();
        let line = format!("PUB {SUBJECTS}.{topic} {INBOX}.{lane}.{number} {length}\r\n");
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }

    fn answer(&self, arrival: &[u8]) -> Result<Answer> {
        if arrival == PONG {
            return Ok(Answer::Ready);
        }
        match acknowledgement(arrival) {
            Some(answer) => Ok(answer),
            None => bail!("JetStream answered a publisher {}", shown(arrival)),
        }
    }

    fn reader(&self, _topic: &str, _count: u64) -> Box<dyn Reader> {
        Box::new(Unread)
    }
}

/// `MSG inbox.lane.number sid length`, and behind that line
/// `{"stream":"…","seq":number}`.
fn acknowledgement(arrival: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(arrival).ok()?;
    let (line, body) = text.split_once("\r\n")?;
    let subject = line.split(' ').nth(1)?;
    let (lane, number) = subject
        .strip_prefix(INBOX)?
        .strip_prefix('.')?
        .split_once('.')?;
    let at = memmem::find(body.as_bytes(), b"\"seq\":")?;
    let digits = body[at + b"\"seq\":".len()..].trim_start();
    let end = digits.find(|letter: char| !letter.is_ascii_digit())?;
    Some(Answer::Ack {
        id: Some(Id {
            lane: lane.parse().ok()?,
            number: number.parse().ok()?,
        }),
        position: (digits[..end].parse().ok()?, 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::holds_at_every_split;

    const ACK: &[u8] =
        b"MSG _INBOX.topicbench.3.17 4 34\r\n{\"stream\":\"TOPICBENCH\", \"seq\": 58}";
    const REFUSAL: &[u8] =
        b"MSG _INBOX.topicbench.3.18 4 40\r\n{\"error\":{\"code\":503,\"err_code\":10008}}";

    #[test]
    fn answers_are_given_out_with_their_lines_wherever_the_bytes_are_cut() {
        let wire = [b"INFO {}\r\nPING\r\nPONG\r\n", ACK, b"\r\n"].concat();
        holds_at_every_split(&JetStream, &wire, &[PONG, ACK], b"PONG\r\n");
    }

    #[test]
    fn an_acknowledgement_names_the_message_and_its_place_in_the_stream() {
        let id = Some(Id {
            lane: 3,
            number: 17,
        });
        let position = (58, 0);
        let expected = Answer::Ack { id, position };
        assert_eq!(JetStream.answer(ACK).unwrap(), expected);
        assert_eq!(JetStream.answer(PONG).unwrap(), Answer::Ready);
    }

    #[test]
    fn a_refusal_ends_the_run() {
        let error = JetStream.answer(REFUSAL).unwrap_err().to_string();
        assert!(error.contains("10008"), "{error}");
    }

    #[test]
    fn a_publisher_hears_the_answers_to_all_its_lanes() {
        let mut out = Vec::new();
        JetStream.enter_all(3, &["a".to_owned(), "b".to_owned()], &mut out);
        let id = Id { lane: 4, number: 0 };
        JetStream.append("b", id, b"x\n", &mut out);
        let text = String::from_utf8(out).unwrap();
        let (_, rest) = text.split_once("\r\n").unwrap();
        assert_eq!(
            rest,
            "SUB _INBOX.topicbench.3.* 4\r\nSUB _INBOX.topicbench.4.* 5\r\nPING\r\n\
             PUB topicbench.b _INBOX.topicbench.4.0 2\r\nx\n\r\n"
        );
    }
}
