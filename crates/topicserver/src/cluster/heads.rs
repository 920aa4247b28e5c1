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
    followed: Mutex<HashMap<u64, watch::Sender<Heard>>>,
}

/// What was heard of a topic's head.
#[derive(Clone, Copy, Default)]
struct Heard {
    at: u64,
    /// How often somebody has asked to look into the log, wherever the head is said to be.
    looks: u64,
}

/// The head of a topic that is followed.
pub(crate) struct Listener {
    heard: watch::Receiver<Heard>,
    /// How many of the looks were taken.
    looked: u64,
}

impl Listener {
    /// The next head that is announced; beyond all if the log is to be looked into. An earlier
    /// announcement that wasn't taken is replaced by a later one, which may be of a server that
    /// was stopped for a while; a look isn't.
    pub(crate) async fn next(&mut self) -> u64 {
        if self.heard.changed().await.is_err() {
            return std::future::pending().await;
        }
        let heard = *self.heard.borrow_and_update();
        match std::mem::replace(&mut self.looked, heard.looks) == heard.looks {
            true => heard.at,
            false => u64::MAX,
        }
    }
}

impl Heads {
    /// This server has appended to a topic, whose head is now here.
    pub(crate) fn note(&self, topic: &TopicName, at: u64) {
        let key = key(topic);
        self.own.lock().insert(key, (Instant::now(), at));
        // A topic's members here needn't wait for the feed.
        self.hear(key, |heard| heard.at = at);
    }

    /// The head of a topic, whenever it is announced.
    pub(crate) fn listen(&self, topic: &TopicName) -> Listener {
        let mut followed = self.followed.lock();
        let sender = followed
            .entry(key(topic))
            .or_insert_with(|| watch::Sender::new(Heard::default()));
        let heard = sender.subscribe();
        let looked = heard.borrow().looks;
        Listener { heard, looked }
    }

    /// Has whoever follows a topic look into the log.
    pub(crate) fn look(&self, topic: &TopicName) {
        self.hear(key(topic), |heard| heard.looks += 1);
    }

    fn hear(&self, key: u64, change: impl FnOnce(&mut Heard)) {
        let mut followed = self.followed.lock();
        let Some(sender) = followed.get(&key) else {
            return;
        };
        if sender.is_closed() {
            followed.remove(&key);
        } else {
            sender.send_modify(change);
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
            self.hear(key, |heard| heard.at = at);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_isnt_lost_in_what_a_server_announces_that_was_stopped() {
        let (heads, topic) = (Heads::default(), TopicName::new("t").unwrap());
        let mut listener = heads.listen(&topic);
        heads.look(&topic);
        heads.note(&topic, 3);
        assert_eq!(listener.next().await, u64::MAX);
        heads.note(&topic, 4);
        assert_eq!(listener.next().await, 4);
        heads.look(&topic);
        assert_eq!(listener.next().await, u64::MAX);
    }
}
