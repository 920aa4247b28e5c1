//! Speaks to a running server's admin listener. That needs no more of HTTP than a request and its
//! answer: HTTP 1.0 sends it as it is, and closes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::config::AdminAddress;

/// How long a server has for its answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The longest head of an answer.
const LONGEST_HEAD: u64 = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The server isn't reached.
    #[error("no server answers at {address}: {cause}; is it started with --admin {address}?")]
    Unreachable {
        /// Where it was looked for.
        address: AdminAddress,
        /// What the system said.
        cause: io::Error,
    },
    /// The server says no.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// What answers isn't a server of this kind.
    #[error("what answers at {0} isn't a topicserver")]
    Nonsense(AdminAddress),
}

/// Asks the server something, and returns the body of its answer.
pub(crate) fn ask(
    address: &AdminAddress,
    method: &str,
    path: &str,
) -> Result<String, ExchangeError> {
    let mut text = String::new();
    let read = open(address, method, path, PATIENCE)?.read_to_string(&mut text);
    match read {
        Ok(_) => Ok(text),
        Err(cause) => Err(ExchangeError::Unreachable {
            address: address.clone(),
            cause,
        }),
    }
}

/// The same with the body still to be read. `patience` is the longest time without a byte.
pub(crate) fn open(
    address: &AdminAddress,
    method: &str,
    path: &str,
    patience: Duration,
) -> Result<impl BufRead + use<>, ExchangeError> {
    let unreachable = |cause| ExchangeError::Unreachable {
        address: address.clone(),
        cause,
    };
    let nonsense = || ExchangeError::Nonsense(address.clone());
    let request = format!("{method} {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
    let mut stream = connect(address, patience).map_err(unreachable)?;
    stream.write_all(request.as_bytes()).map_err(unreachable)?;
    let mut answer = BufReader::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut rest = answer.by_ref().take(LONGEST_HEAD);
        let read = rest.read_until(b'\n', &mut head).map_err(unreachable)?;
        if read == 0 || head.len() as u64 >= LONGEST_HEAD {
            return Err(nonsense());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.split(' ').nth(1).ok_or_else(nonsense)?;
    if status.starts_with('2') {
        return Ok(answer);
    }
    let mut body = String::new();
    answer.read_to_string(&mut body).map_err(unreachable)?;
    let body = body.trim_end();
    Err(ExchangeError::Refused(format!("{status} {body}")))
}

/// A connection of either kind.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

fn connect(address: &AdminAddress, patience: Duration) -> io::Result<Box<dyn Stream>> {
    let stream: Box<dyn Stream> = match address {
        AdminAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(patience))?;
            Box::new(stream)
        }
        AdminAddress::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(patience))?;
            Box::new(stream)
        }
    };
    Ok(stream)
}
