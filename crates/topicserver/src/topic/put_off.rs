//! Commands of a topic in a cluster that wait: until what was published here before them is
//! answered, until the topic is followed, and until this server has read as far as the log reached
//! when they came. So a connection's commands keep their order, and who joins finds every message
//! that was acknowledged before, by whichever server.
//!
//! Each has a deadline, which begins when it comes. Those that wait for the same share one try.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::topic::handle::{Command, Registration};
use crate::topic::looked::Looked;

/// The commands that wait, in their order.
#[derive(Default)]
pub(crate) struct PutOff {
    queue: VecDeque<Waiting>,
    /// The log's leader was asked, and hasn't answered yet.
    is_asking: bool,
}

struct Waiting {
    command: Command,
    /// How many publications were before it. They have deadlines, so it waits for them in any case.
    published: u64,
    head: Head,
    place: Place,
    /// The leader must show that it leads.
    needs_leader: bool,
    /// It waits no longer for the log than until then.
    until: Instant,
}

/// Whether the topic must be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    NotNeeded,
    Needed,
    /// The log refuses that.
    Refused,
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
    /// That the topic is followed.
    pub(crate) place: bool,
    /// The first message since a time.
    pub(crate) since: bool,
}

/// What the log is asked beside how far it reaches.
#[derive(Debug, Default)]
pub(crate) struct Question {
    /// The times since when registrations want messages.
    pub(crate) since: Vec<u64>,
    /// A registration wants to know what is left of older messages.
    pub(crate) has_registration: bool,
    /// Whether whoever answers leads the log.
    pub(crate) is_led: bool,
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
        Some(Self {
            order,
            head,
            place: is_refused_without(command),
            since: since(command).is_some(),
        })
    }
}

/// Whether a command can't be carried out without the log. Who goes goes in any case.
fn is_refused_without(command: &Command) -> bool {
    matches!(
        command,
        Command::Register(_) | Command::Join(_) | Command::Range(_)
    )
}

/// The time since when a command wants messages.
fn since(command: &Command) -> Option<u64> {
    match command {
        Command::Register(registration) => registration.start.since(),
        _ => None,
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

    /// Whether a command waits until the topic is followed.
    pub(crate) fn needs_place(&self) -> bool {
        let mut places = self.queue.iter().map(|waiting| waiting.place);
        places.any(|place| place == Place::Needed)
    }

    /// The topic can't be followed, and trying again is of no use.
    pub(crate) fn refuse_place(&mut self) {
        for waiting in &mut self.queue {
            if waiting.place == Place::Needed {
                waiting.place = Place::Refused;
            }
        }
    }

    /// Adds a command that came after so many publications, and waits for the log until then.
    pub(crate) fn add(&mut self, command: Command, published: u64, needs: Needs, until: Instant) {
        self.queue.push_back(Waiting {
            command,
            published,
            head: match needs.head {
                true => Head::NotAsked,
                false => Head::NotNeeded,
            },
            place: match needs.place {
                true => Place::Needed,
                false => Place::NotNeeded,
            },
            needs_leader: false,
            until,
        });
    }

    /// Has a registration whose turn it was wait once more, until the leader shows that it leads.
    pub(crate) fn add_first(&mut self, registration: Registration, until: Instant) {
        self.queue.push_front(Waiting {
            command: Command::Register(Box::new(registration)),
            published: 0,
            head: Head::NotAsked,
            place: Place::NotNeeded,
            needs_leader: true,
            until,
        });
    }

    /// Until when the first one waits for the log.
    pub(crate) fn first_deadline(&self) -> Option<Instant> {
        let first = self.queue.front().map(|waiting| waiting.until);
        // After that it only waits for what was published before.
        first.filter(|until| *until > Instant::now())
    }

    /// What the log is to be asked now, beside how far it reaches; `None` if nothing.
    #[must_use]
    pub(crate) fn asks(&mut self) -> Option<Question> {
        if self.is_asking {
            return None;
        }
        let mut question = Question::default();
        let is_new = |waiting: &&mut Waiting| waiting.head == Head::NotAsked;
        for waiting in self.queue.iter_mut().filter(is_new) {
            waiting.head = Head::Asked;
            self.is_asking = true;
            question.has_registration |= matches!(waiting.command, Command::Register(_));
            question.is_led |= waiting.needs_leader;
            if let Some(time) = since(&waiting.command)
                && !question.since.contains(&time)
            {
                question.since.push(time);
            }
        }
        self.is_asking.then_some(question)
    }

    /// The log has answered, or not.
    pub(crate) fn answered(&mut self, looked: &Looked) {
        self.is_asking = false;
        let is_asked = |waiting: &&mut Waiting| waiting.head == Head::Asked;
        for waiting in self.queue.iter_mut().filter(is_asked) {
            waiting.head = waiting.tell(looked);
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
    /// `next` is the number after the last message that was read; `None` if the topic isn't
    /// followed.
    pub(crate) fn next(&mut self, answered: u64, next: Option<u64>) -> Option<Due> {
        let now = Instant::now();
        let is_due = |waiting: &mut Waiting| {
            let is_over = waiting.is_away() || waiting.until <= now;
            waiting.published <= answered && (is_over || waiting.has_all(next))
        };
        let waiting = self.queue.pop_front_if(is_due)?;
        Some(
            match !waiting.has_all(next) && is_refused_without(&waiting.command) {
                true => Due::Refused(waiting.command),
                false => Due::Now(waiting.command),
            },
        )
    }
}

impl Waiting {
    /// What it knows now that it has asked.
    fn tell(&mut self, looked: &Looked) -> Head {
        let Some(newest) = looked.newest() else {
            return Head::Away;
        };
        if let Command::Register(registration) = &mut self.command {
            if self.needs_leader && !looked.is_confirmed() {
                return Head::Away;
            }
            if self.needs_leader {
                registration.start.set_checked();
            }
            if let Some(time) = registration.start.since() {
                let Some(first) = looked.first_since(time) else {
                    return Head::Away;
                };
                registration.start.set_found(first);
            }
        }
        Head::Known(newest)
    }

    /// Whether there is everything that it needs of the log.
    fn has_all(&self, next: Option<u64>) -> bool {
        let is_read = match self.head {
            Head::NotNeeded => true,
            Head::Known(newest) => next.is_none_or(|next| newest < next),
            Head::NotAsked | Head::Asked | Head::Away => false,
        };
        let is_followed = match self.place {
            Place::NotNeeded => true,
            Place::Needed | Place::Refused => next.is_some(),
        };
        is_read && is_followed
    }

    fn is_away(&self) -> bool {
        self.head == Head::Away || self.place == Place::Refused
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;
    use crate::identity::Identity;
    use crate::outbox::tests::endless_outbox;
    use crate::topic::presence::People;
    use crate::topic::registration::{RegistrationReply, StartPosition};

    const HEAD: Needs = Needs {
        order: true,
        head: true,
        place: false,
        since: false,
    };
    const ORDER: Needs = Needs {
        head: false,
        ..HEAD
    };

    fn registration() -> Registration {
        let outbox = endless_outbox();
        Registration {
            outbox: outbox.clone(),
            identity: Arc::new(Identity::of_publisher(1, None, None).unwrap()),
            start: StartPosition::default(),
            people: People::Hidden,
            answer: RegistrationReply::new(outbox, None, None, std::iter::empty()),
        }
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    fn known(newest: u64) -> Looked {
        Looked::new(Some(newest))
    }

    fn barrier() -> Command {
        Command::Barrier(oneshot::channel().0)
    }

    fn join() -> Command {
        Command::Join(endless_outbox())
    }

    #[test]
    fn a_command_waits_for_what_was_published_before_it() {
        let mut all = PutOff::default();
        all.add(barrier(), 3, ORDER, later());
        all.add(barrier(), 5, ORDER, later());
        assert!(all.next(2, Some(9)).is_none());
        assert!(matches!(all.next(3, Some(9)), Some(Due::Now(_))));
        assert!(all.next(4, Some(9)).is_none());
        assert!(matches!(all.next(5, Some(9)), Some(Due::Now(_))));
        assert!(all.is_empty());
    }

    #[test]
    fn who_joins_waits_until_this_server_has_read_what_the_log_had() {
        let mut all = PutOff::default();
        all.add(join(), 0, HEAD, later());
        assert!(all.asks().is_some());
        all.add(join(), 0, HEAD, later());
        assert!(all.asks().is_none(), "one question at a time");
        assert!(all.next(0, Some(9)).is_none(), "there is no answer yet");
        all.answered(&known(9));
        assert!(
            all.next(0, Some(9)).is_none(),
            "the message 9 isn't read yet"
        );
        assert!(matches!(all.next(0, Some(10)), Some(Due::Now(_))));
        assert!(
            all.next(0, Some(10)).is_none(),
            "the second came after the question"
        );
        assert!(all.asks().is_some() && all.has_join());
        all.answered(&Looked::new(None));
        assert!(matches!(all.next(0, Some(10)), Some(Due::Refused(_))));
    }

    #[test]
    fn who_has_more_than_this_server_waits_until_the_leader_shows_that_it_leads() {
        let mut all = PutOff::default();
        let resume = |all: &mut PutOff| {
            all.add_first(registration(), later());
            let question = all.asks().unwrap();
            assert!(question.is_led);
        };
        resume(&mut all);
        all.answered(&known(9));
        assert!(matches!(all.next(0, Some(10)), Some(Due::Refused(_))));
        resume(&mut all);
        all.answered(&known(9).confirmed(true));
        assert!(all.next(0, Some(9)).is_none());
        assert!(matches!(all.next(0, Some(10)), Some(Due::Now(_))));
    }

    #[test]
    fn numbers_of_before_a_loss_hold_nobody_up() {
        let mut all = PutOff::default();
        all.add(join(), 0, HEAD, later());
        assert!(all.asks().is_some());
        all.answered(&known(900));
        all.begin_anew();
        assert!(matches!(all.next(0, Some(1)), Some(Due::Now(_))));
    }
}
