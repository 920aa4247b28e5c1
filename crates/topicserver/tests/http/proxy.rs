//! A network between a browser and a server, which can be cut.

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

/// Lets connections through to a server, or none.
pub struct Proxy {
    addr: SocketAddr,
    state: Arc<State>,
}

struct State {
    server: Mutex<SocketAddr>,
    is_cut: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            server: Mutex::new(server),
            is_cut: AtomicBool::new(false),
            streams: Mutex::default(),
        });
        let accepting = state.clone();
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                accepting.take(stream);
            }
        });
        Self { addr, state }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends all connections, and lets none through from now on.
    pub fn cut(&self) {
        self.state.is_cut.store(true, SeqCst);
        for stream in self.state.streams.lock().unwrap().drain(..) {
            // It may have ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets those that come lead to another server.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.state.server.lock().unwrap() = server;
    }

    /// Lets connections through again.
    pub fn restore(&self) {
        self.state.is_cut.store(false, SeqCst);
    }
}

impl State {
    fn take(&self, client: TcpStream) {
        if self.is_cut.load(SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(*self.server.lock().unwrap()) else {
            return;
        };
        let mut streams = self.streams.lock().unwrap();
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            streams.push(from.try_clone().unwrap());
            thread::spawn(move || {
                // However it ends, the other side hears of it.
                let _ = copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    }
}
