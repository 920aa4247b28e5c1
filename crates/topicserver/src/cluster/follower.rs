//! Follows a topic in the log, for the task of a topic that has members here.
//!
//! The feed may lose what it brings. A record that doesn't follow the one before shows that, and
//! so do the heads that owners announce; what is missing is read from the log.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use wire::TopicName;

use super::heads::Listener;
use super::history;
use super::log::{Feed, Followed, Located, LogError};
use super::record::Record;
use super::shared::Shared;
use super::tail::{Counted, Missing, Tail, ask};
use crate::metrics::{self, Count};

/// The pause before a feed that has ended is asked for again.
const PAUSE: Duration = Duration::from_secs(1);

/// Whoever reads a topic's records.
pub(crate) trait Reader: Send + Sync + 'static {
    /// Takes the record that comes next.
    fn take(&self, counted: Counted);

    /// Waits until it can take more.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A topic that is followed. Dropping it ends that.
pub(crate) struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A topic that can be followed from here on: what is appended meanwhile is in the feed.
pub(crate) struct Opened {
    /// Where the topic ends.
    pub(crate) from: Tail,
    /// The number of its oldest message; the next number if there is none.
    pub(crate) first: u64,
    feed: Feed,
    heads: Listener,
}

/// Finds out where a topic ends, to follow it.
pub(crate) async fn open(
    shared: &Shared,
    topic: &TopicName,
    until: Instant,
) -> Result<Opened, LogError> {
    // What is appended while the head is looked up is in the feed.
    let feed = ask(until, || shared.log.follow(topic)).await?;
    let heads = shared.heads.listen(topic);
    let from = Tail::load(&*shared.log, topic, None, until, |_| ()).await?;
    let first = history::first(shared, topic, until).await?;
    Ok(Opened {
        first: first.unwrap_or(from.next()),
        from,
        feed,
        heads,
    })
}

impl Opened {
    /// Begins to follow the topic: `reader` gets all records that come after [`Opened::from`].
    pub(crate) fn follow(
        self,
        shared: Arc<Shared>,
        topic: TopicName,
        reader: Arc<dyn Reader>,
    ) -> Following {
        let follower = Follower {
            shared,
            topic,
            tail: self.from,
            reader,
        };
        Following(tokio::spawn(follower.run(self.feed, self.heads)))
    }
}

struct Follower {
    shared: Arc<Shared>,
    topic: TopicName,
    tail: Tail,
    reader: Arc<dyn Reader>,
}

impl Follower {
    async fn run(mut self, mut feed: Feed, mut heads: Listener) {
        loop {
            let is_complete = tokio::select! {
                biased;
                followed = feed.recv() => match followed {
                    Some(Followed::Record(located)) => self.take(&located).await,
                    Some(Followed::Interrupted) => false,
                    None => {
                        feed = self.follow_again().await;
                        false
                    }
                },
                head = heads.next() => head <= self.tail.at,
            };
            if !is_complete {
                self.catch_up().await;
            }
        }
    }

    /// Hands on a record of the feed. Returns whether none is missing before it.
    async fn take(&mut self, located: &Located) -> bool {
        match self.tail.follow(located) {
            Ok(record) => {
                self.hand_on(record).await;
                true
            }
            Err(Missing) => false,
        }
    }

    async fn hand_on(&self, records: impl IntoIterator<Item = Counted>) {
        for counted in records {
            self.reader.take(counted);
            std::future::poll_fn(|cx| self.reader.poll_room(cx)).await;
        }
    }

    /// Reads everything that is in the log, for as long as that takes.
    async fn catch_up(&mut self) {
        let before = self.tail.at;
        while let Err(error) = self.try_to_catch_up().await {
            let topic = &self.topic;
            tracing::debug!(%topic, "can't read on: {error}");
            tokio::time::sleep(PAUSE).await;
        }
        if self.tail.at > before {
            metrics::count(Count::ClusterHoles, 1);
        }
    }

    async fn try_to_catch_up(&mut self) -> Result<(), LogError> {
        let shared = self.shared.clone();
        let mut until = Instant::now() + shared.patience;
        let log = &*shared.log;
        let Some(head) = self.tail.head(log, &self.topic, until).await? else {
            return Ok(());
        };
        while self.tail.at < head {
            let before = self.tail.at;
            let records = self.tail.read_some(log, &self.topic, until).await?;
            self.hand_on(records).await;
            // If nothing comes, the log may have lost what it had.
            if self.tail.at > before {
                until = Instant::now() + shared.patience;
            }
        }
        match std::mem::take(&mut self.tail.rivals_from) {
            0 => Ok(()),
            from => self.judge_again(from, until).await,
        }
    }

    /// Records don't count for this server, of which one names the record `from`. Maybe it is what
    /// it has read itself that counts for nobody else: the feed has brought a rival, and lost what
    /// was before it.
    async fn judge_again(&mut self, from: u64, until: Instant) -> Result<(), LogError> {
        let (log, topic, mut newest) = (&*self.shared.log, &self.topic, None);
        let take = |record: &Record| newest = Some(record.clone());
        let judged = Tail::load_from(from, self.tail.at, log, topic, until, take).await?;
        let is_right = judged.chain == self.tail.chain || judged.at != self.tail.at;
        if let Some(record) = newest.filter(|_| !is_right) {
            tracing::error!(%topic, "the cluster's log has other messages than were delivered");
            self.tail = judged;
            let anew = Counted {
                is_anew: true,
                ..Counted::new(judged.chain.at, record)
            };
            self.hand_on([anew]).await;
        }
        Ok(())
    }

    async fn follow_again(&self) -> Feed {
        loop {
            match self.shared.log.follow(&self.topic).await {
                Ok(feed) => return feed,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
