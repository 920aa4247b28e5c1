//! Reads the addresses of a topic server: short names, pasted addresses, and several of them.

use client::{ServerAddress, ServerList, ServerListError};

use super::file::{File, Server};
use super::pasted;

/// Why there is no server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ServersError {
    /// An address is wrong.
    #[error(transparent)]
    List(#[from] ServerListError),
    /// A short name among several addresses that brings a credential, or authorities.
    #[error(
        "{0:?} has a token-file or tls-ca of its own, which isn't for other addresses: write all of \
         them into its entry, address = \"A:PORT,B:PORT\""
    )]
    OwnFiles(String),
}

/// Reads the servers: names in the configuration file, or addresses.
pub(super) fn read(text: &str, file: &File) -> Result<Server, ServersError> {
    if let Some(server) = file.servers.get(text) {
        return Ok(server.clone());
    }
    let texts = ServerList::split(text)?;
    let of = texts.len();
    let mut servers = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        let (address, _) = pasted::read(text);
        match file.servers.get(address.as_ref()) {
            Some(server) if of == 1 => return Ok(server.clone()),
            Some(server) if server.token_file.is_some() || server.tls_ca.is_some() => {
                return Err(ServersError::OwnFiles(address.into_owned()));
            }
            Some(server) => servers.extend(server.servers.iter().cloned()),
            None => {
                let server = address.parse::<ServerAddress>();
                let server = server.map_err(|error| ServerListError::in_list(error, at, of))?;
                servers.push(server);
            }
        }
    }
    Ok(ServerList::new(servers)?.into())
}

/// The topic behind an address, as in a browser's.
pub(super) fn topic(text: &str) -> Option<String> {
    text.split(',').find_map(|text| pasted::read(text).1)
}

/// The addresses in a text as they are typed, without the topic behind them.
pub(super) fn addresses(text: &str) -> String {
    let address = |text| pasted::read(text).0.into_owned();
    let addresses: Vec<_> = text.split(',').map(address).collect();
    addresses.join(",")
}
