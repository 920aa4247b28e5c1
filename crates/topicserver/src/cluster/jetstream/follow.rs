//! Following a topic: the copies of its records that NATS sends on.

use std::sync::Arc;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

use super::super::log::{Feed, Followed, LogError};
use super::connection::{Connection, Unanswered};
use super::crowd::{CAPACITY, Crowd};
use super::message::located;
use super::subject::Place;

/// Topics of a stream that are followed by subscriptions of their own.
pub(super) const ALONE: usize = 256;

/// Who follows topics, by stream.
pub(super) struct Feeds(Vec<Shard>);

#[derive(Default)]
struct Shard {
    /// Each subscription has a copy, while it lasts.
    alone: Arc<()>,
    crowd: Arc<Crowd>,
}

impl Feeds {
    pub(super) fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| Shard::default()).collect())
    }

    /// Follows a topic. Returns when the subscription is in force.
    pub(super) async fn follow(
        &self,
        connection: &Connection,
        place: &Place<'_>,
    ) -> Result<Feed, LogError> {
        if !connection.is_up() {
            return Err(Unanswered::Down.into());
        }
        let shard = &self.0[place.shard.number];
        let one = Arc::clone(&shard.alone);
        match Arc::strong_count(&one) - 1 > ALONE {
            true => shard.crowd.follow(connection, place).await,
            false => alone(connection, place, one).await,
        }
    }
}

/// Follows a topic by a subscription of its own, which keeps `one` as long as it lasts.
async fn alone(connection: &Connection, place: &Place<'_>, one: Arc<()>) -> Result<Feed, LogError> {
    let (sender, feed) = mpsc::channel(CAPACITY);
    let gaps = connection.gaps();
    let subscribed = connection.client().subscribe(place.live()).await;
    let copies = subscribed.map_err(|_| Unanswered::Down)?;
    connection.confirm().await?;
    tokio::spawn(async move {
        pass_on(copies, gaps, sender).await;
        drop(one);
    });
    Ok(feed)
}

/// Passes records on as long as somebody takes them.
async fn pass_on(
    mut copies: Subscriber,
    mut gaps: watch::Receiver<u64>,
    sender: mpsc::Sender<Followed>,
) {
    // Something is missing before the next record, and that hasn't been said.
    let mut is_missing = false;
    loop {
        tokio::select! {
            copy = copies.next() => match copy {
                Some(copy) if !is_missing => is_missing = !pass(&sender, &copy),
                Some(_) => {}
                None => return,
            },
            changed = gaps.changed() => match changed {
                Ok(()) => is_missing = true,
                Err(_) => return,
            },
            permit = sender.reserve(), if is_missing => match permit {
                Ok(permit) => {
                    permit.send(Followed::Interrupted);
                    is_missing = false;
                }
                Err(_) => return,
            },
            () = sender.closed() => return,
        }
    }
}

/// Whether there was room for the record.
fn pass(sender: &mpsc::Sender<Followed>, copy: &Message) -> bool {
    match located(copy) {
        Some(record) => sender.try_send(Followed::Record(record)).is_ok(),
        // It isn't a copy of a record.
        None => true,
    }
}
