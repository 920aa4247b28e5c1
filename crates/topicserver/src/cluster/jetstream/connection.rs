//! The connection to NATS: questions and answers with a limit of time, and whether it is up.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{
    Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, HeaderMap, Message, ServerAddr,
    StatusCode, connection,
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{AbortHandle, unconstrained};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::bus::Link;
use super::super::log::LogError;
use super::inbox::{Inbox, Question};
use super::subject::Names;

/// Time to reach one NATS server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A server that answers no ping for two of these is taken for dead. The default of async-nats,
/// a minute, would leave a server with a stopped NATS server for three minutes.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// The longest time between two tries to reach a NATS server.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Time for NATS to confirm that all subscriptions are in force.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection to NATS. It is made anew when it is lost.
pub(super) struct Connection {
    client: Client,
    inbox: Arc<Inbox>,
    /// A subject without subscribers.
    nobody: String,
    state: Arc<State>,
    /// They end with it.
    tasks: Vec<AbortHandle>,
}

/// What is known of the connection.
struct State {
    /// Changes with each connection and each loss of one.
    connection: watch::Sender<u64>,
    link: watch::Sender<Link>,
    /// Changes when messages may have been missed. Subscriptions are in force then.
    gaps: watch::Sender<u64>,
    /// Holds changes of the above together.
    together: Mutex<()>,
}

/// A question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// There is no connection, or it was lost while an answer was awaited.
    Down,
    /// Nobody has subscribed to the subject.
    Nobody,
    /// No answer came in time.
    Late,
    /// The question is longer than NATS allows.
    TooLong,
}

impl From<Unanswered> for LogError {
    fn from(unanswered: Unanswered) -> Self {
        let away = |text: &str| Self::Away(text.to_owned());
        match unanswered {
            Unanswered::Down => away("there is no connection to NATS"),
            Unanswered::Nobody => away("JetStream has no leader for it, or is not there"),
            Unanswered::Late => away("NATS gave no answer in time"),
            Unanswered::TooLong => Self::Refused("it is longer than NATS allows".to_owned()),
        }
    }
}

impl Connection {
    /// Connects, and waits until the connection is in force.
    pub(super) async fn open(
        options: ConnectOptions,
        servers: Vec<ServerAddr>,
        names: &Names,
    ) -> Result<Self, ConnectError> {
        let state = Arc::new(State::new());
        let inbox = Arc::new(Inbox::new(format!("_INBOX.{:032x}", random()?)));
        let heard = (Arc::clone(&state), Arc::clone(&inbox));
        let client = options
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(pause)
            .ignore_discovered_servers()
            .event_callback(move |event| {
                heard.0.on(&event, &heard.1);
                std::future::ready(())
            })
            .connect(servers)
            .await?;
        let mut answers = client.subscribe(inbox.all()).await.map_err(failed)?;
        let connection = |tasks| Self {
            client: client.clone(),
            inbox: Arc::clone(&inbox),
            nobody: names.nobody(),
            state: Arc::clone(&state),
            tasks,
        };
        let incoming = Arc::clone(&inbox);
        let answering = tokio::spawn(async move {
            while let Some(message) = answers.next().await {
                incoming.answer(message);
            }
        });
        let confirming = tokio::spawn(connection(Vec::new()).confirm_each());
        let tasks = [answering, confirming].map(|task| task.abort_handle());
        Ok(connection(tasks.into()))
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn link(&self) -> watch::Receiver<Link> {
        self.state.link.subscribe()
    }

    /// Changes when messages may have been missed.
    pub(super) fn gaps(&self) -> watch::Receiver<u64> {
        self.state.gaps.subscribe()
    }

    pub(super) fn is_up(&self) -> bool {
        *self.state.link.borrow() == Link::Up
    }

    /// Sends a message that has no answer.
    pub(super) fn send(&self, subject: String, payload: Bytes) {
        // What async-nats would keep until there is a connection again is of no use then.
        if !self.is_up() {
            return;
        }
        // Ready unless 2,048 messages wait to be sent, however much this task has done already.
        let sending = unconstrained(self.client.publish(subject, payload));
        drop(sending.now_or_never());
    }

    /// Asks a question, and waits for the one answer.
    pub(super) async fn ask(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        time: Duration,
    ) -> Result<Message, Unanswered> {
        if !self.is_up() {
            return Err(Unanswered::Down);
        }
        self.ask_anyway(subject, headers, payload, time).await
    }

    async fn ask_anyway(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        time: Duration,
    ) -> Result<Message, Unanswered> {
        let mut question = self.inbox.one();
        let asked = async {
            self.publish(subject, &question, headers, payload).await?;
            (&mut question.answers).await.map_err(|_| Unanswered::Down)
        };
        let message = timeout(time, asked).await.map_err(|_| Unanswered::Late)??;
        answered(message)
    }

    /// Asks a question with several answers, and collects them until one of them is the last.
    /// Without an answer in time there are those that came.
    pub(super) async fn ask_for_many(
        &self,
        subject: String,
        payload: Bytes,
        most: usize,
        time: Duration,
        is_last: impl Fn(&Message) -> bool,
    ) -> Result<Vec<Message>, Unanswered> {
        if !self.is_up() {
            return Err(Unanswered::Down);
        }
        let end = Instant::now() + time;
        let mut question = self.inbox.many(most);
        timeout_at(end, self.publish(subject, &question, None, payload))
            .await
            .map_err(|_| Unanswered::Late)??;
        let mut all = Vec::new();
        loop {
            let missing = match timeout_at(end, question.answers.recv()).await {
                Ok(Some(message)) => {
                    all.push(answered(message)?);
                    match all.last() {
                        Some(message) if is_last(message) => return Ok(all),
                        _ => continue,
                    }
                }
                Ok(None) => Unanswered::Down,
                Err(_) => Unanswered::Late,
            };
            return if all.is_empty() {
                Err(missing)
            } else {
                Ok(all)
            };
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.inbox.waiting()
    }

    async fn publish<T>(
        &self,
        subject: String,
        question: &Question<'_, T>,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<(), Unanswered> {
        let reply = question.reply_to();
        let published = match headers {
            Some(headers) => {
                let client = &self.client;
                client
                    .publish_with_reply_and_headers(subject, reply, headers, payload)
                    .await
            }
            None => {
                self.client
                    .publish_with_reply(subject, reply, payload)
                    .await
            }
        };
        published.map_err(|error| match error.kind() {
            async_nats::PublishErrorKind::MaxPayloadExceeded => Unanswered::TooLong,
            _ => Unanswered::Down,
        })
    }

    /// Waits until everything that was sent before has reached the NATS server: it answers in
    /// order, and that nobody has subscribed to a subject is an answer, too.
    pub(super) async fn confirm(&self) -> Result<(), Unanswered> {
        let subject = self.nobody.clone();
        let asked = self.ask_anyway(subject, None, Bytes::new(), CONFIRM_TIMEOUT);
        match asked.await {
            Ok(_) | Err(Unanswered::Nobody) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Confirms each connection. Only then it is up: what was missed before is asked for, and
    /// nothing may be missed after that.
    async fn confirm_each(self) {
        let mut changes = self.state.connection.subscribe();
        loop {
            let number = *changes.borrow_and_update();
            if self.client.connection_state() == connection::State::Connected {
                match self.confirm().await {
                    Ok(()) => self.state.confirmed(number),
                    // The same connection, once more.
                    Err(Unanswered::Late) => continue,
                    Err(_) => {}
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl State {
    fn new() -> Self {
        Self {
            connection: watch::Sender::new(0),
            link: watch::Sender::new(Link::Down),
            gaps: watch::Sender::new(0),
            together: Mutex::new(()),
        }
    }

    fn on(&self, event: &Event, inbox: &Inbox) {
        let _together = self.together.lock();
        match event {
            Event::Connected => self.connection.send_modify(|number| *number += 1),
            Event::Disconnected | Event::Closed => {
                self.connection.send_modify(|number| *number += 1);
                if self.link.send_replace(Link::Down) == Link::Up {
                    tracing::warn!("the connection to NATS is lost");
                }
                inbox.give_up();
            }
            // One of the subscriptions; which, it doesn't say.
            Event::SlowConsumer(_) => self.gaps.send_modify(|number| *number += 1),
            Event::ServerError(error) => tracing::warn!("NATS says: {error}"),
            Event::ClientError(error) => tracing::debug!("NATS can't be reached: {error}"),
            Event::LameDuckMode => tracing::info!("this server's NATS server is about to stop"),
            Event::Draining => {}
        }
    }

    /// The connection of this number has been confirmed.
    fn confirmed(&self, number: u64) {
        let _together = self.together.lock();
        if *self.connection.borrow() == number && self.link.send_replace(Link::Up) == Link::Down {
            tracing::info!("connected to NATS");
            self.gaps.send_modify(|number| *number += 1);
        }
    }
}

/// The message, unless it says that nobody is there.
fn answered(message: Message) -> Result<Message, Unanswered> {
    match message.status {
        Some(StatusCode::NO_RESPONDERS) => Err(Unanswered::Nobody),
        _ => Ok(message),
    }
}

/// The time before a try to reach a NATS server.
fn pause(tries: usize) -> Duration {
    let doubled = 2_u64.saturating_pow(tries.try_into().unwrap_or(u32::MAX));
    Duration::from_millis(doubled).min(LONGEST_PAUSE)
}

fn random() -> Result<u128, ConnectError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(u128::from_le_bytes(bytes))
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> ConnectError {
    ConnectError::with_source(ConnectErrorKind::Io, error)
}
