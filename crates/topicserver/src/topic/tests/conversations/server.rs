//! One server, from its start to its death.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use crate::clock::{Clock, TimeSource};
use crate::cluster::keep::Keep;
use crate::cluster::nodes::{NodeId, OwnNode};
use crate::cluster::part::{Engine, Part, PartSettings};
use crate::cluster::shared::Shared;
use crate::config::Config;
use crate::history::dedup::IdLimits;
use crate::queues::QueueLimits;
use crate::topic::registry::Registry;

/// How long a server tries.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);

/// The right time at the beginning.
const BEGINNING: Duration = Duration::from_secs(1_800_000_000);

pub(super) struct Server {
    pub(super) registry: Arc<Registry>,
    /// It has died.
    pub(super) dead: CancellationToken,
    part: Arc<Part>,
    has_settled: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// The time of a runtime, by a clock that is wrong by some milliseconds.
pub(super) struct Skewed {
    pub(super) began: Instant,
    pub(super) by: i64,
}

impl TimeSource for Skewed {
    fn wall(&self) -> Duration {
        let right = (BEGINNING + self.began.elapsed()).as_millis() as u64;
        Duration::from_millis(right.saturating_add_signed(self.by))
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Server {
    /// Starts a server in its life with this number, of all that there are in a run. Its clock is
    /// wrong by some milliseconds.
    pub(super) fn start(
        engine: Engine,
        seed: u64,
        node: usize,
        life: u64,
        clock: Skewed,
    ) -> Arc<Self> {
        let clock = Clock::new(Arc::new(clock), Duration::ZERO);
        let own = OwnNode {
            id: NodeId(xxh3_64(format!("{seed} {life}").as_bytes())),
            name: format!("server {node}"),
            started: clock.read().stamp,
            advertise: None,
        };
        let config = Config {
            // Readers that were away read the log.
            history_messages: 8,
            ..Config::default()
        };
        let settings = PartSettings {
            ids: IdLimits {
                window: config.id_window.as_millis() as u64,
                per_publisher: config.max_ids,
            },
            patience: PATIENCE,
            keep: Keep::new(u64::MAX, u64::MAX, Duration::MAX),
        };
        let part = Arc::new(Part::new(engine, own, clock.clone(), settings));
        let queues = QueueLimits::new(1 << 20, 1 << 20, usize::MAX);
        let sender = part.sender().clone();
        let registry = Registry::new(&config, queues, None, clock, Some(sender));
        let registry = Arc::new(registry.unwrap());
        let has_settled = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(run(part.clone(), registry.clone(), has_settled.clone()));
        Arc::new(Self {
            registry,
            dead: CancellationToken::new(),
            part,
            has_settled,
            task,
        })
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        self.part.sender().shared()
    }

    pub(super) fn has_settled(&self) -> bool {
        self.has_settled.load(Relaxed)
    }

    pub(super) fn die(&self) {
        self.task.abort();
        self.dead.cancel();
    }
}

async fn run(part: Arc<Part>, registry: Arc<Registry>, has_settled: Arc<AtomicBool>) {
    let settle = async {
        part.sender().shared().nodes.settle().await;
        has_settled.store(true, Relaxed);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = part.run(registry) => {}
        () = settle => {}
    }
}
