//! Lists topics, page by page: those in memory, on disk, and in the log of a cluster.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::sync::Arc;

use wire::{Event, Page, TopicName, TopicSummary};

use crate::cluster::directory;
use crate::cluster::shared::Shared;
use crate::outbox::reply::PendingReply;
use crate::store::{Store, StoreError};
use crate::topic::handle::Topic;
use crate::topic::page::{PageRoom, max_entries};
use crate::topic::registry::Registry;

/// A topic as it is known beside this server's memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Elsewhere {
    name: TopicName,
    /// Members on other servers.
    members: u64,
    seq: u64,
}

/// Where topics are that aren't in memory.
enum Kept {
    OnDisk(Store),
    InCluster(Arc<Shared>),
}

impl Kept {
    /// At most `limit` topics after a name, with their newest sequence numbers.
    async fn topics(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Elsewhere>, StoreError> {
        match self {
            Self::OnDisk(store) => {
                let topics = store.topics(after, limit).await?;
                Ok(topics.into_iter().map(without_members).collect())
            }
            Self::InCluster(shared) => {
                let after = after.as_deref();
                let in_log = directory::topics(shared, after, limit).await?;
                let mut all: Vec<_> = in_log.into_iter().map(without_members).collect();
                let others = shared.presence.topics(after, limit).await;
                all.extend(others.into_iter().flatten().map(|other| Elsewhere {
                    name: other.topic,
                    members: other.members,
                    seq: other.seq,
                }));
                Ok(merged(all, limit))
            }
        }
    }
}

fn without_members((name, seq): (TopicName, u64)) -> Elsewhere {
    Elsewhere {
        name,
        members: 0,
        seq,
    }
}

/// The first topics, each once.
fn merged(mut all: Vec<Elsewhere>, limit: usize) -> Vec<Elsewhere> {
    all.sort_unstable();
    all.dedup_by(|next, kept| {
        let is_same = next.name == kept.name;
        if is_same {
            kept.members += next.members;
            kept.seq = kept.seq.max(next.seq);
        }
        is_same
    });
    all.truncate(limit);
    all
}

impl Registry {
    /// Answers with a page of the topics. Topics that are only on disk take a moment to find.
    ///
    /// Only visible topics are listed.
    pub(crate) fn list(
        self: &Arc<Self>,
        page: Page,
        reply: PendingReply,
        is_visible: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) {
        let Some(kept) = self.kept() else {
            return reply.send(self.list_with(&[], &page, is_visible));
        };
        let registry = self.clone();
        tokio::spawn(async move {
            let stored = registry.stored(&kept, &page, &is_visible).await;
            if let Err(error) = &stored {
                tracing::warn!(%error, "can't list the topics that aren't in memory");
            }
            let stored = stored.unwrap_or_default();
            reply.send(registry.list_with(&stored, &page, is_visible));
        });
    }

    /// Where topics are that aren't in memory.
    fn kept(&self) -> Option<Kept> {
        match (&self.settings.store, &self.settings.cluster) {
            (Some(store), _) => Some(Kept::OnDisk(store.clone())),
            (None, Some(cluster)) => Some(Kept::InCluster(cluster.shared().clone())),
            (None, None) => None,
        }
    }

    /// The first visible topics of a page that aren't in memory, one more than it has.
    async fn stored(
        &self,
        kept: &Kept,
        page: &Page,
        is_visible: &(impl Fn(&str) -> bool + Sync),
    ) -> Result<Vec<Elsewhere>, StoreError> {
        let most = max_entries(page) + 1;
        let (mut found, mut after) = (Vec::new(), page.after.clone());
        loop {
            // Other requests get their turn between two reads.
            let turn = self.lists.acquire().await;
            let some = kept.topics(after, most).await?;
            drop(turn);
            let is_last = some.len() < most;
            after = some.last().map(|topic| topic.name.to_string());
            let is_visible = |topic: &Elsewhere| is_visible(topic.name.as_str());
            found.extend(some.into_iter().filter(is_visible));
            if is_last || found.len() >= most {
                return Ok(found);
            }
        }
    }

    /// Merges the topics in memory and on disk, from the same name on, into a page. Each list has
    /// one entry more than a page, if there are so many, which tells whether more topics follow.
    fn list_with(
        &self,
        stored: &[Elsewhere],
        page: &Page,
        is_visible: impl Fn(&str) -> bool,
    ) -> Vec<u8> {
        let topics = self.topics_after(page, max_entries(page) + 1, is_visible);
        let mut in_memory = topics.iter().peekable();
        let mut stored = stored.iter().peekable();
        let mut room = PageRoom::of(page);
        let mut listed: Vec<TopicSummary<'_>> = Vec::new();
        while let Some(next) = next_of(&mut in_memory, &mut stored) {
            if !room.take(&next.topic) {
                if let Some(last) = listed.last_mut() {
                    last.more = true;
                }
                break;
            }
            listed.push(next);
        }
        Event::Topics(listed).to_line()
    }

    /// The first visible topics of a page, at most `count`.
    fn topics_after(
        &self,
        page: &Page,
        count: usize,
        is_visible: impl Fn(&str) -> bool,
    ) -> Vec<Arc<Topic>> {
        let mut visible = Vec::new();
        let mut after = page.after.clone();
        loop {
            // Checking visibility takes longer than a look-up, so it is done without the lock.
            let some = self.following(after.as_deref(), count);
            let is_last = some.len() < count;
            after = some.last().map(|topic| topic.name().to_string());
            visible.extend(some.into_iter().filter(|t| is_visible(t.name().as_str())));
            if is_last || visible.len() >= count {
                return visible;
            }
        }
    }
}

/// The next of the topics in memory and of those on disk, in the order of their names. The entry
/// in memory is newer.
fn next_of<'a>(
    in_memory: &mut Peekable<impl Iterator<Item = &'a Arc<Topic>>>,
    stored: &mut Peekable<impl Iterator<Item = &'a Elsewhere>>,
) -> Option<TopicSummary<'a>> {
    let order = match (in_memory.peek(), stored.peek()) {
        (Some(topic), Some(other)) => topic.name().cmp(&other.name),
        (Some(_), None) => Ordering::Less,
        (None, _) => Ordering::Greater,
    };
    let elsewhere = match order {
        Ordering::Less => None,
        Ordering::Equal | Ordering::Greater => stored.next(),
    };
    let here = match order {
        Ordering::Less | Ordering::Equal => in_memory.next(),
        Ordering::Greater => None,
    };
    let name = here.map(|topic| topic.name());
    let name = name.or(elsewhere.map(|topic| &topic.name))?;
    let (members, seq) = here.map_or((0, 0), |topic| topic.summary());
    let others = elsewhere.map_or((0, 0), |topic| (topic.members, topic.seq));
    Some(TopicSummary {
        topic: name.as_str().into(),
        members: members as u64 + others.0,
        // On disk there may be less than in memory.
        seq: seq.max(others.1),
        more: false,
    })
}
