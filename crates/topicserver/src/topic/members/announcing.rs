//! How members learn of one another's coming and going.

use wire::{Event, Person, Presence, UserName};

use super::Members;
use crate::identity::Identity;
use crate::outbox::SharedOutbox;
use crate::outbox::batch::Batch;
use crate::topic::subscriber::Subscriber;

impl Members {
    /// Tells the extended members that a user has joined, unless there are more than `max`
    /// members: then each join would go to all of them. A user who is here with another
    /// connection, which replaces this one or is replaced by it, isn't announced again.
    ///
    /// A member with much in its outbox isn't told; it can ask.
    pub(crate) fn announce_coming(&mut self, topic: &str, of: &SharedOutbox, max: usize) {
        if self.count_everywhere() > max as u64 {
            return;
        }
        let Some(identity) = self.find(of).map(|known| known.identity.clone()) else {
            return;
        };
        let Some(user) = &identity.user else {
            return;
        };
        if self.people.count(user) > 1 || self.takes_over(of, &identity) {
            return;
        }
        let Some(person) = identity.person() else {
            return;
        };
        let number = self.announce_joined(topic, &person, Some(of));
        if let Some(subscriber) = self.find(of) {
            subscriber.presence.set_announced(number);
        }
        self.tell_came(&identity);
    }

    /// Tells all members but one that somebody has joined. Returns the number of the
    /// announcement.
    pub(super) fn announce_joined(
        &mut self,
        topic: &str,
        person: &Person<'_>,
        but: Option<&SharedOutbox>,
    ) -> u64 {
        let line = line(topic, person, Event::Joined);
        self.announcements += 1;
        for subscriber in &mut self.extended {
            let is_left_out = but.is_some_and(|but| subscriber.outbox.is(but));
            if is_left_out || subscriber.presence.is_hidden() {
                // The subscriber missed this join, or it is its own.
            } else if !subscriber.outbox.send_best_effort(&line) {
                subscriber.presence.miss(self.announcements);
            }
        }
        self.announcements
    }

    /// Tells the members that were told of a user's join that the user has left. If another
    /// connection of the same user is here, nothing is announced.
    pub(crate) fn announce_going(&mut self, topic: &str, gone: &Subscriber) {
        let (Some(number), Some(user)) = (gone.presence.announced(), &gone.identity.user) else {
            return;
        };
        if self.hand_announcement_over(user, number) {
            return;
        }
        self.tell_went(user);
        if let Some(person) = gone.identity.person()
            && !self.is_elsewhere(user, number)
        {
            self.announce_left(topic, &person, number);
        }
    }

    /// Has another connection of a user, if one is here, stand for the announced join.
    pub(super) fn hand_announcement_over(&mut self, user: &UserName, number: u64) -> bool {
        if self.people.count(user) == 0 {
            return false;
        }
        let mut others = self.extended.iter_mut();
        let other = others.find(|known| known.identity.user.as_ref() == Some(user));
        let Some(other) = other else {
            return false;
        };
        other.presence.set_announced(number);
        let identity = other.identity.clone();
        self.tell_came(&identity);
        true
    }

    /// Tells the members that were told of this join that the user has left.
    pub(super) fn announce_left(&mut self, topic: &str, person: &Person<'_>, number: u64) {
        let line = line(topic, person, Event::Left);
        for subscriber in &mut self.extended {
            if subscriber.presence.take(number) {
                // The member got the `joined`, so it gets the `left` too, even if its outbox is
                // full.
                subscriber.outbox.send_notice(&line);
            }
        }
    }

    /// The number of the announcement of a user who is here.
    pub(super) fn announcement_of(&self, user: &str) -> Option<u64> {
        let has_name =
            |identity: &Identity| identity.user.as_ref().is_some_and(|u| u.as_str() == user);
        let mut all = self.extended.iter();
        all.find(|known| has_name(&known.identity))?
            .presence
            .announced()
    }
}

/// The event that a user has joined or left.
fn line<'a>(
    topic: &'a str,
    person: &'a Person<'_>,
    event: impl FnOnce(Presence<'a>) -> Event<'a>,
) -> Batch {
    let person = Person {
        user: person.user.as_ref().into(),
        ip: person.ip.as_ref().into(),
        port: person.port.as_ref().into(),
    };
    let topic = topic.into();
    let line = event(Presence { topic, person }).to_line();
    Batch::owned(line.into(), 1)
}
