//! Answers to what was asked: which of them belongs to which question.
//!
//! async-nats has this too, but never forgets a question that had no answer; and while NATS has no
//! leader, there are thousands of these an hour.

use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::Message;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

/// The questions that wait for an answer.
#[derive(Debug)]
pub(super) struct Inbox {
    /// What the subjects of answers begin with.
    prefix: String,
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
}

#[derive(Debug)]
enum Waiting {
    One(oneshot::Sender<Message>),
    Many(mpsc::Sender<Message>),
}

/// A question that waits. Dropping it forgets the question.
#[derive(Debug)]
pub(super) struct Question<'a, T> {
    inbox: &'a Inbox,
    number: u64,
    /// Brings the answers; ends without one if the connection is lost.
    pub(super) answers: T,
}

impl Inbox {
    /// An inbox for the answers whose subjects begin with `prefix`.
    pub(super) fn new(prefix: String) -> Self {
        Self {
            prefix: prefix + ".",
            next: AtomicU64::new(0),
            waiting: Mutex::default(),
        }
    }

    /// The subject of all answers.
    pub(super) fn all(&self) -> String {
        format!("{}*", self.prefix)
    }

    /// A question that has one answer.
    pub(super) fn one(&self) -> Question<'_, oneshot::Receiver<Message>> {
        let (sender, answers) = oneshot::channel();
        self.add(Waiting::One(sender), answers)
    }

    /// A question that has at most this many answers.
    pub(super) fn many(&self, most: usize) -> Question<'_, mpsc::Receiver<Message>> {
        let (sender, answers) = mpsc::channel(most);
        self.add(Waiting::Many(sender), answers)
    }

    fn add<T>(&self, waiting: Waiting, answers: T) -> Question<'_, T> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().insert(number, waiting);
        Question {
            inbox: self,
            number,
            answers,
        }
    }

    /// Brings an answer to its question. Answers that come too late go nowhere.
    pub(super) fn answer(&self, message: Message) {
        let number = message.subject.strip_prefix(&self.prefix);
        let Some(number) = number.and_then(|number| number.parse().ok()) else {
            return;
        };
        let mut waiting = self.waiting.lock();
        match waiting.get(&number) {
            // More than it asked for is dropped. It sees that something is missing.
            Some(Waiting::Many(sender)) => drop(sender.try_send(message)),
            Some(Waiting::One(_)) => {
                if let Some(Waiting::One(sender)) = waiting.remove(&number) {
                    drop(sender.send(message));
                }
            }
            None => {}
        }
    }

    /// No question that waits now has an answer any more.
    pub(super) fn give_up(&self) {
        self.waiting.lock().clear();
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }
}

impl<T> Question<'_, T> {
    /// Where answers go.
    pub(super) fn reply_to(&self) -> String {
        format!("{}{}", self.inbox.prefix, self.number)
    }
}

impl<T> Drop for Question<'_, T> {
    fn drop(&mut self) {
        self.inbox.waiting.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(subject: &str) -> Message {
        Message {
            subject: subject.into(),
            reply: None,
            payload: subject.to_owned().into(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        }
    }

    #[tokio::test]
    async fn each_answer_goes_to_its_question() {
        let inbox = Inbox::new("inbox.x".to_owned());
        assert_eq!(inbox.all(), "inbox.x.*");
        let (mut one, mut many, other) = (inbox.one(), inbox.many(2), inbox.one());
        for _ in 0..3 {
            inbox.answer(message(&many.reply_to()));
        }
        inbox.answer(message(&one.reply_to()));
        for wrong in ["inbox.x.", "inbox.x.9", "inbox.y.0", "x"] {
            inbox.answer(message(wrong));
        }
        assert_eq!(
            (&mut one.answers).await.unwrap().subject.as_str(),
            "inbox.x.0"
        );
        assert_eq!(
            many.answers.recv().await.unwrap().subject.as_str(),
            "inbox.x.1"
        );
        assert_eq!(
            many.answers.recv().await.unwrap().subject.as_str(),
            "inbox.x.1"
        );
        drop(many);
        drop(one);
        assert_eq!(inbox.waiting(), 1);
        drop(other);
        assert_eq!(inbox.waiting(), 0);
    }

    #[tokio::test]
    async fn questions_end_when_the_connection_is_lost() {
        let inbox = Inbox::new("inbox".to_owned());
        let (mut one, mut many) = (inbox.one(), inbox.many(1));
        inbox.give_up();
        assert!((&mut one.answers).await.is_err());
        assert!(many.answers.recv().await.is_none());
    }
}
