//! UNIX sockets that the server listens on, and their files.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// The longest path of a socket, in bytes.
const LONGEST_PATH: usize = 107;

/// Why a path can't be listened on.
#[derive(Debug, thiserror::Error)]
enum SocketError {
    #[error("it is in use: a program listens there already; end it, or choose another path")]
    InUse,
    #[error("there is a file that isn't a socket; remove it, or choose another path")]
    NotASocket,
    #[error("the path is too long; a socket's path has at most {LONGEST_PATH} bytes")]
    TooLong,
    #[error("its directory isn't there; create it first")]
    NoDirectory,
}

impl From<SocketError> for io::Error {
    fn from(error: SocketError) -> Self {
        Self::other(error)
    }
}

/// The file of a socket. It goes with its listener.
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Its device and inode.
    id: (u64, u64),
}

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone, or be another server's by now.
        if fs::symlink_metadata(&self.path).is_ok_and(|file| id(&file) == self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on a path, with these permissions of its file. The file that a server left behind is
/// replaced; one that is listened on isn't. Must be called within a tokio runtime.
pub(crate) fn bind(
    path: &Path,
    permissions: u32,
    backlog: i32,
) -> io::Result<(UnixListener, SocketFile)> {
    look(path)?;
    clear(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket
        .bind(&SockAddr::unix(path)?)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => SocketError::InUse.into(),
            _ => error,
        })?;
    let file = SocketFile {
        path: path.to_owned(),
        id: id(&fs::symlink_metadata(path)?),
    };
    // Nobody can connect before this is set: the socket doesn't listen yet.
    fs::set_permissions(path, fs::Permissions::from_mode(permissions))?;
    socket.listen(backlog)?;
    Ok((adopt(socket.into())?, file))
}

/// Takes over a socket that listens already.
pub(crate) fn adopt(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Looks whether there may be a socket at a path, and changes nothing.
pub(crate) fn look(path: &Path) -> io::Result<()> {
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(SocketError::TooLong.into());
    }
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    if directory.is_some_and(|directory| !directory.is_dir()) {
        return Err(SocketError::NoDirectory.into());
    }
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => Err(SocketError::NotASocket.into()),
        _ => Ok(()),
    }
}

/// Removes the file of a socket that nobody listens on.
fn clear(path: &Path) -> io::Result<()> {
    // Whatever else is wrong with the path, binding says it.
    if !path.exists() {
        return Ok(());
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A server whose queue is full would have this wait.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(()) => Err(SocketError::InUse.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(SocketError::InUse.into()),
        Err(error) => Err(error),
    }
}

fn id(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory, removed when dropped.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            let name = format!(
                "natter-sockets-{}-{:x}",
                std::process::id(),
                getrandom::u64().unwrap()
            );
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn refusal(path: &Path) -> String {
        match bind(path, 0o660, 1) {
            Ok(_) => panic!("it listens on {}", path.display()),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_dead_servers_file_is_replaced_and_a_living_ones_is_not() {
        let directory = Directory::new();
        let path = directory.0.join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the file stays behind");
        let (_listener, file) = bind(&path, 0o660, 1).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        assert!(refusal(&path).contains("a program listens there"));
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_file_of_a_server_that_came_later_stays() {
        let directory = Directory::new();
        let path = directory.0.join("socket");
        let (_listener, file) = bind(&path, 0o600, 1).unwrap();
        fs::remove_file(&path).unwrap();
        let (_other_listener, other_file) = bind(&path, 0o600, 1).unwrap();
        drop(file);
        assert!(path.exists());
        drop(other_file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_cant_be_listened_on_is_said_in_words() {
        let directory = Directory::new();
        let path = directory.0.join("file");
        fs::write(&path, "precious").unwrap();
        assert!(refusal(&path).contains("isn't a socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        assert!(refusal(&directory.0.join("no/socket")).contains("its directory isn't there"));
        let long = directory.0.join("x".repeat(LONGEST_PATH));
        assert!(refusal(&long).contains("at most 107 bytes"));
    }
}
