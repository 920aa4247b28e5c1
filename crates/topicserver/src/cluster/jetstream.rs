//! The log and the bus of a cluster, on NATS with JetStream. Nothing else knows async-nats.
//!
//! ```text
//! NATTER_00 … NATTER_15   streams of records:     natter.log.NN.TOPIC
//!                         copies of them, unkept:  natter.live.NN.TOPIC
//! NATTER_META             what all servers share: natter.meta.WORD
//! the bus, unkept:        natter.bus.SUBJECT
//! ```
//!
//! A topic's stream is chosen by a hash of its name. There are several because each has one leader,
//! and pauses for seconds when that dies. Records are read from any server with a copy, which may be
//! a moment behind: so it is the leader that says which is the newest, and that there are no more.

mod api;
mod append;
mod bus;
mod connection;
mod credentials;
mod crowd;
mod flushing;
mod follow;
mod inbox;
mod look;
mod message;
mod monitor;
mod read;
mod start;
mod streams;
mod subject;
#[cfg(test)]
mod tests;
mod topics;
mod trim;
mod version;

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use wire::TopicName;

use super::bus::{Bus, BusError, Link, Said};
use super::error::EngineError;
use super::log::{Answer, Appended, Feed, Located, Log, LogError};
use crate::clock::civil::rfc3339;
use crate::config::{ClusterConfig, MonitorUrl};
use connection::Connection;
use flushing::Watched;
use follow::Feeds;
use streams::Wanted;
use subject::Names;
use topics::Topics;

/// The log and the bus of one cluster.
pub(crate) struct JetStream {
    connection: Connection,
    names: Names,
    topics: Topics,
    feeds: Feeds,
    wanted: Wanted,
    /// Ends with it.
    watching: AbortHandle,
}

impl JetStream {
    /// Connects to NATS, sees that it keeps what natter promises, and makes the streams. Also
    /// returns the cluster's secret.
    pub(super) async fn open(
        config: &ClusterConfig,
        keep_age: Duration,
    ) -> Result<(Self, [u8; 16]), EngineError> {
        let names = Names::new(&config.name, config.shards);
        let connection = start::connect(config, &names).await?;
        let watched = start::check(config, &connection).await?;
        let wanted = start::wanted(config, &connection, keep_age);
        streams::prepare(&connection, &names, wanted).await?;
        let secret = start::secret(&connection, &names).await?;
        let engine = Self {
            connection,
            names,
            topics: Topics::default(),
            feeds: Feeds::new(config.shards),
            wanted,
            watching: watch(watched),
        };
        Ok((engine, secret))
    }
}

impl Drop for JetStream {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Asks the servers again and again whether they flush, if that is promised.
fn watch(watched: Watched) -> AbortHandle {
    for monitor in &watched.unproven {
        let server = monitor.authority();
        tracing::warn!(
            "the NATS server at http://{server} can't be asked whether it flushes; most others do, \
             and it is asked again"
        );
    }
    let tell = |monitor: &MonitorUrl, wrong: Option<&EngineError>| match wrong {
        Some(error) => tracing::error!("{error}"),
        None => tracing::info!(
            "the NATS server at http://{} flushes, too",
            monitor.authority()
        ),
    };
    tokio::spawn(flushing::watch(watched, flushing::PAUSE, tell)).abort_handle()
}

impl JetStream {
    /// Sees that the files which the configuration names can be used.
    pub(super) fn look(config: &ClusterConfig) -> Result<(), EngineError> {
        credentials::options(config).map(drop)
    }
}

impl Log for JetStream {
    fn append<'a>(
        &'a self,
        topic: &'a TopicName,
        prev: u64,
        id: &'a str,
        record: Bytes,
    ) -> Answer<'a, Appended> {
        Box::pin(async move {
            let place = self.names.place(topic);
            append::append(&self.connection, &place, prev, id, record).await
        })
    }

    fn head<'a>(&'a self, topic: &'a TopicName) -> Answer<'a, Result<Option<Located>, LogError>> {
        Box::pin(async move {
            let place = self.names.place(topic);
            let body = json!({ "last_by_subj": place.log() });
            let stored = look::look(&self.connection, &place, &body).await?;
            Ok(stored.and_then(|stored| stored.located()))
        })
    }

    fn confirm<'a>(&'a self, topic: &'a TopicName) -> Answer<'a, Result<(), LogError>> {
        Box::pin(async move {
            let place = self.names.place(topic);
            match look::is_in_touch(&self.connection, &place).await? {
                true => Ok(()),
                false => Err(LogError::Away(
                    "the leader of the stream doesn't reach most of its servers".to_owned(),
                )),
            }
        })
    }

    fn next<'a>(
        &'a self,
        topic: &'a TopicName,
        from: u64,
    ) -> Answer<'a, Result<Option<Located>, LogError>> {
        Box::pin(async move {
            let place = self.names.place(topic);
            read::next(&self.connection, &place, from).await
        })
    }

    fn read<'a>(
        &'a self,
        topic: &'a TopicName,
        from: u64,
        bytes: usize,
    ) -> Answer<'a, Result<Vec<Located>, LogError>> {
        Box::pin(async move {
            let place = self.names.place(topic);
            read::batch(&self.connection, &place, from, bytes).await
        })
    }

    fn since<'a>(
        &'a self,
        topic: &'a TopicName,
        time: u64,
    ) -> Answer<'a, Result<Option<Located>, LogError>> {
        Box::pin(async move {
            let place = self.names.place(topic);
            read::since(&self.connection, &place, &rfc3339(time)).await
        })
    }

    fn follow<'a>(&'a self, topic: &'a TopicName) -> Answer<'a, Result<Feed, LogError>> {
        Box::pin(async move {
            let place = self.names.place(topic);
            self.feeds.follow(&self.connection, &place).await
        })
    }

    fn trim<'a>(&'a self, topic: &'a TopicName, before: u64) -> Answer<'a, Result<(), LogError>> {
        Box::pin(async move {
            let place = self.names.place(topic);
            trim::trim(&self.connection, &place, before).await
        })
    }

    fn keep(&self, age: Duration) -> Answer<'_, Result<(), LogError>> {
        let wanted = Wanted {
            keep_age: age,
            ..self.wanted
        };
        Box::pin(async move {
            let kept = streams::prepare_shards(&self.connection, &self.names, wanted).await;
            kept.map_err(|error| match error {
                EngineError::Silent => LogError::Away(error.to_string()),
                _ => LogError::Refused(error.to_string()),
            })
        })
    }

    fn topics<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> Answer<'a, Result<Vec<TopicName>, LogError>> {
        Box::pin(async move {
            let topics = &self.topics;
            topics
                .after(&self.connection, &self.names, after, limit)
                .await
        })
    }
}

impl Bus for JetStream {
    fn publish(&self, subject: &str, payload: Bytes) {
        self.connection.send(self.names.bus(subject), payload);
    }

    fn subscribe<'a>(
        &'a self,
        subject: &'a str,
    ) -> Answer<'a, Result<mpsc::Receiver<Said>, BusError>> {
        Box::pin(bus::subscribe(&self.connection, self.names.bus(subject)))
    }

    fn request<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        timeout: Duration,
    ) -> Answer<'a, Result<Bytes, BusError>> {
        let subject = self.names.bus(subject);
        Box::pin(bus::request(&self.connection, subject, payload, timeout))
    }

    fn link(&self) -> watch::Receiver<Link> {
        self.connection.link()
    }
}
