//! Looks whether a server would start: everything that a configuration names outside itself.

use crate::config::Config;
use crate::store::{Directory, OpenError};

/// Why a server with this configuration would not start.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The directory of the history.
    #[error("--data: {0}")]
    Data(#[from] OpenError),
}

/// Everything that would keep a server with this configuration from starting, as far as it
/// can be seen without starting one: nothing is made, written or locked, and the port isn't
/// tried.
pub fn check(config: &Config) -> Vec<CheckError> {
    let data = config.data.as_deref().map(Directory::look);
    data.and_then(Result::err)
        .map(CheckError::from)
        .into_iter()
        .collect()
}
