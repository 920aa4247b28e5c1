//! Whether the NATS servers flush what they acknowledge.
//!
//! All of them must, because any of them may be one of the majority that has a message. A server
//! that is down has none. So it is enough that most of them prove it when a server starts. All are
//! asked again and again, because any of them may come, or come back with another configuration.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::super::error::EngineError;
use super::monitor::{self, Report};
use super::version;
use crate::config::{ClusterConfig, MonitorUrl};

/// The pause before the servers are asked again: two small requests to each, and a server that
/// doesn't flush is known long before NATS would have flushed by itself, after two minutes.
pub(super) const PAUSE: Duration = Duration::from_secs(20);

/// The servers that are asked while a server runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Watched {
    pub(super) monitors: Vec<MonitorUrl>,
    /// Those of them that haven't proven that they flush.
    pub(super) unproven: Vec<MonitorUrl>,
}

/// Sees that most servers flush, and that none does not.
pub(super) async fn check(config: &ClusterConfig) -> Result<Watched, EngineError> {
    if config.monitors.is_empty() {
        return Err(EngineError::NoMonitor);
    }
    let mut seen = BTreeSet::new();
    let (mut unproven, mut causes) = (Vec::new(), Vec::new());
    let mut all = 1;
    for monitor in &config.monitors {
        match look(monitor).await {
            Ok(Some(report)) => {
                all = all.max(report.cluster_size);
                seen.insert(report.server);
            }
            Ok(None) => {}
            Err(EngineError::Monitors { causes: more }) => {
                if !unproven.contains(monitor) {
                    unproven.push(monitor.clone());
                    causes.extend(more);
                }
            }
            Err(error) => return Err(error),
        }
    }
    judge(seen.len(), all, causes)?;
    Ok(Watched {
        monitors: config.monitors.clone(),
        unproven,
    })
}

/// Whether so many servers of all are enough, when others couldn't be asked for these causes.
fn judge(seen: usize, all: usize, causes: Vec<String>) -> Result<(), EngineError> {
    let named = seen + causes.len();
    match (seen, causes.is_empty()) {
        (0, true) => Err(EngineError::NoJetStream),
        _ if seen > 0 && named < all => Err(EngineError::FewMonitors { seen: named, all }),
        _ if 2 * seen <= all => Err(EngineError::Monitors { causes }),
        _ => Ok(()),
    }
}

/// What a server says of itself, which must be right; `None` if it keeps no messages.
async fn look(monitor: &MonitorUrl) -> Result<Option<Report>, EngineError> {
    let report = monitor::look(monitor).await?;
    version::check(monitor.authority(), &report.version)?;
    match report.is_flushing {
        _ if !report.has_jetstream => Ok(None),
        true => Ok(Some(report)),
        false => Err(EngineError::NotFlushed {
            monitor: monitor.authority().to_owned(),
        }),
    }
}

/// Asks the servers again after each pause, for ever. `tell` gets what is wrong with one that is
/// there, each time, and `None` for one that proves now that it flushes. It isn't told of one that
/// is down: most of the others have what is acknowledged meanwhile.
pub(super) async fn watch(
    watched: Watched,
    pause: Duration,
    tell: impl Fn(&MonitorUrl, Option<&EngineError>),
) {
    let mut unproven: BTreeSet<_> = watched.unproven.iter().map(MonitorUrl::authority).collect();
    loop {
        sleep(pause).await;
        for monitor in &watched.monitors {
            match look(monitor).await {
                Ok(_) if unproven.remove(monitor.authority()) => tell(monitor, None),
                Ok(_) | Err(EngineError::Monitors { .. }) => {}
                Err(error) => {
                    unproven.insert(monitor.authority());
                    tell(monitor, Some(&error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_servers_must_prove_it_and_all_must_be_named() {
        let causes = |count| vec!["http://a:1: it is down".to_owned(); count];
        let few = |seen, all| Err(EngineError::FewMonitors { seen, all });
        let silent = |count| {
            Err(EngineError::Monitors {
                causes: causes(count),
            })
        };
        for (seen, all, unasked, expected) in [
            (3, 3, 0, Ok(())),
            (2, 3, 1, Ok(())),
            (1, 3, 2, silent(2)),
            (0, 1, 3, silent(3)),
            (2, 3, 0, few(2, 3)),
            (1, 3, 1, few(2, 3)),
            (1, 1, 0, Ok(())),
            (0, 1, 0, Err(EngineError::NoJetStream)),
            // Half of them isn't most of them.
            (2, 4, 2, silent(2)),
            (3, 5, 2, Ok(())),
            // One that keeps no messages is named, too.
            (3, 3, 1, Ok(())),
        ] {
            let found = judge(seen, all, causes(unasked));
            assert_eq!(found, expected, "{seen} of {all}, {unasked} silent");
        }
    }
}
