//! TLS records in memory: what has come is decrypted, and what must be sent in answer is
//! collected.

use rustls::server::ServerConnectionData;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus,
};

/// Bytes of text that one record holds at most.
pub(super) const RECORD: usize = 16 * 1024;

/// Bytes that encryption adds to a record at most, by any version of TLS.
pub(super) const RECORD_OVERHEAD: usize = 2048 + RECORD_HEAD;

/// Bytes in which a record says what it is and how long.
const RECORD_HEAD: usize = 5;

/// What came of some bytes.
#[derive(Debug, Default)]
pub(super) struct Processed {
    /// So many bytes at the front are dealt with.
    pub(super) used: usize,
    /// The peer says that it has sent everything.
    pub(super) has_ended: bool,
    /// Nothing more can be understood of the peer.
    pub(super) failure: Option<rustls::Error>,
}

/// Deals with all complete records in `incoming`. Their text goes to `received`, and what
/// TLS itself has to say is added to `outgoing`.
pub(super) fn process(
    connection: &mut UnbufferedServerConnection,
    incoming: &mut [u8],
    outgoing: &mut Vec<u8>,
    mut received: impl FnMut(&[u8]),
) -> Processed {
    let mut processed = Processed::default();
    loop {
        let rest = &mut incoming[processed.used..];
        let UnbufferedStatus { mut discard, state } = connection.process_tls_records(rest);
        let is_done = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(Ok(record)) = traffic.next_record() {
                    discard += record.discard;
                    received(record.payload);
                }
                false
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                let start = outgoing.len();
                encode(&mut data, outgoing);
                // After the alert the library mustn't be asked to read on.
                processed.failure.is_some() && is_alert(&outgoing[start..])
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // It is on its way: whatever is sent comes after it.
                data.done();
                false
            }
            Ok(ConnectionState::PeerClosed) => {
                processed.has_ended = true;
                false
            }
            Ok(ConnectionState::Closed) => {
                processed.has_ended = true;
                true
            }
            Ok(_) => true,
            // If there is an alert for the peer, it comes with the next calls.
            Err(error) if processed.failure.is_none() => {
                processed.failure = Some(error);
                false
            }
            Err(_) => true,
        };
        processed.used += discard;
        if is_done {
            return processed;
        }
    }
}

/// Adds what TLS has to say to `outgoing`.
pub(super) fn encode(data: &mut EncodeTlsData<'_, ServerConnectionData>, outgoing: &mut Vec<u8>) {
    let start = outgoing.len();
    // The first try tells the length.
    let mut length = 0;
    loop {
        outgoing.resize(start + length, 0);
        match data.encode(&mut outgoing[start..]) {
            Ok(written) => return outgoing.truncate(start + written),
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size }))
                if required_size > length =>
            {
                length = required_size;
            }
            Err(_) => return outgoing.truncate(start),
        }
    }
}

/// Whether a record is an alert: it says so, or it is encrypted and as long as one.
fn is_alert(record: &[u8]) -> bool {
    const ALERT: u8 = 21;
    const ENCRYPTED: u8 = 23;
    // The alert, its true kind, and what proves that nobody has changed it.
    const LENGTH: usize = RECORD_HEAD + 2 + 1 + 16;
    match record.first() {
        Some(&ALERT) => true,
        Some(&ENCRYPTED) => record.len() == LENGTH,
        _ => false,
    }
}

/// Whether the first record in these bytes is complete.
pub(super) fn begins_with_record(bytes: &[u8]) -> bool {
    match bytes {
        [_, _, _, high, low, rest @ ..] => {
            rest.len() >= usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => false,
    }
}
