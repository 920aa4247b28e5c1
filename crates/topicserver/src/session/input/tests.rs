//! Bytes → batches: the same frames for every cut, and copies only where needed.

use bytes::Bytes;
use std::collections::VecDeque;

use proptest::prelude::*;
use tokio::io::ReadBuf;

use std::task::Waker;

use wire::{FrameError, JsonStr, RegistrationOptions, Request, TopicName};

use super::*;
use crate::outbox::batch::Batch;
use crate::queues::QueueLimits;
use crate::topic::publication::MessageId;

/// A peer whose bytes arrive in these pieces; then it waits, or ends.
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    ends: bool,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.pieces.pop_front() {
            Some(piece) => buffer.put_slice(&piece),
            None if self.ends => {}
            None => return Poll::Pending,
        }
        Poll::Ready(Ok(()))
    }
}

/// Queues with room for everything.
struct Roomy(Arc<QueueLimits>);

impl Default for Roomy {
    fn default() -> Self {
        Self(QueueLimits::of_one(1 << 20))
    }
}

/// Routes topics named by a digit to the place of that number, and remembers.
#[derive(Default)]
struct Log {
    registered: Vec<String>,
    /// Every batch as it was published.
    batches: Vec<(usize, Bytes)>,
    unrouted: Vec<String>,
    /// The ids of messages that are to be acknowledged.
    ids: Vec<String>,
    requests: Vec<String>,
    rejected: Vec<FrameError>,
    queues: Roomy,
    /// Frames that take more than their bytes, of which each leaves no room.
    stops: bool,
}

impl FrameSink for Log {
    fn register(&mut self, topics: Vec<TopicName>, _: Option<Box<RegistrationOptions>>) {
        self.registered
            .extend(topics.iter().map(ToString::to_string));
    }

    fn route(&mut self, topic: &str, _: Option<&str>) -> Option<usize> {
        let place = topic.parse().ok();
        if place.is_none() {
            self.unrouted.push(topic.to_owned());
        }
        place
    }

    fn message_id(&mut self, id: &str, text: JsonStr<'_>) -> Box<MessageId> {
        Box::new(MessageId {
            id: id.into(),
            origin: 0,
            hash: text.decode().len() as u64,
        })
    }

    fn publish(&mut self, place: usize, frames: Batch, id: Option<Box<MessageId>>) {
        let lines = frames.bytes().iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, frames.count() as usize);
        self.batches.push((place, frames.bytes().clone()));
        self.ids.extend(id.map(|id| id.id.into()));
    }

    fn request(&mut self, request: Request) {
        self.requests.push(format!("{request:?}"));
    }

    fn reject(&mut self, error: &FrameError) {
        self.rejected.push(error.clone());
    }

    fn has_room(&self) -> bool {
        !self.stops
    }

    fn queue_limits(&self) -> &Arc<QueueLimits> {
        &self.queues.0
    }
}

impl Log {
    /// Every line that was published, with where it went.
    fn lines(&self) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        for (place, batch) in &self.batches {
            assert!(batch.ends_with(b"\n"), "{batch:?}");
            let text = std::str::from_utf8(batch).unwrap();
            lines.extend(text.lines().map(|line| (*place, line.to_owned())));
        }
        lines
    }
}

/// Reads everything that arrives in these pieces.
fn read_all(pieces: &[&[u8]], limits: Limits) -> (Log, Input, Result<(), InputError>) {
    let mut reader = Pieces {
        pieces: pieces
            .iter()
            .filter(|p| !p.is_empty())
            .map(|p| p.to_vec())
            .collect(),
        ends: true,
    };
    let (mut log, mut input) = (Log::default(), Input::default());
    let waker = Waker::noop();
    let mut cx = Context::from_waker(waker);
    loop {
        match input.poll_read(&mut reader, &mut cx, limits, &mut log) {
            Poll::Ready(Ok(Ok(Read::Some { .. }))) => {}
            Poll::Ready(Ok(Ok(Read::End))) => return (log, input, Ok(())),
            Poll::Ready(Ok(Err(error))) => return (log, input, Err(error)),
            other => panic!("{other:?}"),
        }
    }
}

/// Reads the same, where each frame that takes more than its bytes leaves no room for more
/// at once. Tells how often it stopped.
fn read_in_turns(bytes: &[u8]) -> (Log, usize) {
    let mut reader = Pieces {
        pieces: [bytes.to_vec()].into(),
        ends: true,
    };
    let mut log = Log {
        stops: true,
        ..Log::default()
    };
    let (mut input, mut stops) = (Input::default(), 0);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        let limits = Limits::default();
        match input.poll_read(&mut reader, &mut cx, limits, &mut log) {
            Poll::Ready(Ok(Ok(Read::Some { stopped, .. }))) => stops += usize::from(stopped),
            Poll::Ready(Ok(Ok(Read::End))) => return (log, stops),
            other => panic!("{other:?}"),
        }
    }
}

fn read(bytes: &[u8]) -> Log {
    let (log, _, result) = read_all(&[bytes], Limits::default());
    result.unwrap();
    log
}

fn message(topic: &str, text: &str) -> String {
    format!(r#"{{"message":{{"topic":"{topic}","text":"{text}"}}}}"#)
}

#[test]
fn consecutive_frames_for_one_topic_are_one_run() {
    let lines: String = (0..50)
        .map(|n| message("1", &n.to_string()) + "\n")
        .collect();
    let log = read(lines.as_bytes());
    assert_eq!(log.batches.len(), 1);
    assert_eq!(log.batches[0].1, lines);
}

#[test]
fn a_run_ends_where_the_topic_changes() {
    let stream = ["1", "1", "2", "1"]
        .map(|topic| message(topic, "x") + "\n")
        .concat();
    let places: Vec<_> = read(stream.as_bytes())
        .batches
        .iter()
        .map(|batch| batch.0)
        .collect();
    assert_eq!(places, [1, 2, 1]);
}

#[test]
fn what_lies_between_frames_is_not_relayed() {
    let (a, b) = (message("1", "a"), message("1", "b"));
    for gap in [
        "",
        "\n",
        " ",
        "\r\n",
        "\n\n\n",
        " \t \n ",
        "{}",
        "\n[1]\n",
        "{\"topics\":[\"t\"]}",
    ] {
        let log = read(format!("{a}{gap}{b}").as_bytes());
        assert_eq!(log.lines(), [(1, a.clone()), (1, b.clone())], "{gap:?}");
    }
}

#[test]
fn a_frame_is_relayed_as_it_came_but_for_its_line_breaks() {
    let odd = "{ \"x\" : 1.50e+1,\n\"message\":{\"text\":\"\\u00e9\\n\",\r\n\t\"topic\":\"1\"}\n}";
    let line = "{ \"x\" : 1.50e+1, \"message\":{\"text\":\"\\u00e9\\n\",  \t\"topic\":\"1\"} }";
    assert_eq!(read(odd.as_bytes()).lines(), [(1, line.to_owned())]);
}

#[test]
fn what_a_sender_puts_under_extended_is_dropped() {
    for (frame, line) in [
        (
            r#"{"extended":{"seq":1},"message":{"topic":"1","text":"a"}}"#,
            r#"{"message":{"topic":"1","text":"a"}}"#,
        ),
        (
            r#"{"message":{"topic":"1","text":"a"} , "extended" : 7 }"#,
            r#"{"message":{"topic":"1","text":"a"}  }"#,
        ),
        (
            r#"{"a":1,"extended":[],"message":{"topic":"1","text":"a"}}"#,
            r#"{"a":1,"message":{"topic":"1","text":"a"}}"#,
        ),
        (
            r#"{"\u0065xtended":{},"message":{"topic":"1","text":"a"}}"#,
            r#"{"message":{"topic":"1","text":"a"}}"#,
        ),
        (
            r#"{"message":{"extended":1,"topic":"1","text":"a"}}"#,
            r#"{"message":{"extended":1,"topic":"1","text":"a"}}"#,
        ),
    ] {
        assert_eq!(
            read(frame.as_bytes()).lines(),
            [(1, line.to_owned())],
            "{frame}"
        );
        assert_eq!(
            read(format!("{frame}\n{frame}\n").as_bytes()).lines().len(),
            2
        );
    }
}

#[test]
fn good_frames_before_a_bad_byte_are_published() {
    let stream = format!("{}\n{}!", message("1", "a"), message("1", "b"));
    let (log, _, result) = read_all(&[stream.as_bytes()], Limits::default());
    assert!(matches!(
        result,
        Err(InputError::Stream(ScanError::NotJson { found: b'!', .. }))
    ));
    assert_eq!(log.lines().len(), 2);
}

#[test]
fn an_unfinished_frame_keeps_its_own_bytes_and_nothing_else() {
    let half = "{\"message\":";
    let stream = message("1", &"x".repeat(2000)) + "\n" + half;
    let (_, input, _) = read_all(&[stream.as_bytes()], Limits::default());
    assert!(input.is_partial());
    let kept = input.partial.unwrap().bytes;
    assert_eq!(kept, half);
    assert!(kept.capacity() < 100, "{}", kept.capacity());
}

#[test]
fn a_connection_between_frames_keeps_nothing() {
    let (_, input, _) = read_all(&[b"{}\n", b"{\"a\"", b":1}\n \n"], Limits::default());
    assert!(!input.is_partial());
}

#[test]
fn after_each_frame_that_takes_more_than_its_bytes_it_is_asked_whether_more_may_follow() {
    let (a, b) = (message("1", "a"), message("1", "b"));
    let stream = format!("{a}\n{{}}[1]{b}\n{{\"topics\":[]}}{{\"a\":");
    let (log, stops) = read_in_turns(stream.as_bytes());
    assert_eq!((log.lines().len(), log.rejected.len(), stops), (2, 2, 3));
    let stops = |frame: &str| read_in_turns(frame.repeat(9).as_bytes()).1;
    // A batch takes its bytes.
    assert_eq!(stops(&format!("{a}\n")), 0);
    // Messages that are published one by one don't: with ids, and without separators. The last of
    // those is a batch.
    let with_id = a.replacen('{', "{\"extended\":{\"id\":\"k\"},", 1);
    assert_eq!(stops(&format!("{with_id}\n")), 9);
    assert_eq!(stops(&a), 8);
    // A message that goes nowhere is answered.
    assert_eq!(stops(&message("x", "a")), 9);
}

#[test]
fn an_endless_frame_is_given_up_at_the_limit() {
    let limits = Limits {
        max_frame: 1000,
        ..Limits::default()
    };
    let piece = [b'x'; 300];
    let (_, _, result) = read_all(&[b"{\"a\":\"", &piece, &piece, &piece, &piece], limits);
    assert_eq!(result, Err(ScanError::TooLong(1000).into()));
}

proptest! {
    #[test]
    fn every_cut_publishes_the_same_lines_in_the_same_order(
        frames in proptest::collection::vec(frame(), 1..12),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let stream = frames.concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|ends| &stream.as_bytes()[ends[0]..ends[1]]).collect();
        let (cut, ..) = read_all(&pieces, Limits::default());
        let whole = read(stream.as_bytes());
        prop_assert_eq!(cut.lines(), whole.lines());
        prop_assert_eq!(&cut.registered, &whole.registered);
        prop_assert_eq!(&cut.rejected, &whole.rejected);
        prop_assert_eq!(&cut.unrouted, &whole.unrouted);
        let (in_turns, _) = read_in_turns(stream.as_bytes());
        prop_assert_eq!(in_turns.lines(), whole.lines());
        prop_assert_eq!(in_turns.registered, whole.registered);
        prop_assert_eq!(in_turns.rejected, whole.rejected);
    }
}

/// A frame of any kind, with what may follow it.
fn frame() -> impl Strategy<Value = String> {
    let frame = prop_oneof![
        4 => ("[12x]", ".{0,30}").prop_map(|(topic, text)| {
            let text = serde_json::to_string(&text).unwrap();
            message(&topic, &text[1..text.len() - 1])
        }),
        1 => Just("{\"topics\":[\"t\"]}".to_owned()),
        1 => Just("{\n}".to_owned()),
        1 => Just("{\"extended\":{\"id\":\"k\"},\n\"message\":{\"topic\":\"1\",\"text\":\"a\"}}".to_owned()),
    ];
    let gap = prop_oneof![3 => Just("\n"), 1 => Just(""), 1 => Just("\r\n"), 1 => Just("  ")];
    (frame, gap).prop_map(|(frame, gap)| frame + gap)
}

#[test]
fn unfinished_frames_count_among_all_queues_and_one_of_most_bytes_is_refused() {
    let queues = QueueLimits::new(1, 1, 80_000);
    let read = |input: &mut Input, piece: &[u8]| {
        let mut reader = Pieces {
            pieces: [piece.to_vec()].into(),
            ends: false,
        };
        let mut log = Log {
            queues: Roomy(queues.clone()),
            ..Log::default()
        };
        let mut cx = Context::from_waker(Waker::noop());
        match input.poll_read(&mut reader, &mut cx, Limits::default(), &mut log) {
            Poll::Ready(Ok(read)) => read.map(|_| ()),
            other => panic!("{other:?}"),
        }
    };
    let frame = |length: usize| format!("{{\"a\":\"{}", "x".repeat(length - 6)).into_bytes();
    let (mut one, mut other) = (Input::default(), Input::default());
    assert_eq!(read(&mut one, &frame(6_000)), Ok(()));
    assert_eq!(read(&mut one, b"x"), Ok(()));
    assert_eq!((queues.queued(), queues.input()), (6_001, 6_001));
    // Frames may wait in 20,000 bytes; from the half on, each connection has its share.
    assert_eq!(read(&mut other, &frame(4_000)), Ok(()));
    let refused = read(&mut one, b"x").unwrap_err();
    assert_eq!(refused.code(), ErrorCode::QueuesFull);
    assert!(
        refused.to_string().starts_with("6002 bytes of your frames"),
        "{refused}"
    );
    assert_eq!(read(&mut other, b"\"}"), Ok(()));
    drop(one);
    assert_eq!(queues.queued(), 0);
}
