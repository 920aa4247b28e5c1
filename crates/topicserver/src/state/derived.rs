//! What follows from a configuration for parts of the server.

use crate::access::Lifetimes;
use crate::clock::Clock;
use crate::cluster::Engine;
use crate::cluster::keep::Keep;
use crate::cluster::nodes::{NodeId, OwnNode};
use crate::cluster::part::{Part, PartSettings};
use crate::config::Config;
use crate::history::dedup::IdLimits;
use crate::store::Retention;

/// How much of each topic is kept on disk.
pub(crate) fn retention(config: &Config) -> Retention {
    Retention {
        age: config.keep_age,
        messages: config.keep_messages,
        bytes: config.keep_bytes,
    }
}

/// For how long logins and tickets are good.
pub(crate) fn lifetimes(config: &Config) -> Lifetimes {
    Lifetimes {
        login: config.login_lifetime,
        ticket: config.ticket_lifetime,
    }
}

/// The part of a server with this configuration in a cluster.
pub(crate) fn part(config: &Config, port: u16, engine: Engine, clock: Clock) -> Part {
    let settings = PartSettings {
        ids: IdLimits {
            window: u64::try_from(config.id_window.as_millis()).unwrap_or(u64::MAX),
            per_publisher: config.max_ids,
        },
        patience: config.storage_timeout,
        keep: Keep::new(config.keep_messages, config.keep_bytes, config.keep_age),
    };
    let id = NodeId(getrandom::u64().unwrap_or(1));
    let own = OwnNode {
        id,
        name: match &config.cluster {
            Some(cluster) => cluster.node_name(config.host_name.as_deref(), port),
            None => format!("{:016x}", id.0),
        },
        started: clock.read().stamp,
        advertise: advertised(config, port),
    };
    Part::new(engine, own, clock, settings)
}

/// Where clients reach a server of a cluster that listens on this port.
fn advertised(config: &Config, port: u16) -> Option<String> {
    let given = config.cluster.as_ref()?.advertise.clone();
    let host = config.host_name.as_deref().filter(|host| !host.is_empty());
    given.or_else(|| Some(format!("{}:{port}", host?)))
}
