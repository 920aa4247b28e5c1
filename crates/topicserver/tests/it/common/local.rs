//! UNIX sockets, by the means that tests have for TCP. A suite runs once over them.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{LIMIT, state_directory};

/// The sockets of this process's servers, by their ports.
static SOCKETS: Mutex<BTreeMap<u16, PathBuf>> = Mutex::new(BTreeMap::new());

/// Whether this is the suite that runs over UNIX sockets.
pub fn is_over_unix() -> bool {
    env!("CARGO_CRATE_NAME").ends_with("over_unix")
}

/// A path for a socket.
pub fn socket_path() -> PathBuf {
    state_directory().join(format!("{:016x}.sock", getrandom::u64().unwrap()))
}

/// The server at this port has this socket, too.
pub fn note_socket(port: u16, path: &Path) {
    SOCKETS.lock().unwrap().insert(port, path.to_owned());
}

/// The socket of the server at this port.
pub fn socket_of(port: u16) -> Option<PathBuf> {
    SOCKETS.lock().unwrap().get(&port).cloned()
}

/// A connection to a UNIX socket. The type is that of TCP, which reads, writes and ends any
/// socket; only addresses and options of TCP are missing.
pub fn connect_local(path: &Path) -> TcpStream {
    let socket: OwnedFd = UnixStream::connect(path).expect("can't connect").into();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}
