//! The servers, and what everybody notes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::server::{Server, Skewed};
use crate::cluster::simulation::{Chance, World};

pub(super) const SERVERS: usize = 3;

/// How far the clock of a server may be from the right time, in milliseconds.
const SKEW: u64 = 5_000;

pub(super) struct Cluster {
    pub(super) world: World,
    pub(super) seed: u64,
    pub(super) began: Instant,
    /// Everything is well again.
    pub(super) calm: CancellationToken,
    servers: Mutex<Vec<Option<Arc<Server>>>>,
    /// How often servers were started.
    lives: Mutex<u64>,
    complaints: Mutex<Vec<String>>,
}

impl Cluster {
    pub(super) fn start(world: World, seed: u64) -> Arc<Self> {
        let cluster = Arc::new(Self {
            world,
            seed,
            began: Instant::now(),
            calm: CancellationToken::new(),
            servers: Mutex::new(vec![None; SERVERS]),
            lives: Mutex::default(),
            complaints: Mutex::default(),
        });
        (0..SERVERS).for_each(|node| cluster.start_server(node));
        cluster
    }

    pub(super) fn start_server(&self, node: usize) {
        let life = {
            let mut lives = self.lives.lock();
            *lives += 1;
            *lives
        };
        let clock = Skewed {
            began: self.began,
            by: self.skew(node),
        };
        let engine = self.world.engine(node);
        let server = Server::start(engine, self.seed, node, life, clock);
        self.servers.lock()[node] = Some(server);
    }

    pub(super) fn kill(&self, node: usize) {
        if let Some(server) = self.servers.lock()[node].take() {
            server.die();
        }
    }

    /// By how much a server's clock is wrong: in some runs all are right.
    fn skew(&self, node: usize) -> i64 {
        let mut chance = Chance::new(self.seed, 500 + node as u64);
        match self.seed % 3 {
            0 => 0,
            _ => chance.below(2 * SKEW) as i64 - SKEW as i64,
        }
    }

    /// A server that lives and has got to know the others, once there is one.
    pub(super) async fn choose(&self, chance: &mut Chance) -> Arc<Server> {
        loop {
            let first = chance.below(SERVERS as u64) as usize;
            if let Some(server) = &self.servers.lock()[first]
                && server.has_settled()
            {
                return server.clone();
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// A server that lives and has got to know the others.
    pub(super) async fn server(&self, node: usize) -> Arc<Server> {
        loop {
            if let Some(server) = &self.servers.lock()[node]
                && server.has_settled()
            {
                return server.clone();
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// All servers that live.
    pub(super) fn living(&self) -> Vec<Arc<Server>> {
        self.servers.lock().iter().flatten().cloned().collect()
    }

    pub(super) fn complain(&self, complaint: String) {
        let now = self.began.elapsed().as_millis();
        self.complaints.lock().push(format!("{now:>8} {complaint}"));
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().clone()
    }
}
