//! Messages between servers, by plain NATS.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::super::bus::{BusError, Reply, Said};
use super::connection::{Connection, Unanswered};

/// Messages that wait to be taken.
const CAPACITY: usize = 1024;

impl From<Unanswered> for BusError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Down => Self::Down,
            Unanswered::Nobody => Self::Nobody,
            // One that is too long never has an answer.
            Unanswered::Late | Unanswered::TooLong => Self::Late,
        }
    }
}

/// Every message with this subject. Returns when the subscription is in force.
pub(super) async fn subscribe(
    connection: &Connection,
    subject: String,
) -> Result<mpsc::Receiver<Said>, BusError> {
    if !connection.is_up() {
        return Err(BusError::Down);
    }
    let subscribed = connection.client().subscribe(subject).await;
    let messages = subscribed.map_err(|_| BusError::Down)?;
    connection.confirm().await?;
    let (sender, receiver) = mpsc::channel(CAPACITY);
    tokio::spawn(pass_on(connection.client().clone(), messages, sender));
    Ok(receiver)
}

/// Passes messages on as long as somebody takes them. NATS keeps some thousand of them for who is
/// slow, and loses more.
async fn pass_on(client: async_nats::Client, mut messages: Subscriber, sender: mpsc::Sender<Said>) {
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            () = sender.closed() => return,
        };
        let Some(message) = message else { return };
        if sender.send(said(&client, message)).await.is_err() {
            return;
        }
    }
}

fn said(client: &async_nats::Client, message: Message) -> Said {
    let reply = message.reply.map(|subject| -> Reply {
        let client = client.clone();
        Box::new(move |payload| {
            tokio::spawn(async move { client.publish(subject, payload).await });
        })
    });
    Said {
        payload: message.payload,
        reply,
    }
}

/// Asks whoever has subscribed to the subject.
pub(super) async fn request(
    connection: &Connection,
    subject: String,
    payload: Bytes,
    time: Duration,
) -> Result<Bytes, BusError> {
    let message = connection.ask(subject, None, payload, time).await?;
    Ok(message.payload)
}
