//! What the simulation itself promises.

mod faults;
mod servers;
mod soundness;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use wire::TopicName;

use crate::cluster::bus::Bus;
use crate::cluster::log::Log;

use super::{Faults, World};

/// A runtime on which nothing is left to chance.
fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn log(world: &World, node: usize) -> Arc<dyn Log> {
    world.join(node).0
}

fn bus(world: &World, node: usize) -> Arc<dyn Bus> {
    world.join(node).1
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn world() -> World {
    World::new(1, Faults::default())
}
