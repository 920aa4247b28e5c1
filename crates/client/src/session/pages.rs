//! The list of a server's topics, which comes in pages.

use wire::{Page, TopicSummary};

use crate::event::Topic;

/// The most topics in a list. If a server sends more, the list ends.
const MAX_TOPICS: usize = 1_000_000;

/// Pages that follow one another.
#[derive(Debug, Default)]
pub(super) struct Pages(Vec<Topic>);

/// The result of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask for this page.
    Page(Page),
    /// The list is complete.
    Complete(Vec<Topic>),
}

impl Pages {
    /// Discards the pages so far, because the following ones won't come.
    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// Takes a page. A page that doesn't follow the last one begins a new list.
    pub(super) fn take(&mut self, page: &[TopicSummary<'_>]) -> Next {
        let follows = match (self.0.last(), page.first()) {
            (Some(last), Some(first)) => last.name.as_str() < &*first.topic,
            (_, first) => first.is_none(),
        };
        if !follows {
            self.clear();
        }
        self.0.extend(page.iter().map(|summary| Topic {
            name: summary.topic.to_string(),
            members: summary.members,
            messages: summary.seq,
        }));
        let last = page.last().filter(|last| last.more);
        match last.filter(|_| self.0.len() < MAX_TOPICS) {
            Some(last) => Next::Page(Page::default().following(&last.topic)),
            None => Next::Complete(std::mem::take(&mut self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[&'static str], more: bool) -> Vec<TopicSummary<'static>> {
        let last = names.last();
        let summary = |name: &&'static str| TopicSummary {
            topic: (*name).into(),
            members: 1,
            seq: 2,
            more: more && Some(name) == last,
        };
        names.iter().map(summary).collect()
    }

    fn names(next: Next) -> Vec<String> {
        match next {
            Next::Complete(topics) => topics.into_iter().map(|topic| topic.name).collect(),
            Next::Page(page) => panic!("{page:?}"),
        }
    }

    #[test]
    fn pages_are_put_together_until_there_is_no_more() {
        let mut pages = Pages::default();
        let after = |name: &str| Next::Page(Page::default().following(name));
        assert_eq!(pages.take(&page(&["a", "b"], true)), after("b"));
        assert_eq!(pages.take(&page(&["c"], true)), after("c"));
        assert_eq!(
            names(pages.take(&page(&["d"], false))),
            ["a", "b", "c", "d"]
        );
        assert_eq!(names(pages.take(&[])), [] as [&str; 0]);
    }

    #[test]
    fn a_list_that_begins_again_is_another_one() {
        let mut pages = Pages::default();
        pages.take(&page(&["a", "b"], true));
        assert_eq!(names(pages.take(&page(&["a", "b"], false))), ["a", "b"]);
        pages.take(&page(&["a", "b"], true));
        // The topics that followed have ended meanwhile.
        assert_eq!(names(pages.take(&[])), ["a", "b"]);
        pages.take(&page(&["a", "b"], true));
        pages.clear();
        assert_eq!(names(pages.take(&page(&["c"], false))), ["c"]);
    }
}
