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

/// How many pages of topics are read at a time that aren't in memory. Many requests for lists wait
/// for each other, and reads of messages don't wait for them.
pub(super) const LISTS: usize = 1;

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
    ) -> Result<Vec<(TopicName, u64)>, StoreError> {
        match self {
            Self::OnDisk(store) => store.topics(after, limit).await,
            Self::InCluster(shared) => {
                Ok(directory::topics(shared, after.as_deref(), limit).await?)
            }
        }
    }
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
    ) -> Result<Vec<(TopicName, u64)>, StoreError> {
        let most = max_entries(page) + 1;
        let (mut found, mut after) = (Vec::new(), page.after.clone());
        loop {
            // Other requests get their turn between two reads.
            let turn = self.lists.acquire().await;
            let some = kept.topics(after, most).await?;
            drop(turn);
            let is_last = some.len() < most;
            after = some.last().map(|(name, _)| name.to_string());
            found.extend(
                some.into_iter()
                    .filter(|(name, _)| is_visible(name.as_str())),
            );
            if is_last || found.len() >= most {
                return Ok(found);
            }
        }
    }

    /// Merges the topics in memory and on disk, from the same name on, into a page. Each list has
    /// one entry more than a page, if there are so many, which tells whether more topics follow.
    fn list_with(
        &self,
        stored: &[(TopicName, u64)],
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
    stored: &mut Peekable<impl Iterator<Item = &'a (TopicName, u64)>>,
) -> Option<TopicSummary<'a>> {
    let order = match (in_memory.peek(), stored.peek()) {
        (Some(topic), Some((name, _))) => topic.name().cmp(name),
        (Some(_), None) => Ordering::Less,
        (None, _) => Ordering::Greater,
    };
    let (name, members, seq) = if order == Ordering::Greater {
        let (name, seq) = stored.next()?;
        (name, 0, *seq)
    } else {
        if order == Ordering::Equal {
            stored.next();
        }
        let topic = in_memory.next()?;
        let (members, seq) = topic.summary();
        (topic.name(), members as u64, seq)
    };
    Some(TopicSummary {
        topic: name.as_str().into(),
        members,
        seq,
        more: false,
    })
}
