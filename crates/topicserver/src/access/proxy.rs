//! The PROXY protocol, by which a proxy names the client of a connection, before all other bytes.
//! Version 1 is a line of text, version 2 is binary.
//!
//! Anybody can write such a header, so only the headers of trusted proxies are read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::peer;

/// The beginning of a header of version 1.
const LINE_START: &[u8] = b"PROXY ";

/// The beginning of a header of version 2. In JSON its first bytes would be white space.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 1, with its end, by the specification.
const MAX_LINE: usize = 107;

/// The bytes before the addresses in version 2.
const FIXED: usize = 16;

/// The longest header of version 2. After the addresses come facts about the client, such as the
/// name in a certificate: a few hundred bytes in all.
pub(crate) const MAX_HEADER: usize = 4096;

/// The result of a scan of a connection's first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// Maybe the beginning of a header.
    Partial,
    /// No header.
    None,
    /// A header.
    Header(Header),
}

/// The content of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The bytes of the header.
    pub(crate) length: usize,
    /// The client. `None` if the proxy doesn't know it, or has opened the connection for itself.
    pub(crate) client: Option<SocketAddr>,
}

/// Why a header can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("a PROXY header of version 1 is one line of at most {MAX_LINE} bytes")]
    LongLine,
    #[error(
        "the PROXY header can't be read; it is PROXY TCP4 or TCP6, two addresses and two ports, \
         or PROXY UNKNOWN"
    )]
    BadLine,
    #[error("the version of a binary PROXY header is 2, not {0}")]
    Version(u8),
    #[error("the command of a binary PROXY header is 0 or 1, not {0}")]
    Command(u8),
    #[error("the PROXY header forwards something else than a TCP connection: {0:#04x}")]
    Transport(u8),
    #[error("the PROXY header forwards {0}, which is no client's address")]
    Address(IpAddr),
    #[error("the addresses in the PROXY header are cut off")]
    Short,
    #[error("a PROXY header has at most {MAX_HEADER} bytes, and this one {0}")]
    Long(usize),
}

/// Whether these first bytes of a connection are those of a header.
pub(crate) fn begins_with_header(bytes: &[u8]) -> bool {
    bytes.starts_with(LINE_START) || bytes.starts_with(SIGNATURE)
}

/// Looks for a header in the first bytes of a connection.
pub(crate) fn scan(bytes: &[u8]) -> Result<Scan, ProxyError> {
    let scanned = if is_begin_of(bytes, LINE_START) {
        scan_line(bytes)?
    } else if is_begin_of(bytes, SIGNATURE) {
        scan_binary(bytes)?
    } else {
        Scan::None
    };
    match scanned {
        // It would be taken for a user of the UNIX socket.
        Scan::Header(Header {
            client: Some(client),
            ..
        }) if peer::user_of(client.ip()).is_some() => Err(ProxyError::Address(client.ip())),
        scanned => Ok(scanned),
    }
}

/// Whether `bytes` begin with `start`, as far as they go.
fn is_begin_of(bytes: &[u8], start: &[u8]) -> bool {
    let length = bytes.len().min(start.len());
    bytes[..length] == start[..length]
}

fn scan_line(bytes: &[u8]) -> Result<Scan, ProxyError> {
    let seen = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = memchr::memchr(b'\n', seen) else {
        return match bytes.len() < MAX_LINE {
            true => Ok(Scan::Partial),
            false => Err(ProxyError::LongLine),
        };
    };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| ProxyError::BadLine)?;
    let line = line.strip_suffix('\r').ok_or(ProxyError::BadLine)?;
    Ok(Scan::Header(Header {
        length: end + 1,
        client: client_of_line(line).ok_or(ProxyError::BadLine)?,
    }))
}

/// The client of a header line, or `None` if the proxy doesn't know it. The outer `None` means
/// that the line is wrong.
fn client_of_line(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(Into::into),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(Into::into),
            _ => None,
        }
    };
    let (client, _) = (address()?, address()?);
    let (port, _): (u16, u16) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let is_over = words.next().is_none();
    is_over.then_some(Some(SocketAddr::new(client, port)))
}

fn scan_binary(bytes: &[u8]) -> Result<Scan, ProxyError> {
    let [.., version, transport, high, low] = match bytes.first_chunk::<FIXED>() {
        Some(fixed) => *fixed,
        None => return Ok(Scan::Partial),
    };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if version >> 4 != 2 {
        return Err(ProxyError::Version(version >> 4));
    }
    if length > MAX_HEADER {
        return Err(ProxyError::Long(length));
    }
    let Some(rest) = bytes.get(FIXED..length) else {
        return Ok(Scan::Partial);
    };
    let client = match version & 0xf {
        0 => None,
        1 => client_of(transport, rest)?,
        other => return Err(ProxyError::Command(other)),
    };
    Ok(Scan::Header(Header { length, client }))
}

/// The client of a binary header.
fn client_of(transport: u8, addresses: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    match transport {
        // The proxy doesn't know the client, or it came over a UNIX socket.
        0x00 | 0x31 => Ok(None),
        0x11 => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = first(addresses)?;
            let ip = Ipv4Addr::new(a, b, c, d).into();
            Ok(Some(SocketAddr::new(ip, u16::from_be_bytes([high, low]))))
        }
        0x21 => {
            let ip: [u8; 16] = first(addresses)?;
            // Behind both addresses come both ports.
            let [.., high, low, _, _] = first::<36>(addresses)?;
            let ip = Ipv6Addr::from(ip).into();
            Ok(Some(SocketAddr::new(ip, u16::from_be_bytes([high, low]))))
        }
        other => Err(ProxyError::Transport(other)),
    }
}

fn first<const N: usize>(bytes: &[u8]) -> Result<[u8; N], ProxyError> {
    bytes.first_chunk().copied().ok_or(ProxyError::Short)
}

#[cfg(test)]
mod tests;
