//! How what is appended comes to those who follow a topic.

use tokio::time::Instant;

use crate::cluster::log::{Followed, Located};

use super::faults::Faults;
use super::listeners::Listener;
use super::state::State;

/// A record is on the feeds of its topic.
pub(super) fn publish(state: &mut State, topic: &str, located: &Located) {
    for (number, _) in state.feeds.to(topic) {
        let coming = match state.feeds.get(number) {
            Some(feed) => coming(feed, &state.faults, located),
            None => continue,
        };
        for (at, item) in coming {
            state.at(at, move |state| deliver(state, number, item));
        }
    }
}

/// What comes to a feed in the place of a record, and when.
fn coming(
    feed: &mut Listener<Followed>,
    faults: &Faults,
    located: &Located,
) -> Vec<(Instant, Followed)> {
    let now = Instant::now();
    let is_lost = feed.chance.happens(faults.feed_lost);
    let is_interrupted = feed.chance.happens(faults.feed_interrupted);
    let copies = 1 + usize::from(feed.chance.happens(faults.feed_doubled));
    let item = match (is_interrupted, is_lost) {
        (true, _) => Followed::Interrupted,
        (false, true) => return Vec::new(),
        (false, false) => Followed::Record(located.clone()),
    };
    let mut coming = Vec::new();
    for _ in 0..copies {
        let (way, is_slow) = faults.way(&mut feed.chance);
        let at = now + way;
        let at = if is_slow { at } else { feed.behind(0, at) };
        coming.push((at, item.clone()));
    }
    coming
}

fn deliver(state: &mut State, number: u64, item: Followed) {
    let Some(feed) = state.feeds.get(number) else {
        return;
    };
    // Whoever is cut off misses it in silence.
    if !state.network.reaches_log(feed.life) {
        return;
    }
    if feed.has_missed && feed.hand(Followed::Interrupted) {
        feed.has_missed = false;
    }
    feed.hand(item);
}
