//! Many topics that are followed over one subscription.
//!
//! A subscription takes some 8 kB in async-nats, which is a gigabyte for 100,000 topics. So from
//! some hundred topics of a stream on, further ones share one for all its topics: then this server
//! hears of the others, too, and takes no notice of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::super::log::{Feed, Followed, LogError};
use super::connection::{Connection, Unanswered};
use super::message::located;
use super::subject::Place;

/// Records that wait to be taken by one follower. Whoever is slower than that reads what it missed.
pub(super) const CAPACITY: usize = 32;
/// How often those are told who had no room for it.
const AGAIN: Duration = Duration::from_millis(50);
/// How often those are forgotten who have stopped following.
const TIDY: Duration = Duration::from_secs(1);

/// Who follows topics of one stream over the shared subscription.
#[derive(Default)]
pub(super) struct Crowd {
    /// Whether there is the subscription. Held while it is made or ended.
    is_subscribed: tokio::sync::Mutex<bool>,
    followers: Mutex<Followers>,
}

#[derive(Default)]
struct Followers {
    /// By the subject of the copies.
    all: BTreeMap<String, Vec<Follower>>,
    /// Somebody isn't told yet that records are missing.
    is_anything_missing: bool,
}

struct Follower {
    sender: mpsc::Sender<Followed>,
    /// Records are missing before the next one, and that hasn't been said.
    is_missing: bool,
}

impl Crowd {
    /// Follows a topic. Returns when the subscription is in force.
    pub(super) async fn follow(
        self: &Arc<Self>,
        connection: &Connection,
        place: &Place<'_>,
    ) -> Result<Feed, LogError> {
        let (sender, feed) = mpsc::channel(CAPACITY);
        let mut is_subscribed = self.is_subscribed.lock().await;
        if !*is_subscribed {
            let gaps = connection.gaps();
            let subscribed = connection
                .client()
                .subscribe(place.shard.every_live())
                .await;
            let copies = subscribed.map_err(|_| Unanswered::Down)?;
            connection.confirm().await?;
            self.followers.lock().add(place.live(), sender);
            *is_subscribed = true;
            tokio::spawn(Arc::clone(self).pass_on(copies, gaps));
        } else {
            self.followers.lock().add(place.live(), sender);
        }
        Ok(feed)
    }

    /// Passes records on as long as somebody takes them.
    async fn pass_on(self: Arc<Self>, mut copies: Subscriber, mut gaps: watch::Receiver<u64>) {
        let mut again = interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tidied = Instant::now();
        loop {
            tokio::select! {
                copy = copies.next() => match copy {
                    Some(copy) => self.followers.lock().pass(&copy),
                    None => return,
                },
                changed = gaps.changed() => match changed {
                    Ok(()) => self.followers.lock().interrupt(),
                    Err(_) => return,
                },
                _ = again.tick() => {
                    self.followers.lock().say_what_is_missing();
                    if tidied.elapsed() < TIDY {
                        continue;
                    }
                    tidied = Instant::now();
                    if self.has_ended().await {
                        return;
                    }
                }
            }
        }
    }

    /// Whether nobody is left.
    async fn has_ended(&self) -> bool {
        if !self.followers.lock().is_empty() {
            return false;
        }
        let mut is_subscribed = self.is_subscribed.lock().await;
        // Somebody may have come while the lock was awaited.
        let is_empty = self.followers.lock().is_empty();
        *is_subscribed = !is_empty;
        is_empty
    }
}

impl Followers {
    fn add(&mut self, subject: String, sender: mpsc::Sender<Followed>) {
        let follower = Follower {
            sender,
            is_missing: false,
        };
        self.all.entry(subject).or_default().push(follower);
    }

    fn pass(&mut self, copy: &Message) {
        let Some(followers) = self.all.get_mut(copy.subject.as_str()) else {
            return;
        };
        let Some(record) = located(copy) else { return };
        for follower in followers {
            if !follower.is_missing {
                let record = Followed::Record(record.clone());
                follower.is_missing = follower.sender.try_send(record).is_err();
            }
            self.is_anything_missing |= follower.is_missing;
        }
    }

    /// Everybody may have missed something.
    fn interrupt(&mut self) {
        for follower in self.all.values_mut().flatten() {
            follower.is_missing = true;
        }
        self.is_anything_missing = true;
        self.say_what_is_missing();
    }

    fn say_what_is_missing(&mut self) {
        if !self.is_anything_missing {
            return;
        }
        self.is_anything_missing = false;
        for follower in self.all.values_mut().flatten() {
            if follower.is_missing {
                let said = follower.sender.try_send(Followed::Interrupted);
                follower.is_missing = said.is_err() && !follower.sender.is_closed();
                self.is_anything_missing |= follower.is_missing;
            }
        }
    }

    /// Forgets those who have stopped following.
    fn is_empty(&mut self) -> bool {
        self.all.retain(|_, followers| {
            followers.retain(|follower| !follower.sender.is_closed());
            !followers.is_empty()
        });
        self.all.is_empty()
    }
}
