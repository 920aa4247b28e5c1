//! Checks whether a server would start: the files and directories that a configuration names.

use std::io;
use std::path::PathBuf;

use crate::access::{Access, Audit, AuthFileError};
use crate::cluster::connect;
use crate::cluster::error::EngineError;
use crate::config::Config;
use crate::state;
use crate::store::{Directory, OpenError};
use crate::tls::TlsError;
use crate::tls::acceptor::Acceptor;
use crate::unix_socket;

/// Why a server with this configuration would not start.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The directory of the history.
    #[error("--data: {0}")]
    Data(#[from] OpenError),
    /// The policy's file.
    #[error("--auth: {0}")]
    Auth(#[from] AuthFileError),
    /// The UNIX socket.
    #[error("--listen: unix:{}: {cause}", .path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        cause: io::Error,
    },
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] EngineError),
}

/// The errors that would keep a server with this configuration from starting, as far as they can
/// be found without starting it: nothing is created, written or locked, and the port isn't tried.
pub fn check(config: &Config) -> Vec<CheckError> {
    let data = config.data.as_deref().map(Directory::look);
    let data = data.and_then(Result::err).map(CheckError::from);
    let tls = Acceptor::look(config).err().map(CheckError::from);
    let lifetimes = state::lifetimes(config);
    let read = |path| Access::from_file(path, Audit::default(), lifetimes);
    let auth = config.auth.as_deref().map(read);
    let auth = auth.and_then(Result::err).map(CheckError::from);
    let socket = config.unix.as_ref().and_then(|path| {
        let cause = unix_socket::look(path).err()?;
        let path = path.clone();
        Some(CheckError::Socket { path, cause })
    });
    let all = data.into_iter().chain(auth).chain(tls);
    let cluster = config
        .cluster
        .as_ref()
        .and_then(|cluster| connect::look(cluster).err());
    let cluster = cluster.map(CheckError::from);
    all.chain(socket).chain(cluster).collect()
}
