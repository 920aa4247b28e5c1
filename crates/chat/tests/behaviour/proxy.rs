//! A proxy between a client and its server that cuts connections where nobody
//! expects it.

use std::io::Write as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::uninterrupted::read_some;

/// Numbers that depend on nothing but the seed (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// A proxy that runs as long as the tests.
pub(crate) struct Proxy {
    /// What to give to the client.
    pub(crate) address: String,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    /// In front of `server`. Each of the first `count` connections is cut after a
    /// number of bytes, either way together, that `random` says: between its first
    /// byte and some hundred thousand.
    pub(crate) fn new(server: &str, count: usize, mut random: Random) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cuts = Arc::new(AtomicUsize::new(0));
        let (server, counter) = (server.to_owned(), cuts.clone());
        thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let budget = if number < count {
                    let most = 1 << (6 + random.below(12));
                    random.below(most) as usize
                } else {
                    usize::MAX
                };
                let resets = random.below(2) == 0;
                let pair = [client.unwrap(), TcpStream::connect(&server).unwrap()];
                Connection::start(pair, budget, resets, &counter);
            }
        });
        Self { address, cuts }
    }

    /// Connections that were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

/// Both sides of one connection.
struct Connection {
    pair: [TcpStream; 2],
    /// Bytes that may still pass.
    left: AtomicUsize,
    resets: bool,
    is_cut: AtomicBool,
    cuts: Arc<AtomicUsize>,
}

impl Connection {
    fn start(pair: [TcpStream; 2], budget: usize, resets: bool, cuts: &Arc<AtomicUsize>) {
        let connection = Arc::new(Self {
            pair,
            left: AtomicUsize::new(budget),
            resets,
            is_cut: AtomicBool::new(false),
            cuts: cuts.clone(),
        });
        for from in [0, 1] {
            let connection = connection.clone();
            thread::spawn(move || connection.pump(from));
        }
    }

    fn pump(&self, from: usize) {
        let (mut source, mut sink) = (&self.pair[from], &self.pair[1 - from]);
        let mut buffer = [0; 4096];
        loop {
            let count = read_some(&mut source, &mut buffer).unwrap_or(0);
            let left = self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    let is_endless = left == usize::MAX;
                    Some(if is_endless {
                        left
                    } else {
                        left.saturating_sub(count)
                    })
                });
            let left = left.unwrap();
            let passing = &buffer[..count.min(left)];
            if count == 0 || sink.write_all(passing).is_err() {
                let _ = sink.shutdown(Shutdown::Write);
                return;
            }
            if left <= count {
                return self.cut();
            }
        }
    }

    fn cut(&self) {
        if !self.is_cut.swap(true, Ordering::SeqCst) {
            self.cuts.fetch_add(1, Ordering::SeqCst);
        }
        for stream in &self.pair {
            if self.resets {
                let socket = socket2::SockRef::from(stream);
                let _ = socket.set_linger(Some(Duration::ZERO));
            }
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
