//! Where topics end, as their owners announce it: a record whose message on the feed was lost
//! would otherwise be noticed only with the next one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use wire::TopicName;
use xxhash_rust::xxh3::xxh3_64;

use super::bus::{Bus, Said};

/// The subject under which heads are announced.
const SUBJECT: &str = "heads";

/// How often they are.
const PERIOD: Duration = Duration::from_secs(1);

/// For how long after its last message a topic's head is announced.
const RECENT: Duration = Duration::from_secs(10);

/// Heads in one message, which is far below what a bus takes.
const HEADS_AT_ONCE: usize = 4096;

/// The heads of topics.
#[derive(Default)]
pub(crate) struct Heads {
    /// Topics to which this server has appended lately: when, and their head.
    own: Mutex<BTreeMap<u64, (Instant, u64)>>,
    /// Topics that this server follows, with the head that was heard of last.
    followed: Mutex<HashMap<u64, watch::Sender<u64>>>,
}

impl Heads {
    /// This server has appended to a topic, whose head is now here.
    pub(crate) fn note(&self, topic: &TopicName, at: u64) {
        let key = key(topic);
        self.own.lock().insert(key, (Instant::now(), at));
        // A topic's members here needn't wait for the feed.
        self.hear(key, at);
    }

    /// The head of a topic, whenever it is announced.
    pub(crate) fn listen(&self, topic: &TopicName) -> watch::Receiver<u64> {
        let mut followed = self.followed.lock();
        let sender = followed
            .entry(key(topic))
            .or_insert_with(|| watch::Sender::new(0));
        sender.subscribe()
    }

    /// Has whoever follows a topic look into the log.
    pub(crate) fn look(&self, topic: &TopicName) {
        self.hear(key(topic), u64::MAX);
    }

    fn hear(&self, key: u64, at: u64) {
        let mut followed = self.followed.lock();
        let Some(sender) = followed.get(&key) else {
            return;
        };
        if sender.is_closed() {
            followed.remove(&key);
        } else {
            sender.send_replace(at);
        }
    }

    /// Announces the heads of this server's topics, and listens to those of others, for ever.
    pub(crate) async fn run(self: Arc<Self>, bus: Arc<dyn Bus>) {
        let mut heard = None;
        let mut tick = tokio::time::interval(PERIOD);
        loop {
            if heard.is_none() {
                heard = bus.subscribe(SUBJECT).await.ok();
            }
            tokio::select! {
                biased;
                _ = tick.tick() => self.announce(&*bus),
                said = hear(heard.as_mut()) => match said {
                    Some(said) => self.take(said.payload),
                    None => heard = None,
                },
            }
        }
    }

    fn announce(&self, bus: &dyn Bus) {
        let mut own = self.own.lock();
        own.retain(|_, (when, _)| when.elapsed() < RECENT);
        let heads: Vec<_> = own.iter().map(|(&key, &(_, at))| (key, at)).collect();
        drop(own);
        for some in heads.chunks(HEADS_AT_ONCE) {
            let mut payload = BytesMut::with_capacity(16 * some.len());
            for &(key, at) in some {
                payload.put_u64_le(key);
                payload.put_u64_le(at);
            }
            bus.publish(SUBJECT, payload.freeze());
        }
    }

    fn take(&self, mut payload: Bytes) {
        while let (Ok(key), Ok(at)) = (payload.try_get_u64_le(), payload.try_get_u64_le()) {
            self.hear(key, at);
        }
    }
}

/// What is said next; never without a subscription.
async fn hear(heard: Option<&mut tokio::sync::mpsc::Receiver<Said>>) -> Option<Said> {
    match heard {
        Some(heard) => heard.recv().await,
        None => std::future::pending().await,
    }
}

/// A topic's hash, the same on all servers.
fn key(topic: &TopicName) -> u64 {
    xxh3_64(topic.as_str().as_bytes())
}
