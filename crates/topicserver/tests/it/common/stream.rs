//! A client's connection, plain or encrypted. The suites run once in each way.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use super::tls::TlsEnd;

/// Whether this is the suite that runs over TLS.
pub fn is_over_tls() -> bool {
    env!("CARGO_CRATE_NAME").ends_with("over_tls")
}

/// A connection, which several may share.
#[derive(Clone)]
pub enum Stream {
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
        Self::Plain(Arc::new(socket))
    }

    pub fn tls(socket: TcpStream) -> io::Result<Self> {
        Ok(match TlsEnd::over(socket)? {
            Ok(end) => Self::Tls(Arc::new(end)),
            Err(socket) => Self::plain(socket),
        })
    }

    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(end) => end.socket(),
        }
    }

    /// Says that nothing more comes.
    pub fn finish(&self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.shutdown(Shutdown::Write),
            Self::Tls(end) => end.finish(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.as_ref().read(bytes),
            Self::Tls(end) => end.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.as_ref().write(bytes),
            Self::Tls(end) => end.write_all(bytes).map(|()| bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
