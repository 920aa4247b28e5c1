//! How much of each topic a cluster keeps, and for how long.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::log::Log;

/// The pause before a log that hasn't taken another age is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// How much of each topic is kept.
#[derive(Debug)]
pub(crate) struct Keep {
    messages: AtomicU64,
    bytes: AtomicU64,
    age: watch::Sender<Duration>,
    /// What the log had when this server started.
    first_age: Duration,
}

impl Keep {
    pub(crate) fn new(messages: u64, bytes: u64, age: Duration) -> Self {
        Self {
            messages: messages.into(),
            bytes: bytes.into(),
            age: watch::Sender::new(age),
            first_age: age,
        }
    }

    /// Changes the limits.
    pub(crate) fn set(&self, messages: u64, bytes: u64, age: Duration) {
        self.messages.store(messages, Relaxed);
        self.bytes.store(bytes, Relaxed);
        self.age.send_replace(age);
    }

    /// The most messages, and the most bytes.
    pub(crate) fn get(&self) -> (u64, u64) {
        (self.messages.load(Relaxed), self.bytes.load(Relaxed))
    }

    /// Tells the log the age whenever that changes, for ever: it is the log that deletes what is
    /// too old.
    pub(crate) async fn run(&self, log: &dyn Log) {
        let mut age = self.age.subscribe();
        let mut in_force = self.first_age;
        loop {
            let wanted = *age.borrow_and_update();
            if wanted != in_force {
                match log.keep(wanted).await {
                    Ok(()) => {
                        in_force = wanted;
                        tracing::info!("the cluster keeps messages for {} s", wanted.as_secs());
                    }
                    Err(error) => {
                        tracing::warn!("the cluster keeps messages as before: {error}");
                        sleep(PAUSE).await;
                        continue;
                    }
                }
            }
            if age.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::simulation::{Faults, Misfortune, World};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[tokio::test(start_paused = true)]
    async fn another_age_is_told_to_the_log_until_it_has_taken_it() {
        let world = World::new(1, Faults::default());
        let (log, _) = world.join(0);
        let keep = Keep::new(1, 1, DAY);
        let test = async {
            keep.set(2, 2, DAY);
            sleep(Duration::from_secs(10)).await;
            assert_eq!(world.keep_age(), None);
            world.suffer(&Misfortune::StopLog);
            keep.set(2, 2, 2 * DAY);
            sleep(Duration::from_secs(60)).await;
            assert_eq!(world.keep_age(), None);
            world.suffer(&Misfortune::Heal);
            sleep(Duration::from_secs(60)).await;
            assert_eq!(world.keep_age(), Some(2 * DAY));
            keep.set(2, 2, DAY);
            sleep(Duration::from_secs(10)).await;
            assert_eq!(world.keep_age(), Some(DAY));
        };
        tokio::select! {
            biased;
            () = keep.run(&*log) => {}
            () = test => {}
        }
    }
}
