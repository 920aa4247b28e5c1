//! Whether the log can be used: it can't when this server, or its part of the log's servers, is
//! cut off from most of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use wire::{ErrorCode, Notice, TopicName};

use super::bus::Link;
use super::log::Log;

/// How often the log is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// How long it has for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// For how long no question must have been answered. While the log elects a leader of one of its
/// parts, the others answer.
const LOST_AFTER: Duration = Duration::from_secs(4);

/// Names of topics that are asked for in turn, so that all parts of the log are.
const NAMES: usize = 32;

/// How many of them are asked for at once. When a server of the log dies, all its parts have no
/// leader for some seconds: with one question at a time it would look twice in a row as if no
/// part could be used.
const AT_ONCE: usize = 4;

const LOST: &str = "this server doesn't reach those that keep the messages: none come, and none \
                    are taken, until it does";

const BACK: &str = "this server reaches those that keep the messages again";

/// What clients are told: that the log can be used again, or no longer.
pub(crate) fn notice(is_there: bool) -> Notice<'static> {
    let (code, text) = match is_there {
        true => ("quorum", BACK),
        false => (ErrorCode::NoQuorum.as_str(), LOST),
    };
    Notice {
        code: code.into(),
        text: text.into(),
    }
}

/// What classic clients are told instead, if anything.
pub(crate) fn refusal(is_there: bool) -> Option<(ErrorCode, &'static str)> {
    (!is_there).then_some((ErrorCode::NoQuorum, LOST))
}

/// Knows whether the log can be used.
pub(crate) struct Quorum {
    is_there: watch::Sender<bool>,
}

impl Quorum {
    /// It can be used, as far as is known.
    pub(crate) fn new() -> Self {
        Self {
            is_there: watch::Sender::new(true),
        }
    }

    /// Whether the log can be used, whenever that changes.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.is_there.subscribe()
    }

    pub(crate) fn is_there(&self) -> bool {
        *self.is_there.borrow()
    }

    /// Asks the log again and again, for ever.
    pub(crate) async fn run(&self, log: Arc<dyn Log>, mut link: watch::Receiver<Link>) {
        let names = (0..NAMES).filter_map(|number| TopicName::new(&format!("{number}")).ok());
        let mut answered = Instant::now();
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let names: Vec<_> = names.collect();
        for some in names.chunks(AT_ONCE).cycle() {
            tokio::select! {
                biased;
                _ = tick.tick() => {}
                // Who is connected again is told at once.
                Ok(()) = link.changed() => {}
            }
            if any_is_led(&log, some).await {
                answered = Instant::now();
            }
            let is_there = answered.elapsed() < LOST_AFTER;
            self.is_there
                .send_if_modified(|known| std::mem::replace(known, is_there) != is_there);
        }
    }
}

/// Whether the leader of one of these parts is in touch with most of its servers. That it answers
/// is not enough: one that was cut off together with this server answers for ten seconds.
async fn any_is_led(log: &Arc<dyn Log>, names: &[TopicName]) -> bool {
    let mut asked = JoinSet::new();
    for name in names {
        let (log, name) = (log.clone(), name.clone());
        asked.spawn(async move {
            matches!(
                timeout(ANSWER_TIMEOUT, log.confirm(&name)).await,
                Ok(Ok(()))
            )
        });
    }
    while let Some(answered) = asked.join_next().await {
        if answered.is_ok_and(|is_there| is_there) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::simulation::{Faults, Misfortune, World};

    /// Whether the log was always there in so many seconds.
    fn was_there(faults: Faults, misfortune: Option<Misfortune>, seconds: u64) -> bool {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new(1, faults);
            let (log, bus) = world.join(0);
            if let Some(misfortune) = misfortune {
                world.suffer(&misfortune);
            }
            let quorum = Quorum::new();
            let mut changes = quorum.watch();
            let lost = changes.wait_for(|is_there| !is_there);
            tokio::select! {
                biased;
                () = quorum.run(log, bus.link()) => false,
                _ = lost => false,
                () = tokio::time::sleep(Duration::from_secs(seconds)) => true,
            }
        })
    }

    /// When one of three servers of the log dies, a third of its parts have no leader.
    #[test]
    fn a_log_of_which_some_parts_elect_is_there() {
        let faults = Faults {
            lost_read: 1.0 / 3.0,
            ..Faults::default()
        };
        assert!(was_there(faults, None, 600));
    }

    #[test]
    fn a_log_that_does_not_answer_is_lost_within_seconds() {
        assert!(!was_there(Faults::default(), Some(Misfortune::StopLog), 8));
    }
}
