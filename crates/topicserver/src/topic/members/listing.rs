//! Lists of the members of a topic, for those who ask.

use wire::{Event, Page, TopicName};

use super::Members;
use crate::cluster::presence::Listed;
use crate::cluster::text::owned;
use crate::outbox::reply::PendingReply;
use crate::topic::listing;

impl Members {
    /// Sends a page of the members, at once if all of them are known here.
    pub(crate) fn send_who(&self, topic: &TopicName, page: &Page, reply: PendingReply) {
        let Some(elsewhere) = &self.elsewhere else {
            let page = self.people.page(page);
            let members = wire::Members {
                topic: topic.as_str().into(),
                count: self.len() as u64,
                users: page.people,
                more: page.more,
            };
            return reply.send(Event::Members(members).to_line());
        };
        let presence = elsewhere.presence.clone();
        if elsewhere.present.is_none() {
            return listing::send_who_elsewhere(presence, topic.clone(), page.clone(), reply);
        }
        let known = Listed {
            people: self.known_elsewhere(),
            more: false,
            count: elsewhere.count - elsewhere.count_to_ask,
        };
        let lists = vec![self.list(page), known];
        if elsewhere.to_ask.is_empty() {
            return reply.send(listing::merge(topic, page, lists));
        }
        let to_ask = elsewhere.to_ask.clone();
        listing::send_who(presence, to_ask, topic.clone(), page.clone(), lists, reply);
    }

    /// A page of the members here.
    pub(crate) fn list(&self, page: &Page) -> Listed {
        let page = self.people.page(page);
        Listed {
            people: page.people.iter().map(owned).collect(),
            more: page.more,
            count: self.len() as u64,
        }
    }
}
