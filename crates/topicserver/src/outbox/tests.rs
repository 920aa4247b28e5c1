//! An outbox before a socket that takes only so much.

use std::io::IoSlice;
use std::task::{Context, Poll, Waker};

use wire::ErrorCode;

use super::*;

/// A socket that takes `room` bytes and then blocks, and remembers them.
#[derive(Default)]
struct Socket(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    bytes: Vec<u8>,
    room: usize,
    calls: usize,
    error: Option<io::ErrorKind>,
}

impl Transport for Socket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut taken = self.0.lock();
        taken.calls += 1;
        if let Some(kind) = taken.error {
            return Err(kind.into());
        }
        if taken.room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        let count = all.len().min(taken.room);
        taken.bytes.extend(&all[..count]);
        taken.room -= count;
        Ok(count)
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.lock().room > 0 {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn finish(&self) {}

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(([10, 0, 0, 1], 1).into())
    }
}

/// An outbox that may hold 100 bytes, before a socket with so much room.
fn outbox(room: usize) -> Outbox<Socket> {
    let limits = QueueLimits::of_one(100);
    let outbox = Outbox::new(Socket::default(), ([10, 0, 0, 2], 2).into(), limits);
    outbox.transport.0.lock().room = room;
    outbox
}

/// An outbox whose peer takes everything.
pub(crate) fn endless_outbox() -> SharedOutbox {
    Arc::new(outbox(usize::MAX))
}

fn batch(text: &str) -> Batch {
    Batch::new(
        Bytes::copy_from_slice(text.as_bytes()),
        text.lines().count() as u32,
    )
}

fn taken(outbox: &Outbox<Socket>) -> String {
    String::from_utf8(outbox.transport.0.lock().bytes.clone()).unwrap()
}

/// Gives the socket room for so much more, and lets the session drain.
fn drain(outbox: &Outbox<Socket>, room: usize) -> Drain {
    outbox.transport.0.lock().room += room;
    let waker = Waker::noop();
    outbox.poll_drain(&mut Context::from_waker(waker))
}

#[test]
fn what_the_socket_takes_is_never_queued() {
    let outbox = outbox(1000);
    outbox.send(&batch("one\n"));
    outbox.send_all([batch("two\n"), batch("three\n")].iter());
    assert_eq!(taken(&outbox), "one\ntwo\nthree\n");
    assert_eq!(outbox.transport.0.lock().calls, 2);
    assert_eq!(drain(&outbox, 0), Drain::Empty);
}

#[test]
fn what_it_does_not_take_follows_in_order() {
    for room in 0..14 {
        let outbox = outbox(room);
        outbox.send_all([batch("one\n"), batch("two\n")].iter());
        outbox.send(&batch("three\n"));
        let before = room.min(14);
        assert_eq!(
            taken(&outbox),
            "one\ntwo\nthree\n"[..before],
            "room for {room}"
        );
        assert_eq!(drain(&outbox, 0), Drain::Waiting { progress: false });
        assert_eq!(drain(&outbox, 1000), Drain::Empty);
        assert_eq!(taken(&outbox), "one\ntwo\nthree\n", "room for {room}");
    }
}

#[test]
fn many_pieces_go_out_in_few_calls() {
    let outbox = Outbox::new(
        Socket::default(),
        ([10, 0, 0, 2], 2).into(),
        QueueLimits::of_one(10_000),
    );
    for n in 0..150 {
        outbox.send(&batch(&format!("{n:03}\n")));
    }
    let before = outbox.transport.0.lock().calls;
    assert_eq!(drain(&outbox, 10_000), Drain::Empty);
    assert_eq!(taken(&outbox).len(), 600);
    assert_eq!(
        outbox.transport.0.lock().calls - before,
        3,
        "64 pieces a call"
    );
}

#[test]
fn more_runs_than_one_call_takes_keep_their_order() {
    let outbox = outbox(10_000);
    let batches: Vec<_> = (0..100).map(|n| batch(&format!("{n:03}\n"))).collect();
    outbox.send_all(batches.iter());
    assert_eq!(outbox.transport.0.lock().calls, 2);
    let expected: String = (0..100).map(|n| format!("{n:03}\n")).collect();
    assert_eq!(taken(&outbox), expected);
}

#[test]
fn a_slow_reader_gets_what_was_queued_and_then_the_reason() {
    let outbox = outbox(3);
    outbox.send(&batch("first\n"));
    outbox.send(&batch(&("x".repeat(96) + "\n")));
    assert_eq!(outbox.closing(), None, "100 bytes wait");
    outbox.send(&batch("ab\n"));
    outbox.send(&batch("never\n"));
    assert_eq!(outbox.closing(), Some(Some(ErrorCode::SlowReader)));
    assert_eq!(drain(&outbox, 10_000), Drain::Empty);
    let taken = taken(&outbox);
    let lines: Vec<_> = taken.lines().collect();
    assert_eq!(lines.len(), 3, "{taken}");
    assert_eq!(lines[0], "first");
    assert!(
        lines[2].contains(r#""topic":"error","text":"slow-reader: 103 bytes wait"#),
        "{taken}"
    );
    assert!(lines[2].contains(r#""destination":{"ip":"10.0.0.2","port":"2"}"#));
}

#[test]
fn a_run_longer_than_the_limit_can_still_be_sent() {
    let outbox = outbox(10);
    outbox.send(&batch(&("x".repeat(500) + "\n")));
    assert_eq!(outbox.closing(), None);
    drain(&outbox, 1000);
    assert_eq!(taken(&outbox).len(), 501);
}

#[test]
fn whole_notices_are_left_out_while_much_waits() {
    let outbox = Outbox::new(
        Socket::default(),
        ([10, 0, 0, 2], 2).into(),
        QueueLimits::of_one(1 << 20),
    );
    for _ in 0..10_000 {
        outbox.send_error(ErrorCode::UnknownFrame, "what is this", None);
    }
    drain(&outbox, 1 << 20);
    let taken = taken(&outbox);
    assert!((ROOM_FOR_NOTICES..2 * ROOM_FOR_NOTICES).contains(&taken.len()));
    assert!(taken.lines().all(|line| line.ends_with("}}")));
    assert_eq!(outbox.closing(), None, "errors alone disconnect nobody");
}

#[test]
fn a_broken_connection_holds_nothing_and_takes_nothing() {
    let outbox = outbox(0);
    outbox.send(&batch("waits\n"));
    outbox.transport.0.lock().error = Some(io::ErrorKind::BrokenPipe);
    assert_eq!(drain(&outbox, 0), Drain::Broken(io::ErrorKind::BrokenPipe));
    outbox.send(&batch("more\n"));
    assert_eq!(outbox.state.lock().queued(), 0);
}

#[test]
fn kept_bytes_do_not_hold_the_read_buffer() {
    let block = Bytes::from(vec![b'x'; 65536]);
    let outboxes = [outbox(0), outbox(0)];
    let batch = Batch::new(block.slice(..10), 1);
    outboxes.iter().for_each(|outbox| outbox.send(&batch));
    drop(batch);
    assert!(
        block.is_unique(),
        "two stalled readers keep ten bytes, once"
    );
    let queued: Vec<_> = outboxes
        .iter()
        .map(|o| {
            o.state
                .lock()
                .queue
                .as_ref()
                .unwrap()
                .iter()
                .next()
                .unwrap()
                .as_ptr()
        })
        .collect();
    assert_eq!(queued[0], queued[1]);
}

#[test]
fn the_session_is_woken_when_something_waits_and_only_then() {
    struct Count(std::sync::atomic::AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let count = Arc::new(Count(0.into()));
    let woken = || count.0.load(std::sync::atomic::Ordering::Relaxed);
    let waker = Waker::from(count.clone());
    let outbox = outbox(6);
    assert_eq!(
        outbox.poll_drain(&mut Context::from_waker(&waker)),
        Drain::Empty
    );
    outbox.send(&batch("first\n"));
    assert_eq!(woken(), 0, "the socket took it");
    outbox.send(&batch("second\n"));
    outbox.send(&batch("third\n"));
    assert_eq!(woken(), 1);
}

#[test]
fn a_session_need_look_only_when_something_waits_or_has_happened() {
    let outbox = outbox(4);
    assert!(outbox.has_work(), "nobody has looked yet");
    assert_eq!(drain(&outbox, 0), Drain::Empty);
    outbox.send(&batch("one\n"));
    assert!(!outbox.has_work(), "it is written");
    outbox.send(&batch("two\n"));
    assert!(outbox.has_work());
    assert_eq!(drain(&outbox, 0), Drain::Waiting { progress: false });
    assert!(outbox.has_work(), "it still waits");
    assert_eq!(drain(&outbox, 4), Drain::Empty);
    assert!(!outbox.has_work());
    outbox.finish(None);
    assert!(outbox.has_work());
}

#[test]
fn a_session_does_not_wait_for_the_task_that_is_writing() {
    let outbox = outbox(0);
    assert_eq!(drain(&outbox, 0), Drain::Empty);
    let _writing = outbox.state.lock();
    assert!(!outbox.has_work());
    assert!(!outbox.is_full());
}

/// Outboxes that share limits, before sockets that take nothing.
fn sharing(limits: &Arc<QueueLimits>, count: usize) -> Vec<Outbox<Socket>> {
    let peer = ([10, 0, 0, 2], 2).into();
    let outbox = |_| Outbox::new(Socket::default(), peer, limits.clone());
    (0..count).map(outbox).collect()
}

#[test]
fn when_all_is_taken_those_who_hold_most_are_sent_on_or_told_and_closed() {
    let limits = QueueLimits::new(1_000, 1_000, 4_000);
    let outboxes = sharing(&limits, 4);
    let piece = batch(&("x".repeat(399) + "\n"));
    let pieces = || std::iter::repeat_n(&piece, 2);
    // The first two take what they may have, and that is more than half of all.
    assert_eq!(outboxes[0].try_send_batch(pieces()), 2);
    outboxes[1].send_all(pieces());
    // So the third one gets no more than its share of the other half.
    assert_eq!(outboxes[2].try_send_batch(pieces()), 1);
    assert!(limits.queued() > 2_000);
    // An extended one gets the rest when there is room; its session is told.
    assert_eq!(outboxes[0].try_send_batch(std::iter::once(&piece)), 0);
    assert_eq!(outboxes[1].closing(), None);
    outboxes[1].send(&batch(&("y".repeat(99) + "\n")));
    assert_eq!(outboxes[1].closing(), Some(Some(ErrorCode::QueuesFull)));
    // Who has nothing still gets something.
    assert_eq!(outboxes[3].try_send_batch(std::iter::once(&piece)), 1);
    let before = limits.queued();
    while drain(&outboxes[1], 1_000) != Drain::Empty {}
    let told = taken(&outboxes[1]);
    // What may have been begun is whole, and the rest was given back at once.
    assert_eq!(told.lines().next().map(str::len), Some(399));
    assert!(
        told.lines()
            .nth(1)
            .is_some_and(|line| line.contains("queues-full: ")),
        "{told}"
    );
    assert!(told.contains("so 500 bytes for you were dropped"), "{told}");
    assert!(limits.queued() < before);
    drop(outboxes);
    assert_eq!(limits.queued(), 0);
}

#[test]
fn an_answer_has_room_when_it_fits_or_when_nothing_is_queued() {
    let limits = QueueLimits::new(1_000, 1_000, 1 << 30);
    let outbox = &sharing(&limits, 1)[0];
    assert!(outbox.has_room_for(1_000));
    // Larger than any outbox may be: then it is the only thing in it.
    assert!(outbox.has_room_for(5_000));
    outbox.send_reply(vec![b'x'; 400]);
    let left = 1_000 - outbox.state.lock().promised();
    assert!(outbox.has_room_for(left));
    assert!(!outbox.has_room_for(left + 1));
    while drain(outbox, 1_000) != Drain::Empty {}
    assert!(outbox.has_room_for(5_000));
}

#[test]
fn what_is_counted_is_what_pieces_take() {
    let limits = QueueLimits::new(1 << 20, 1 << 20, 1 << 30);
    let outbox = &sharing(&limits, 1)[0];
    for _ in 0..100 {
        outbox.send_reply(vec![b'x'; 48]);
    }
    // 48 bytes, and a place of 32 in a queue that is up to half empty.
    assert_eq!(limits.queued(), 100 * (48 + 2 * 32));
    // A part of the first, and then the others.
    for room in [10, 38, 4_752] {
        drain(outbox, room);
    }
    assert_eq!(limits.queued(), 0);
}
