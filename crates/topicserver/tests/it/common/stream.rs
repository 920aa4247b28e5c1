//! A client's connection, plain or encrypted. The suites run once in each way.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use super::secrets::{Unfinished, sent};
use super::tls::TlsEnd;
use super::uninterrupted::read_some;

/// Whether this is the suite that runs over TLS.
pub fn is_over_tls() -> bool {
    env!("CARGO_CRATE_NAME").ends_with("over_tls")
}

/// A connection, which several may share. The secrets that go over it are noted.
#[derive(Clone)]
pub struct Stream {
    way: Way,
    received: Unfinished,
}

#[derive(Clone)]
enum Way {
    Plain(Arc<TcpStream>),
    Tls(Arc<TlsEnd>),
}

impl Stream {
    /// In the way of this suite. None: it was lost before it could be used.
    pub fn over(socket: TcpStream) -> io::Result<Self> {
        match is_over_tls() {
            true => Self::tls(socket),
            false => Ok(Self::plain(socket)),
        }
    }

    pub fn plain(socket: TcpStream) -> Self {
        Self::by(Way::Plain(Arc::new(socket)))
    }

    pub fn tls(socket: TcpStream) -> io::Result<Self> {
        Ok(match TlsEnd::over(socket)? {
            Ok(end) => Self::by(Way::Tls(Arc::new(end))),
            Err(socket) => Self::plain(socket),
        })
    }

    fn by(way: Way) -> Self {
        let received = Unfinished::default();
        Self { way, received }
    }

    pub fn socket(&self) -> &TcpStream {
        match &self.way {
            Way::Plain(socket) => socket,
            Way::Tls(end) => end.socket(),
        }
    }

    /// Says that nothing more comes.
    pub fn finish(&self) -> io::Result<()> {
        match &self.way {
            Way::Plain(socket) => socket.shutdown(Shutdown::Write),
            Way::Tls(end) => end.finish(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = match &self.way {
            Way::Plain(socket) => read_some(&mut socket.as_ref(), bytes),
            Way::Tls(end) => end.read_some(bytes),
        }?;
        self.received.received(&bytes[..count]);
        Ok(count)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sent(bytes);
        match &self.way {
            Way::Plain(socket) => socket.as_ref().write(bytes),
            Way::Tls(end) => end.write_all(bytes).map(|()| bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
