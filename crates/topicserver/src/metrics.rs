//! What the process counts of itself. Each thread counts in a block of its own, where an
//! addition needs nothing that other threads have; whoever reads adds up all blocks.
//!
//! The counts are those of the process, which runs one server. Only tests run several.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use wire::ErrorCode;

/// What is counted without further distinction, or goes up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Accepted,
    RefusedServerFull,
    RefusedAddressFull,
    ReceivedMessages,
    ReceivedBytes,
    DeliveredMessages,
    SentBytes,
    Acknowledgements,
    NotStored,
    Gaps,
    SlowReaders,
    StoreFailures,
    HandshakesDone,
    HandshakesFailed,
    LimitedMessages,
    LimitedBytes,
    LimitedConnections,
    LimitedNewTopics,
    ClusterHoles,
    ClusterForwarded,
    // From here on they go up and down.
    Tcp,
    TcpOverTls,
    Http,
    HttpOverTls,
    Streams,
    StreamsOverTls,
    WebSockets,
    WebSocketsOverTls,
    Members,
    ReadersBehind,
    Ids,
}

/// What is counted for each code of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByCode {
    /// Errors that peers were told.
    Errors,
    /// Logins that failed.
    AuthFailures,
}

/// What is measured in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// From the first message of a group in a topic's mailbox to its acknowledgements.
    Publish,
    /// A flush of the history to disk.
    Flush,
    /// From a record that a topic's owner appends to the cluster's log to the log's answer.
    Append,
}

/// The upper bounds of the buckets, in microseconds: from a loopback's round trip to the
/// patience of a client.
pub(crate) const BOUNDS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000,
];

/// What a connection has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// JSON, or nothing yet.
    Tcp,
    /// HTTP, request by request.
    Http,
    /// A stream over HTTP.
    Stream,
    WebSocket,
}

impl Speaks {
    fn count(self, is_secure: bool) -> Count {
        match (self, is_secure) {
            (Self::Tcp, false) => Count::Tcp,
            (Self::Tcp, true) => Count::TcpOverTls,
            (Self::Http, false) => Count::Http,
            (Self::Http, true) => Count::HttpOverTls,
            (Self::Stream, false) => Count::Streams,
            (Self::Stream, true) => Count::StreamsOverTls,
            (Self::WebSocket, false) => Count::WebSockets,
            (Self::WebSocket, true) => Count::WebSocketsOverTls,
        }
    }
}

const COUNTS: usize = Count::Ids as usize + 1;
const CODES: usize = ErrorCode::ALL.len();
/// One more bucket for what is beyond all bounds, and the sum in nanoseconds.
const TIME_SLOTS: usize = BOUNDS.len() + 2;
const BY_CODE: usize = COUNTS;
const TIMES: usize = BY_CODE + 2 * CODES;
const SLOTS: usize = TIMES + (Time::Append as usize + 1) * TIME_SLOTS;

/// The counts of one thread, which alone writes here.
struct Block([AtomicU64; SLOTS]);

impl Block {
    fn add(&self, slot: usize, by: u64) {
        let slot = &self.0[slot];
        // What goes down is added as its complement, and may be another thread's.
        slot.store(slot.load(Relaxed).wrapping_add(by), Relaxed);
    }
}

/// The blocks of all threads.
struct Blocks {
    of_threads: Vec<Arc<Block>>,
    /// What threads counted that have ended.
    ended: [u64; SLOTS],
}

static BLOCKS: Mutex<Blocks> = Mutex::new(Blocks {
    of_threads: Vec::new(),
    ended: [0; SLOTS],
});

/// A thread's hold of its block.
struct Mine(Arc<Block>);

impl Mine {
    fn new() -> Self {
        let block = Arc::new(Block([const { AtomicU64::new(0) }; SLOTS]));
        BLOCKS.lock().of_threads.push(block.clone());
        Self(block)
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        let mut blocks = BLOCKS.lock();
        blocks
            .of_threads
            .retain(|block| !Arc::ptr_eq(block, &self.0));
        for (sum, slot) in blocks.ended.iter_mut().zip(&self.0.0) {
            *sum = sum.wrapping_add(slot.load(Relaxed));
        }
    }
}

thread_local! {
    static MINE: Mine = Mine::new();
}

fn add(slot: usize, by: u64) {
    // A thread that is ending counts no more.
    let _ = MINE.try_with(|mine| mine.0.add(slot, by));
}

/// Counts so many more.
pub(crate) fn count(what: Count, by: u64) {
    add(what as usize, by);
}

/// Counts so many less of what goes up and down.
fn discount(what: Count, by: u64) {
    add(what as usize, by.wrapping_neg());
}

/// Counts a number that was `from` and is `to`, among what goes up and down.
pub(crate) fn change(what: Count, from: usize, to: usize) {
    match to.checked_sub(from) {
        Some(0) => {}
        Some(more) => count(what, more as u64),
        None => discount(what, (from - to) as u64),
    }
}

/// Counts the bytes of a write to a client, without those of encryption.
pub(crate) fn count_sent(written: io::Result<usize>) -> io::Result<usize> {
    if let Ok(bytes) = written {
        count(Count::SentBytes, bytes as u64);
    }
    written
}

/// Counts one more with this code.
pub(crate) fn count_code(what: ByCode, code: ErrorCode) {
    add(BY_CODE + what as usize * CODES + code as usize, 1);
}

/// Notes how long something took.
pub(crate) fn observe(what: Time, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let bucket = BOUNDS.partition_point(|&bound| bound < micros);
    let base = TIMES + what as usize * TIME_SLOTS;
    add(base + bucket, 1);
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    add(base + BOUNDS.len() + 1, nanos);
}

/// A connection that is counted as long as it is there. One byte: an idle connection has
/// room for it.
#[derive(Debug)]
pub(crate) struct CountedConnection(Count);

impl CountedConnection {
    pub(crate) fn new() -> Self {
        count(Count::Tcp, 1);
        Self(Count::Tcp)
    }

    /// From now on it counts as this.
    pub(crate) fn become_one(&mut self, speaks: Speaks, is_secure: bool) {
        let what = speaks.count(is_secure);
        discount(self.0, 1);
        count(what, 1);
        self.0 = what;
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        discount(self.0, 1);
    }
}

/// How many there are of what goes up and down: counted here, and in all.
#[derive(Debug)]
pub(crate) struct Level {
    what: Count,
    number: u32,
}

impl Level {
    pub(crate) fn new(what: Count) -> Self {
        Self { what, number: 0 }
    }

    pub(crate) fn get(&self) -> u32 {
        self.number
    }

    pub(crate) fn add(&mut self, number: u32) {
        if number > 0 {
            self.number += number;
            count(self.what, number.into());
        }
    }

    pub(crate) fn remove(&mut self, number: u32) {
        if number > 0 {
            self.number -= number;
            discount(self.what, number.into());
        }
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.remove(self.number);
    }
}

/// All counts at one moment, more or less: threads go on counting while they are read.
pub(crate) struct Sums([u64; SLOTS]);

/// What was measured of a [`Time`].
pub(crate) struct Times {
    /// How many were within each of [`BOUNDS`] and above the one before, and beyond all.
    pub(crate) buckets: Vec<u64>,
    pub(crate) sum: Duration,
}

impl Sums {
    pub(crate) fn read() -> Self {
        let blocks = BLOCKS.lock();
        let mut sums = blocks.ended;
        for block in &blocks.of_threads {
            for (sum, slot) in sums.iter_mut().zip(&block.0) {
                *sum = sum.wrapping_add(slot.load(Relaxed));
            }
        }
        Self(sums)
    }

    pub(crate) fn of(&self, what: Count) -> u64 {
        self.0[what as usize]
    }

    /// The same of what goes up and down. While threads count, one's part may be here
    /// without another's: never less than nothing.
    pub(crate) fn level(&self, what: Count) -> u64 {
        let level = self.of(what);
        // The complement of a small number is a negative one.
        if level.cast_signed() < 0 { 0 } else { level }
    }

    pub(crate) fn with_code(&self, what: ByCode, code: ErrorCode) -> u64 {
        self.0[BY_CODE + what as usize * CODES + code as usize]
    }

    pub(crate) fn times(&self, what: Time) -> Times {
        let base = TIMES + what as usize * TIME_SLOTS;
        Times {
            buckets: self.0[base..base + BOUNDS.len() + 1].to_vec(),
            sum: Duration::from_nanos(self.0[base + BOUNDS.len() + 1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests of this process count, too: what these use, nothing else does, or it is
    /// compared with how it was.
    #[test]
    fn counts_of_threads_that_have_ended_stay_and_levels_come_down() {
        let before = Sums::read();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(|| {
                    count(Count::LimitedNewTopics, 1_000);
                    count_code(ByCode::AuthFailures, ErrorCode::Busy);
                    let mut connection = CountedConnection::new();
                    connection.become_one(Speaks::WebSocket, true);
                    connection
                })
            })
            .collect();
        let present: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        let after = Sums::read();
        let grown = |what| after.of(what) - before.of(what);
        assert!(grown(Count::LimitedNewTopics) >= 8_000);
        let busy = |sums: &Sums| sums.with_code(ByCode::AuthFailures, ErrorCode::Busy);
        assert_eq!(busy(&after) - busy(&before), 8);
        assert!(after.level(Count::WebSocketsOverTls) >= 8);
        drop(present);
        let end = Sums::read().level(Count::WebSocketsOverTls);
        assert_eq!(end + 8, after.level(Count::WebSocketsOverTls));
    }

    #[test]
    fn a_time_is_in_the_bucket_whose_bound_it_does_not_exceed() {
        let before = Sums::read().times(Time::Flush).buckets;
        for micros in [50, 51, 10_000_000, 10_000_001] {
            observe(Time::Flush, Duration::from_micros(micros));
        }
        let after = Sums::read().times(Time::Flush).buckets;
        let grown = |at: usize| after[at] - before[at];
        assert!(grown(0) >= 1 && grown(1) >= 1 && grown(15) >= 1);
        assert_eq!(grown(16), 1);
    }
}
