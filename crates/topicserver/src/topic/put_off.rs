//! Commands of a topic in a cluster that wait: until what was published here before them is
//! answered, and until this server has read as far as the log reached when they came. So a
//! connection's commands keep their order, and who joins finds every message that was
//! acknowledged before, by whichever server.

use std::collections::VecDeque;

use crate::topic::handle::Command;

/// The commands that wait, in their order.
#[derive(Default)]
pub(crate) struct PutOff {
    queue: VecDeque<Waiting>,
    /// The log's leader was asked, and hasn't answered yet.
    is_asking: bool,
}

struct Waiting {
    command: Command,
    /// How many publications were before it.
    published: u64,
    head: Head,
}

/// How far the log reached when a command came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    /// That doesn't matter.
    NotNeeded,
    NotAsked,
    Asked,
    /// Up to this message.
    Known(u64),
    /// The log doesn't answer.
    Away,
}

/// What a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Its place after what the connection has published.
    pub(crate) order: bool,
    /// All that the log had.
    pub(crate) head: bool,
}

/// A command that waits no longer.
pub(crate) enum Due {
    Now(Command),
    /// The log can't be used, so it is refused.
    Refused(Command),
}

impl Needs {
    /// What a command needs; `None` if it is carried out at once, whatever waits.
    pub(crate) fn of(command: &Command) -> Option<Self> {
        let (order, head) = match command {
            // What was acknowledged before is not missed by who comes, nor by who goes.
            Command::Register(_) | Command::Finish(..) | Command::Leave(_, Some(_)) => (true, true),
            Command::Join(_) => (false, true),
            Command::Who(..) | Command::Range(_) | Command::Barrier(_) => (true, false),
            Command::Leave(_, None) | Command::Remove(_) | Command::HidePeople(_) => (false, false),
            _ => return None,
        };
        Some(Self { order, head })
    }
}

impl PutOff {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a classic connection waits to join.
    pub(crate) fn has_join(&self) -> bool {
        let is_join = |waiting: &Waiting| matches!(waiting.command, Command::Join(_));
        self.queue.iter().any(is_join)
    }

    /// Adds a command that came after so many publications.
    pub(crate) fn add(&mut self, command: Command, published: u64, needs_head: bool) {
        let head = match needs_head {
            true => Head::NotAsked,
            false => Head::NotNeeded,
        };
        self.queue.push_back(Waiting {
            command,
            published,
            head,
        });
    }

    /// Whether the log's leader is to be asked now how far the log reaches.
    #[must_use]
    pub(crate) fn asks(&mut self) -> bool {
        if self.is_asking {
            return false;
        }
        let is_new = |waiting: &&mut Waiting| waiting.head == Head::NotAsked;
        for waiting in self.queue.iter_mut().filter(is_new) {
            waiting.head = Head::Asked;
            self.is_asking = true;
        }
        self.is_asking
    }

    /// The leader has answered: with the newest message's number, or not at all.
    pub(crate) fn answered(&mut self, newest: Option<u64>) {
        self.is_asking = false;
        let is_asked = |waiting: &&mut Waiting| waiting.head == Head::Asked;
        for waiting in self.queue.iter_mut().filter(is_asked) {
            waiting.head = newest.map_or(Head::Away, Head::Known);
        }
    }

    /// The topic's numbers have begun anew: those of before say nothing any more.
    pub(crate) fn begin_anew(&mut self) {
        for waiting in &mut self.queue {
            if let Head::Known(newest) = &mut waiting.head {
                *newest = 0;
            }
        }
    }

    /// The next command, if it needn't wait any longer: so many publications are answered, and
    /// `next` is the number after the last message that was read.
    pub(crate) fn next(&mut self, answered: u64, next: u64) -> Option<Due> {
        let is_due = |waiting: &mut Waiting| {
            let is_read = match waiting.head {
                Head::NotNeeded | Head::Away => true,
                Head::Known(newest) => newest < next,
                Head::NotAsked | Head::Asked => false,
            };
            is_read && waiting.published <= answered
        };
        let waiting = self.queue.pop_front_if(is_due)?;
        Some(match waiting.head {
            Head::Away => Due::Refused(waiting.command),
            _ => Due::Now(waiting.command),
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::outbox::tests::endless_outbox;

    fn barrier() -> Command {
        Command::Barrier(oneshot::channel().0)
    }

    fn join() -> Command {
        Command::Join(endless_outbox())
    }

    #[test]
    fn a_command_waits_for_what_was_published_before_it() {
        let mut all = PutOff::default();
        all.add(barrier(), 3, false);
        all.add(barrier(), 5, false);
        assert!(all.next(2, 9).is_none());
        assert!(matches!(all.next(3, 9), Some(Due::Now(_))));
        assert!(all.next(4, 9).is_none());
        assert!(matches!(all.next(5, 9), Some(Due::Now(_))));
        assert!(all.is_empty());
    }

    #[test]
    fn who_joins_waits_until_this_server_has_read_what_the_log_had() {
        let mut all = PutOff::default();
        all.add(join(), 0, true);
        assert!(all.asks());
        all.add(join(), 0, true);
        assert!(!all.asks(), "one question at a time");
        assert!(all.next(0, 9).is_none(), "there is no answer yet");
        all.answered(Some(9));
        assert!(all.next(0, 9).is_none(), "the message 9 isn't read yet");
        assert!(matches!(all.next(0, 10), Some(Due::Now(_))));
        assert!(
            all.next(0, 10).is_none(),
            "the second came after the question"
        );
        assert!(all.asks() && all.has_join());
        all.answered(None);
        assert!(matches!(all.next(0, 10), Some(Due::Refused(_))));
    }

    #[test]
    fn numbers_of_before_a_loss_hold_nobody_up() {
        let mut all = PutOff::default();
        all.add(join(), 0, true);
        assert!(all.asks());
        all.answered(Some(900));
        all.begin_anew();
        assert!(matches!(all.next(0, 1), Some(Due::Now(_))));
    }
}
