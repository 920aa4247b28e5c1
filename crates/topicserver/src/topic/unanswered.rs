//! What was published to a topic in a cluster and isn't answered yet.
//!
//! Each publication has one deadline, which begins when it comes, whatever it waits for: those
//! before it, the topic's owner, the log, or until this server has read it. Then its publisher is
//! told that nothing is known of it, or, if it is in the log, that it is.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::forward::{Placed, Placement};
use crate::cluster::record::{Message, size_of};
use crate::cluster::sender::NotKnown;
use crate::cluster::sequencer::RECORD_BYTES;
use crate::outbox::SharedOutbox;
use crate::store::StoreError;
use crate::topic::acks::{Acknowledgement, acknowledge, refuse};
use crate::topic::publication::{Publication, Reply};

/// How long this server has to read what is in the log before its publisher is told so, however
/// little is left of the deadline: the feed brings it within milliseconds, and if it doesn't, the
/// log is asked.
const READ_GRACE: Duration = Duration::from_secs(2);

/// How far this server has read a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadTo {
    pub(crate) epoch: u64,
    pub(crate) next: u64,
}

/// Publications that aren't answered, in their order. They have numbers: the first one that the
/// topic had is 0.
#[derive(Default)]
pub(crate) struct Unanswered {
    queue: VecDeque<Waiting>,
    /// How many were answered: the number of the first one in the queue.
    answered: u64,
    /// The number of the first one that isn't handed over.
    next: u64,
    /// The bytes of those that aren't.
    bytes: usize,
}

struct Waiting {
    publication: Publication,
    until: Instant,
    outcome: Outcome,
}

/// What became of a publication.
enum Outcome {
    Open,
    /// It is in the log, in the row of numbers `epoch`.
    Placed {
        epoch: u64,
        placed: Placed,
    },
    NotKnown,
}

/// Publications that are handed over together.
pub(crate) struct HandOver {
    /// The number of the first one.
    first: u64,
    pub(crate) messages: Vec<Message>,
    /// The deadline of the last one.
    pub(crate) until: Instant,
}

/// Publications that were handed over, and what became of them.
pub(crate) struct HandedOver {
    pub(crate) first: u64,
    pub(crate) count: usize,
    pub(crate) placed: Result<Placement, NotKnown>,
}

impl HandOver {
    /// What is said of them when it is known what became of them.
    pub(crate) fn ends(&self) -> impl FnOnce(Result<Placement, NotKnown>) -> HandedOver + use<> {
        let (first, count) = (self.first, self.messages.len());
        move |placed| HandedOver {
            first,
            count,
            placed,
        }
    }
}

impl Unanswered {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many publications there were.
    pub(crate) fn published(&self) -> u64 {
        self.answered + self.queue.len() as u64
    }

    /// How many of them are answered.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// The bytes of those that aren't handed over.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the first one is to be answered, whatever is known of it then.
    pub(crate) fn first_deadline(&self) -> Option<Instant> {
        self.queue.front().map(|first| first.until)
    }

    /// Whether this server must read something before the first one is answered.
    pub(crate) fn is_unread(&self) -> bool {
        let first = self.queue.front();
        first.is_some_and(|first| matches!(first.outcome, Outcome::Placed { .. }))
    }

    /// Adds publications that are to be answered by then.
    pub(crate) fn add(&mut self, publications: &mut Vec<Publication>, until: Instant) {
        self.bytes += publications.iter().map(Publication::cost).sum::<usize>();
        let waiting = |publication| Waiting {
            publication,
            until,
            outcome: Outcome::Open,
        };
        self.queue.extend(publications.drain(..).map(waiting));
    }

    /// What is handed over next, as much as one record takes; `None` if there is nothing.
    pub(crate) fn hand_over(
        &mut self,
        mut message: impl FnMut(&Publication) -> Message,
    ) -> Option<HandOver> {
        let is_open = |waiting: &&Waiting| matches!(waiting.outcome, Outcome::Open);
        let given_up = self.rest().take_while(|one| !is_open(one)).count();
        self.next += given_up as u64;
        let (mut messages, mut bytes, mut cost, mut until) = (Vec::new(), 0, 0, None);
        for waiting in self.rest().take_while(is_open) {
            bytes += size(&waiting.publication);
            if bytes > RECORD_BYTES && !messages.is_empty() {
                break;
            }
            cost += waiting.publication.cost();
            messages.push(message(&waiting.publication));
            until = Some(waiting.until);
        }
        let hand_over = HandOver {
            first: self.next,
            until: until?,
            messages,
        };
        self.bytes -= cost;
        self.next += hand_over.messages.len() as u64;
        Some(hand_over)
    }

    /// It is known what became of publications, or that nothing can be known.
    pub(crate) fn has_handed_over(&mut self, handed_over: HandedOver) {
        let HandedOver {
            first,
            count,
            placed,
        } = handed_over;
        let numbers = first..first + count as u64;
        match placed {
            Ok(Placement { epoch, placed }) => {
                let until = Instant::now() + READ_GRACE;
                for (number, placed) in numbers.zip(placed) {
                    if let Some(waiting) = self.get_mut(number)
                        && matches!(waiting.outcome, Outcome::Open)
                    {
                        waiting.outcome = Outcome::Placed { epoch, placed };
                        waiting.until = waiting.until.max(until);
                    }
                }
            }
            Err(NotKnown) => self.give_up(numbers.end),
        }
    }

    /// Answers the publishers whose messages were read, or all that are in the log if the topic
    /// isn't followed, and those for which it is too late. `left`: the row of numbers that the
    /// topic had before.
    pub(crate) fn answer(&mut self, topic: &str, read: Option<ReadTo>, left: Option<u64>) {
        let now = Instant::now();
        let late = self.queue.iter().take_while(|one| one.until <= now).count();
        if late > 0 {
            self.give_up(self.answered + late as u64);
        }
        let mut answers = Answers::default();
        while let Some(waiting) = self.queue.pop_front_if(|one| one.is_due(read, left, now)) {
            self.answered += 1;
            answers.add(topic, waiting);
        }
        answers.send(topic);
        self.next = self.next.max(self.answered);
    }

    /// Nothing is known of what is open before this number, and so of what its publishers have
    /// sent after that, as far as it isn't handed over: the publishers send all of it again, in
    /// its order.
    fn give_up(&mut self, end: u64) {
        let known = usize::try_from(end.saturating_sub(self.answered)).unwrap_or(usize::MAX);
        let handed_over = usize::try_from(self.next.saturating_sub(self.answered));
        let handed_over = handed_over.unwrap_or(usize::MAX);
        let mut origins = HashSet::new();
        for (place, waiting) in self.queue.iter_mut().enumerate() {
            if !matches!(waiting.outcome, Outcome::Open) {
                continue;
            }
            let origin = waiting.publication.origin.as_ref().map(address);
            if place < known {
                origins.extend(origin);
            } else if place < handed_over || !origin.is_some_and(|one| origins.contains(&one)) {
                continue;
            }
            waiting.outcome = Outcome::NotKnown;
            if place >= handed_over {
                self.bytes -= waiting.publication.cost();
            }
        }
    }

    /// Those that aren't handed over.
    fn rest(&self) -> impl Iterator<Item = &Waiting> {
        let handed_over = usize::try_from(self.next.saturating_sub(self.answered));
        self.queue.iter().skip(handed_over.unwrap_or(usize::MAX))
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut Waiting> {
        let place = number.checked_sub(self.answered)?;
        self.queue.get_mut(usize::try_from(place).ok()?)
    }
}

impl Waiting {
    fn is_due(&self, read: Option<ReadTo>, left: Option<u64>, now: Instant) -> bool {
        match (&self.outcome, read) {
            (Outcome::Open, _) => false,
            (Outcome::NotKnown, _) | (Outcome::Placed { .. }, None) => true,
            (Outcome::Placed { epoch, placed }, Some(read)) => {
                let end = placed.stored.seq + u64::from(self.publication.batch.count());
                let is_read = *epoch == read.epoch && end <= read.next;
                is_read || Some(*epoch) == left || now >= self.until
            }
        }
    }
}

/// Answers that are sent together, in the order of the publications.
#[derive(Default)]
struct Answers {
    placed: Vec<Acknowledgement>,
    refused: Vec<Acknowledgement>,
    publications: Vec<Publication>,
}

impl Answers {
    fn add(&mut self, topic: &str, waiting: Waiting) {
        let mut publication = waiting.publication;
        let reply = std::mem::take(&mut publication.reply);
        let has_reply = !matches!(reply, Reply::None);
        let answer = |placed: Placed, origin| Acknowledgement {
            origin,
            reply,
            stored: placed.stored,
            has_other_text: placed.has_other_text,
        };
        let origin = publication.origin.clone();
        if let Outcome::Placed { placed, .. } = waiting.outcome {
            if !self.publications.is_empty() {
                self.send(topic);
            }
            self.placed
                .extend(has_reply.then(|| answer(placed, origin)));
        } else {
            if !self.placed.is_empty() {
                self.send(topic);
            }
            let unknown = Placed::new(0, 0);
            self.refused
                .extend(has_reply.then(|| answer(unknown, origin)));
            self.publications.push(publication);
        }
    }

    fn send(&mut self, topic: &str) {
        let Self {
            placed,
            refused,
            publications,
        } = std::mem::take(self);
        if !placed.is_empty() {
            acknowledge(topic, placed);
        }
        if !publications.is_empty() {
            refuse(&publications, refused, &StoreError::NoQuorum);
        }
    }
}

fn address(outbox: &SharedOutbox) -> usize {
    Arc::as_ptr(outbox).cast::<()>().addr()
}

/// Roughly how many bytes a publication takes in a record.
fn size(publication: &Publication) -> usize {
    let identity = publication.identity.as_deref();
    let user = identity.and_then(|identity| identity.user.as_ref());
    let account = identity.and_then(|identity| identity.account.as_ref());
    size_of(user, account, publication.batch.bytes())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::oneshot;
    use wire::ErrorCode;

    use super::*;
    use crate::cluster::record::tests::message;
    use crate::outbox::batch::Batch;
    use crate::outbox::tests::endless_outbox;
    use crate::topic::publication::{Receipt, Unstored};

    const PATIENCE: Duration = Duration::from_secs(10);

    type Answer = oneshot::Receiver<Result<crate::history::entry::Stored, Unstored>>;

    fn publication(origin: &SharedOutbox) -> (Publication, Answer) {
        let (to, answer) = oneshot::channel();
        let publication = Publication {
            origin: Some(origin.clone()),
            identity: None,
            batch: Batch::owned(Bytes::from_static(b"{}\n"), 1),
            reply: Reply::Receipt(Box::new(Receipt { id: None, to })),
        };
        (publication, answer)
    }

    fn add(all: &mut Unanswered, origin: &SharedOutbox) -> Answer {
        let (publication, answer) = publication(origin);
        all.add(&mut vec![publication], Instant::now() + PATIENCE);
        answer
    }

    fn is_refused(answer: &mut Answer) -> bool {
        let answer = answer.try_recv();
        answer.is_ok_and(|answer| answer.is_err_and(|one| one.code == ErrorCode::NoQuorum))
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_publisher_sent_after_a_refused_message_is_not_handed_over() {
        let (anna, ben) = (endless_outbox(), endless_outbox());
        let mut all = Unanswered::default();
        let mut first = add(&mut all, &anna);
        let handed_over = all.hand_over(|_| message("{}\n")).unwrap();
        assert_eq!(handed_over.messages.len(), 1);
        let mut second = add(&mut all, &anna);
        let mut other = add(&mut all, &ben);
        all.has_handed_over(handed_over.ends()(Err(NotKnown)));
        all.answer("T", None, None);
        assert!(is_refused(&mut first) && is_refused(&mut second));
        assert!(!is_refused(&mut other));
        let next = all.hand_over(|_| message("{}\n")).unwrap();
        assert_eq!((next.first, next.messages.len()), (2, 1));
        assert_eq!((all.answered(), all.published(), all.bytes()), (2, 3, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_refused_at_its_own_deadline_and_not_handed_over_later() {
        let mut all = Unanswered::default();
        let mut first = add(&mut all, &endless_outbox());
        let handed_over = all.hand_over(|_| message("{}\n")).unwrap();
        tokio::time::advance(PATIENCE / 2).await;
        let mut second = add(&mut all, &endless_outbox());
        tokio::time::advance(PATIENCE / 2).await;
        all.answer("T", None, None);
        assert!(is_refused(&mut first) && !is_refused(&mut second));
        tokio::time::advance(PATIENCE / 2).await;
        all.answer("T", None, None);
        assert!(is_refused(&mut second) && all.is_empty());
        // Its answer comes after all.
        let placed = Placement {
            epoch: 1,
            placed: vec![Placed::new(1, 1)],
        };
        all.has_handed_over(handed_over.ends()(Ok(placed)));
        assert!(all.hand_over(|_| message("{}\n")).is_none());
        assert_eq!((all.answered(), all.published(), all.bytes()), (2, 2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_the_log_at_the_last_moment_has_time_to_be_read() {
        let mut all = Unanswered::default();
        let mut answer = add(&mut all, &endless_outbox());
        let handed_over = all.hand_over(|_| message("{}\n")).unwrap();
        tokio::time::advance(PATIENCE - Duration::from_millis(1)).await;
        let placed = Placement {
            epoch: 1,
            placed: vec![Placed::new(1, 1)],
        };
        all.has_handed_over(handed_over.ends()(Ok(placed)));
        tokio::time::advance(READ_GRACE / 2).await;
        let unread = ReadTo { epoch: 1, next: 1 };
        all.answer("T", Some(unread), None);
        assert!(answer.try_recv().is_err() && all.is_unread());
        tokio::time::advance(READ_GRACE / 2).await;
        all.answer("T", Some(unread), None);
        assert!(matches!(answer.try_recv(), Ok(Ok(_))));
    }
}
