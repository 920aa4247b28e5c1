//! Following a topic: the copies of its records that NATS sends on.

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

use super::super::log::{Feed, Followed, LogError};
use super::connection::{Connection, Unanswered};
use super::message::located;
use super::subject::Place;

/// Records that wait to be taken. Whoever is slower than that reads what it missed.
const CAPACITY: usize = 32;

/// Follows a topic. Returns when the subscription is in force.
pub(super) async fn follow(connection: &Connection, place: &Place<'_>) -> Result<Feed, LogError> {
    let (sender, feed) = mpsc::channel(CAPACITY);
    let gaps = connection.gaps();
    if !connection.is_up() {
        return Err(Unanswered::Down.into());
    }
    let subscribed = connection.client().subscribe(place.live()).await;
    let copies = subscribed.map_err(|_| Unanswered::Down)?;
    connection.confirm().await?;
    tokio::spawn(pass_on(copies, gaps, sender));
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
