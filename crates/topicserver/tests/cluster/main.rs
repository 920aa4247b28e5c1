//! Several servers as one, over a simulated log and bus.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::needless_pass_by_value,
    missing_docs,
    unreachable_pub,
    dead_code,
    unused_imports
)]

#[path = "../it/common/mod.rs"]
mod common;

#[cfg(unix)]
#[path = "../http/browser.rs"]
mod browser;
#[path = "../operations/exposition.rs"]
mod exposition;
#[cfg(unix)]
mod metrics;
mod names;
#[cfg(unix)]
mod page;
mod people;
#[path = "../http/requests.rs"]
mod requests;
mod together;

use topicserver::Config;
use topicserver::simulation::{Faults, World};

use common::TestServer;

/// Milliseconds since the Unix epoch.
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.unwrap().as_millis()).unwrap()
}

/// Servers of one cluster.
pub struct Cluster {
    pub servers: Vec<TestServer>,
    pub world: World,
    _runtime: tokio::runtime::Runtime,
}

impl Cluster {
    /// Three servers, with nothing that goes wrong.
    pub fn start() -> Self {
        Self::with(3, Faults::default(), &Config::default())
    }

    pub fn with(count: usize, faults: Faults, config: &Config) -> Self {
        Self::of(&vec![config.clone(); count], faults)
    }

    /// A server for each configuration.
    pub fn of(configs: &[Config], faults: Faults) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let world = {
            let _within = runtime.enter();
            let world = World::new(1, faults);
            world.set_clock(now());
            world
        };
        let server = |(node, config): (usize, &Config)| {
            TestServer::in_cluster(config.clone(), world.engine(node))
        };
        Self {
            servers: configs.iter().enumerate().map(server).collect(),
            world,
            _runtime: runtime,
        }
    }
}
