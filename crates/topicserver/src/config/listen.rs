//! Where a server listens.

use std::path::PathBuf;

/// This is no UNIX socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is unix:PATH, as in unix:/run/natter/socket; a port is given without an option")]
pub(super) struct ListenError;

/// Reads `unix:PATH`.
pub(super) fn socket_path(text: &str) -> Result<PathBuf, ListenError> {
    match text.strip_prefix("unix:") {
        None | Some("") => Err(ListenError),
        Some(path) => Ok(path.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_a_path() {
        let path = socket_path("unix:/run/natter/socket");
        assert_eq!(
            path.as_deref(),
            Ok(std::path::Path::new("/run/natter/socket"))
        );
        for text in [
            "",
            "unix:",
            "/run/natter/socket",
            "127.0.0.1:20000",
            "20000",
        ] {
            assert_eq!(socket_path(text), Err(ListenError), "{text}");
        }
    }
}
