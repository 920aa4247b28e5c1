//! What differs from system to system: the only place that asks which it is.
//!
//! Every function is there on every system, with the best that it can do.

use std::io;

/// Lets a port be listened on again right after the last listener has ended.
#[cfg(unix)]
pub(crate) fn reuse_address(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// Here that goes without saying, and the option would let two programs listen
/// on one port.
#[cfg(not(unix))]
pub(crate) fn reuse_address(_socket: &socket2::Socket) -> io::Result<()> {
    Ok(())
}

/// Standard input is a file, which goes on to its end without a pause.
#[cfg(unix)]
pub(crate) fn is_file(stdin: &io::Stdin) -> bool {
    use std::os::fd::AsFd as _;
    let file = stdin.as_fd().try_clone_to_owned().map(std::fs::File::from);
    let metadata = file.and_then(|file| file.metadata());
    metadata.is_ok_and(|metadata| metadata.is_file())
}

/// Here a file is read as a pipe is.
#[cfg(not(unix))]
pub(crate) fn is_file(_stdin: &io::Stdin) -> bool {
    false
}
