//! What follows `-direct` and `-topic`: with whom to talk, or what to type instead.

use wire::{Address, TopicName, UserName};

use super::Mode;
use crate::config::File;

pub(super) fn direct(rest: &[&str], file: &File) -> Result<Mode, String> {
    let Some((port, rest)) = rest.split_first() else {
        return Err(
            "-direct needs a port: type `chat -direct 10000` to wait for a caller, \
                    or `chat -direct 0 ADDRESS:PORT` to call somebody"
                .into(),
        );
    };
    match (read_port(port)?, rest) {
        (0, []) => Err("-direct 0 calls somebody, and needs to know whom: \
                        type `chat -direct 0 ADDRESS:PORT`"
            .into()),
        (0, [peer]) if peer.contains('@') => {
            // A name may hold one too, an address can't.
            let (user, server) = peer.rsplit_once('@').unwrap_or_default();
            Ok(Mode::CallUser {
                user: UserName::new(user).map_err(|error| error.to_string())?,
                server: file.server(server)?,
            })
        }
        (0, [peer]) => {
            let peer = peer.parse().map_err(|error| format!("{error}"))?;
            Ok(Mode::Call { peer })
        }
        (port, []) => Ok(Mode::Wait { port }),
        (port, [address]) => Err(format!(
            "-direct {port} waits for a caller, and takes no address: \
             to call {address}, type `chat -direct 0 {address}`"
        )),
        (_, [_, more, ..]) => Err(format!("-direct takes nothing more: {more:?} is too much")),
    }
}

fn read_port(text: &str) -> Result<u16, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits => Ok(port),
        _ if text.parse::<Address>().is_ok() => Err(format!(
            "-direct needs a port first: to call {text}, type `chat -direct 0 {text}`"
        )),
        _ => Err(format!(
            "{text:?} is no port: a port is a number from 1 to 65535, or 0 to call somebody"
        )),
    }
}

pub(super) fn topic(rest: &[&str], file: &File) -> Result<Mode, String> {
    match rest {
        [] => Err("-topic needs the server's address and a topic: \
                   type `chat -topic ADDRESS:PORT TOPIC`"
            .into()),
        [server] => Err(format!(
            "-topic needs a topic after the server's address: type `chat -topic {server} TOPIC`"
        )),
        [server, names @ ..] => Ok(Mode::Join {
            server: file.server(server)?,
            topics: read_topics(names)?,
        }),
    }
}

fn read_topics(names: &[&str]) -> Result<Vec<TopicName>, String> {
    let mut topics = Vec::new();
    for name in names {
        let topic = TopicName::new(name).map_err(|error| error.to_string())?;
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    Ok(topics)
}
