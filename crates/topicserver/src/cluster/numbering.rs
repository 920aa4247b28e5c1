//! Which messages of a group are new, and which number each one gets.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::forward::Placed;
use super::record::{Group, Message, Record};
use crate::clock::Reading;
use crate::history::dedup::{DedupWindow, IdLimits};
use crate::history::entry::{RememberedId, Stored};

/// How long the last group of a server is remembered, in milliseconds: longer than any server
/// tries to hand one over.
pub(super) const GROUP_MEMORY: u64 = 60_000;

/// What an owner remembers of a topic's messages, to recognize them when they come again.
pub(crate) struct Remembered {
    ids: DedupWindow,
    /// The last group of each server.
    groups: HashMap<u64, LastGroup>,
}

/// The last group of a server that is in the log.
struct LastGroup {
    number: u64,
    /// When it came, by the monotonic clock.
    time: u64,
    /// When this server heard of it: the clock of the one that appended it may be wrong.
    heard: u64,
    /// The places of its messages in it, and their numbers.
    placed: Vec<(u32, u64)>,
}

/// Groups that are to be appended, in their order.
#[derive(Default)]
pub(crate) struct Numbered {
    /// The new messages.
    pub(crate) groups: Vec<Group>,
    /// Where the messages of each group are. `None`: a later group of its server is in the log.
    pub(crate) placed: Vec<Option<Vec<Placed>>>,
    /// The ids that were new.
    ids: Vec<RememberedId>,
}

impl Remembered {
    pub(crate) fn new(limits: IdLimits) -> Self {
        Self {
            ids: DedupWindow::new(limits),
            groups: HashMap::new(),
        }
    }

    /// Numbers the new messages of the groups from `next` on, and remembers their ids.
    pub(crate) fn number(&mut self, groups: &[Group], next: u64, now: &Reading) -> Numbered {
        self.ids.expire(now.elapsed);
        let mut numbered = Numbered::default();
        let mut next = next;
        let mut newest = HashMap::new();
        for group in groups {
            // Of two groups of one server the first may have been late on its way.
            let before = newest.entry(group.node).or_insert(group.number);
            let is_late = *before > group.number;
            *before = group.number.max(*before);
            let last = self.groups.get(&group.node);
            let placed = match last.map(|last| (last.number.cmp(&group.number), last)) {
                _ if is_late => None,
                Some((Ordering::Greater, _)) => None,
                Some((Ordering::Equal, last)) => Some(last.placed(group, &mut self.ids, now)),
                _ => Some(self.number_group(group, &mut next, now, &mut numbered)),
            };
            numbered.placed.push(placed);
        }
        numbered
    }

    /// Numbers the new messages of a group that isn't in the log.
    fn number_group(
        &mut self,
        group: &Group,
        next: &mut u64,
        now: &Reading,
        numbered: &mut Numbered,
    ) -> Vec<Placed> {
        let mut placed = Vec::with_capacity(group.messages.len());
        let mut messages = Vec::new();
        for (place, message) in (0..).zip(&group.messages) {
            let remembered = remembered(message, *next, now.elapsed);
            if let Some(known) = remembered.and_then(|id| self.ids.find_or_insert(id)) {
                placed.push(Placed {
                    stored: Stored {
                        time: now.stamp_of(known.stored.time),
                        ..known.stored
                    },
                    has_other_text: known.has_other_text,
                });
                continue;
            }
            numbered.ids.extend(remembered);
            placed.push(Placed::new(*next, now.stamp));
            *next += u64::from(message.count);
            messages.push(Message {
                place,
                ..message.clone()
            });
        }
        if !messages.is_empty() {
            let (node, number) = (group.node, group.number);
            numbered.groups.push(Group {
                node,
                number,
                messages,
            });
        }
        placed
    }

    /// Forgets the ids of messages that aren't in the log.
    pub(crate) fn take_back(&mut self, numbered: &Numbered) {
        numbered.ids.iter().for_each(|id| self.ids.take_back(id));
    }

    /// Remembers the messages of a record of another owner, or of an earlier time.
    pub(crate) fn add(&mut self, record: &Record, now: &Reading) {
        let time = now.elapsed_at(record.time);
        let mut seq = record.first;
        for message in record.messages() {
            if let Some(id) = remembered(message, seq, time) {
                // If it is there already, two servers took the same message. The log has both.
                self.ids.find_or_insert(id);
            }
            seq += u64::from(message.count);
        }
        self.add_groups(record, now);
    }

    /// Remembers the groups of a record, whose ids are known.
    pub(crate) fn add_groups(&mut self, record: &Record, now: &Reading) {
        let time = now.elapsed_at(record.time);
        let oldest = now.elapsed.saturating_sub(GROUP_MEMORY);
        let mut seq = record.first;
        for group in &record.groups {
            let mut placed = Vec::with_capacity(group.messages.len());
            for message in &group.messages {
                placed.push((message.place, seq));
                seq += u64::from(message.count);
            }
            let last = LastGroup {
                number: group.number,
                time,
                heard: now.elapsed,
                placed,
            };
            let known = self.groups.get(&group.node);
            if known.is_none_or(|known| known.number <= group.number) {
                self.groups.insert(group.node, last);
            }
        }
        self.groups.retain(|_, last| last.heard >= oldest);
    }
}

impl LastGroup {
    /// Where the messages of this group are, which is handed over again. What isn't in the log
    /// under its own place was there before, with the same id.
    fn placed(&self, group: &Group, ids: &mut DedupWindow, now: &Reading) -> Vec<Placed> {
        let stamp = now.stamp_of(self.time);
        let place_of = |(place, message): (u32, &Message)| {
            let own = self.placed.iter().find(|(known, _)| *known == place);
            if let Some(&(_, seq)) = own {
                return Placed::new(seq, stamp);
            }
            let id = remembered(message, 0, now.elapsed);
            let known = id.and_then(|id| ids.find_or_insert(id));
            known.map_or(Placed::new(0, stamp), |known| Placed {
                stored: known.stored,
                has_other_text: known.has_other_text,
            })
        };
        (0..).zip(&group.messages).map(place_of).collect()
    }
}

/// The id of a message that gets this number at this time.
fn remembered(message: &Message, seq: u64, time: u64) -> Option<RememberedId> {
    message.id.map(|id| RememberedId {
        origin: id.origin,
        id: id.hash,
        seq,
        time,
    })
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::message;
    use super::*;
    use crate::clock::Clock;

    fn group(number: u64, lines: &str) -> Group {
        Group {
            node: 9,
            number,
            messages: vec![message(lines)],
        }
    }

    fn record(time: u64, groups: Vec<Group>) -> Record {
        Record {
            epoch: 5,
            first: 1,
            prev: 0,
            owner: 1,
            stamp: time,
            time,
            groups,
        }
    }

    fn remembered() -> Remembered {
        Remembered::new(IdLimits {
            window: 1000,
            per_publisher: 10,
        })
    }

    /// A group that its server has given up may come after the next one, and be taken with it.
    #[test]
    fn a_late_group_is_not_taken_after_the_next_one_of_its_server() {
        let now = Clock::for_tests().read();
        let mut remembered = remembered();
        let (late, next) = (group(5, "late\n"), group(6, "next\n"));
        let numbered = remembered.number(&[next.clone(), late.clone()], 1, &now);
        assert_eq!(numbered.placed[1], None);
        assert_eq!(numbered.groups, std::slice::from_ref(&next));
        remembered.add_groups(&record(now.index, numbered.groups), &now);
        let again = remembered.number(&[late, next], 2, &now);
        assert_eq!(again.groups, []);
        assert_eq!(again.placed[0], None);
        assert_eq!(again.placed[1].as_ref().map(Vec::len), Some(1));
    }

    /// The clock of the server that has appended a group may be minutes behind.
    #[test]
    fn a_group_is_remembered_whatever_the_clock_said_that_it_came_with() {
        let now = Clock::for_tests().read();
        let mut remembered = remembered();
        let taken = record(now.index - 3_600_000, vec![group(5, "a\n")]);
        remembered.add(&taken, &now);
        let again = remembered.number(&[group(5, "a\n")], 2, &now);
        assert_eq!(again.groups, []);
        assert_eq!(again.placed[0].as_ref().map(Vec::len), Some(1));
    }
}
