//! A lingering close of a socket. Closing it with unread bytes would reset the connection, and on
//! some systems a reset destroys what the peer hasn't read yet.

use std::io;
use std::time::Duration;

use crate::socket::Socket;

/// Reads and discards until the peer closes too, or the time is up.
pub(crate) async fn discard(socket: Socket<'_>, time: Duration) {
    let discarding = async {
        let mut bytes = [0; 4096];
        while socket.readable().await.is_ok() {
            match socket.try_read(&mut bytes) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => {}
            }
        }
    };
    // A peer that goes on sending has had its time.
    let _ = tokio::time::timeout(time, discarding).await;
}
