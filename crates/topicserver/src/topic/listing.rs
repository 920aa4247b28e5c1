//! Lists that several servers of a cluster make together.

use std::sync::Arc;

use wire::{Event, Page, TopicName};

use crate::cluster::nodes::NodeId;
use crate::cluster::presence::{Listed, Presence};
use crate::outbox::reply::PendingReply;
use crate::topic::page::PageRoom;

/// Sends a page of the members of a topic that has none here.
pub(super) fn send_who_elsewhere(
    presence: Arc<Presence>,
    topic: TopicName,
    page: Page,
    reply: PendingReply,
) {
    let to_ask = presence.others();
    send_who(presence, to_ask, topic, page, Vec::new(), reply);
}

/// Sends a page of the members of a topic when these servers have been asked.
pub(super) fn send_who(
    presence: Arc<Presence>,
    to_ask: Vec<NodeId>,
    topic: TopicName,
    page: Page,
    mut lists: Vec<Listed>,
    reply: PendingReply,
) {
    tokio::spawn(async move {
        lists.extend(presence.list(&to_ask, &topic, &page).await);
        reply.send(merge(&topic, &page, lists));
    });
}

/// The page that several servers' pages make, each sorted by name, as an answer. A user who moves
/// from one server to another may be on two of them.
pub(super) fn merge(topic: &TopicName, page: &Page, lists: Vec<Listed>) -> Vec<u8> {
    let count = lists.iter().map(|listed| listed.count).sum();
    // What comes after the last one of a page may be preceded by others there.
    let ends = lists.iter().filter(|listed| listed.more);
    let end = ends.filter_map(|listed| listed.people.last());
    let end = end.map(|person| person.user.to_string()).min();
    let mut people: Vec<_> = lists.into_iter().flat_map(|listed| listed.people).collect();
    people.sort();
    people.dedup_by(|one, other| one.user == other.user);
    people.retain(|person| page.after.as_deref() < Some(&person.user));
    let all = people.len();
    let mut room = PageRoom::of(page);
    let is_sure = |user: &str| end.as_deref().is_none_or(|end| user <= end);
    let people = people.into_iter();
    let users: Vec<_> = people
        .take_while(|person| is_sure(&person.user) && room.take(&person.user))
        .collect();
    let more = users.len() < all || end.is_some();
    Event::Members(wire::Members {
        topic: topic.as_str().into(),
        count,
        users,
        more,
    })
    .to_line()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use wire::Person;

    use super::*;

    fn listed(names: &[&str], more: bool) -> Listed {
        let person = |user: &&str| Person {
            user: user.to_string().into(),
            ip: "10.0.0.1".into(),
            port: "7".into(),
        };
        Listed {
            people: names.iter().map(person).collect(),
            more,
            count: 5,
        }
    }

    /// The names on a page, whether more follow, and the count.
    fn merged(after: Option<&str>, limit: u32, lists: Vec<Listed>) -> (Vec<String>, bool, u64) {
        let page = Page {
            after: after.map(str::to_owned),
            limit: NonZeroU32::new(limit),
        };
        let line = merge(&TopicName::new("T").unwrap(), &page, lists);
        let frame: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let members = &frame["extended"]["members"];
        let users = members["users"].as_array().unwrap();
        let names = users
            .iter()
            .map(|user| user["user"].as_str().unwrap().to_owned());
        let more = members["more"].as_bool().unwrap_or(false);
        (names.collect(), more, members["count"].as_u64().unwrap())
    }

    #[test]
    fn pages_of_several_servers_make_one_in_the_order_of_the_names() {
        let lists = || vec![listed(&["a", "d"], false), listed(&["b", "d", "e"], false)];
        let names = |names: &str| names.chars().map(String::from).collect::<Vec<_>>();
        assert_eq!(merged(None, 9, lists()), (names("abde"), false, 10));
        assert_eq!(merged(None, 3, lists()), (names("abd"), true, 10));
        assert_eq!(merged(Some("b"), 3, lists()), (names("de"), false, 10));
        // There may be others between c and e on the first server.
        let lists = || vec![listed(&["a", "c"], true), listed(&["b", "e"], false)];
        assert_eq!(merged(None, 9, lists()), (names("abc"), true, 10));
        assert_eq!(merged(None, 2, lists()), (names("ab"), true, 10));
        assert_eq!(merged(None, 9, vec![]), (names(""), false, 0));
    }
}
