//! Reads the arguments of `-direct` and `-topic`.

use wire::{Address, AddressError, TopicName, TopicNameError, UserName, UserNameError};

use super::config::Mode;
use super::file::{File, Server};
use super::pasted;
use super::servers::{self, ServersError};
use crate::output::shell::Word;

/// Why a command line has no meaning, and what to type instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UsageError {
    #[error("-direct and -topic are two ways to chat: choose one")]
    TwoModes,
    #[error(
        "choose a way to chat: -direct or -topic; `chat -find` lists the servers on this network"
    )]
    NoMode,
    #[error("--{0} is for a topic: in direct mode there is no server that could use it")]
    OnlyByTopic(&'static str),
    #[error(
        "-direct needs a port: type `chat -direct 10000` to wait for a caller, or \
         `chat -direct 0 ADDRESS:PORT` to call somebody"
    )]
    NoPort,
    #[error("-direct 0 calls somebody, and needs an address: type `chat -direct 0 ADDRESS:PORT`")]
    NoPeer,
    #[error(
        "-direct {port} waits for a caller, and takes no address: to call {address}, type \
         `chat -direct 0 {address}`"
    )]
    AddressWhileWaiting { port: u16, address: String },
    #[error("-direct takes no more arguments: {0:?} is one too many")]
    TooMuch(String),
    #[error("-direct needs a port first: to call {0}, type `chat -direct 0 {0}`")]
    AddressForPort(String),
    #[error("{0:?} is no port: a port is a number from 1 to 65535, or 0 to call somebody")]
    BadPort(String),
    #[error(
        "-topic needs the server's address and a topic: type `chat -topic ADDRESS:PORT TOPIC`; \
         `chat -find` lists the servers on this network"
    )]
    NoServer,
    #[error("-topic needs a topic after the server's address: type `chat -topic {0} TOPIC`")]
    NoTopic(String),
    #[error("{0} is for a topic server: a direct call has no login")]
    OnlyForServers(&'static str),
    #[error("a direct call is plain text: type `chat -direct 0 {0}`")]
    SecureCall(String),
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Servers(#[from] ServersError),
    #[error(transparent)]
    User(#[from] UserNameError),
    #[error(transparent)]
    Topic(#[from] TopicNameError),
}

/// Whom to talk to, and the server's entry in the configuration file, if there is a server.
type Partner = (Mode, Option<Server>);

pub(super) fn direct(rest: &[&str], file: &File) -> Result<Partner, UsageError> {
    let Some((port, rest)) = rest.split_first() else {
        return Err(UsageError::NoPort);
    };
    match (read_port(port)?, rest) {
        (0, []) => Err(UsageError::NoPeer),
        (0, [peer]) if peer.contains('@') => {
            // A name may contain one too, an address can't.
            let (user, server) = peer.rsplit_once('@').unwrap_or_default();
            let user = UserName::new(user)?;
            let found = servers::read(server, file)?;
            let servers = found.servers.clone();
            Ok((Mode::CallUser { user, servers }, Some(found)))
        }
        (0, [peer]) => {
            let peer = pasted::read(peer).0;
            if let Some(peer) = peer.strip_prefix("tls://") {
                return Err(UsageError::SecureCall(Word(peer).to_string()));
            }
            let peer = peer.strip_prefix("tcp://").unwrap_or(&peer).parse()?;
            Ok((Mode::Call { peer }, None))
        }
        (port, []) => Ok((Mode::Wait { port }, None)),
        (port, [address]) => Err(UsageError::AddressWhileWaiting {
            port,
            address: Word(address).to_string(),
        }),
        (_, [_, more, ..]) => Err(UsageError::TooMuch((*more).into())),
    }
}

fn read_port(text: &str) -> Result<u16, UsageError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits => Ok(port),
        _ if text.parse::<Address>().is_ok() => {
            Err(UsageError::AddressForPort(Word(text).to_string()))
        }
        _ => Err(UsageError::BadPort(text.into())),
    }
}

pub(super) fn topic(rest: &[&str], file: &File) -> Result<Partner, UsageError> {
    let Some((server, names)) = rest.split_first() else {
        return Err(UsageError::NoServer);
    };
    let names = servers::topic(server)
        .into_iter()
        .chain(names.iter().map(|name| (*name).into()));
    let topics = read_topics(names)?;
    if topics.is_empty() {
        let server = servers::addresses(server);
        return Err(UsageError::NoTopic(Word(server).to_string()));
    }
    let found = servers::read(server, file)?;
    let servers = found.servers.clone();
    Ok((Mode::Join { servers, topics }, Some(found)))
}

fn read_topics(names: impl Iterator<Item = String>) -> Result<Vec<TopicName>, TopicNameError> {
    let mut topics = Vec::new();
    for name in names {
        let topic = TopicName::new(&name)?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    Ok(topics)
}
