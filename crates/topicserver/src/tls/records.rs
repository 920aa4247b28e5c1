//! TLS records in memory: decrypts incoming records, and collects what TLS itself must send.

use rustls::server::ServerConnectionData;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus,
};

/// Bytes of text that one record holds at most.
pub(super) const RECORD: usize = 16 * 1024;

/// Bytes that encryption adds to a record at most, by any version of TLS.
pub(super) const RECORD_OVERHEAD: usize = 2048 + RECORD_HEAD;

/// The head of a record: its type and its length.
const RECORD_HEAD: usize = 5;

/// The result of processing some bytes.
#[derive(Debug, Default)]
pub(super) struct Processed {
    /// This many bytes at the front were processed.
    pub(super) used: usize,
    /// The peer says that it has sent everything.
    pub(super) has_ended: bool,
    /// The stream can't be decrypted any further.
    pub(super) failure: Option<rustls::Error>,
}

/// Processes all complete records in `incoming`. Their text goes to `received`, and what TLS
/// itself must send is added to `outgoing`.
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
                // After the alert the library must not read on.
                processed.failure.is_some() && is_alert(&outgoing[start..])
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // It counts as sent: everything later is sent after it.
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

/// Adds what TLS itself must send to `outgoing`.
pub(super) fn encode(data: &mut EncodeTlsData<'_, ServerConnectionData>, outgoing: &mut Vec<u8>) {
    let start = outgoing.len();
    // The first attempt returns the length.
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

/// Whether a record is an alert: by its type, or, if it is encrypted, by its length.
fn is_alert(record: &[u8]) -> bool {
    const ALERT: u8 = 21;
    const ENCRYPTED: u8 = 23;
    // The alert, its inner type, and the authentication tag.
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
