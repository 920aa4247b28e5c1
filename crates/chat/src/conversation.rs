//! The only loop: keyboard × connection × screen.
//!
//! Reading and writing go on at the same time, and each direction waits only for
//! itself: two clients that send each other megabytes don't lock each other, and
//! a blocked standard output stops neither sending nor an interrupt. Knows no
//! terminal, no address and no mode; says nothing itself, but how it ended.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
mod talk;

use talk::Talk;

use crate::calls::Calls;
use crate::failure::Failure;
use crate::input::Input;
use crate::left::Left;
use crate::link::{Link, LinkError, Said};
use crate::notice::Notices;
use crate::order::Order;
use crate::screen::{Closed, Screen};
use crate::session::{Halt, Mail, Session};

/// What outlives any single connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) input: Input,
    pub(crate) screen: Screen,
    pub(crate) notices: Notices,
    pub(crate) rules: Rules,
    /// The line for direct calls beside a topic.
    pub(crate) calls: Option<Calls>,
    /// With a topic server that is asked for more than the specification has.
    pub(crate) session: Option<Session>,
}

/// When a conversation ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Not with the end of the input.
    pub(crate) stay: bool,
    /// So long after everything was sent, if the other side doesn't close.
    pub(crate) drain_timeout: Duration,
    /// A direct peer that has finished may still be listening, as we are when
    /// our input has ended: it is sent what comes without a longer pause. None
    /// for an input that ends by itself.
    pub(crate) pause: Option<Duration>,
}

/// What the other side is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A direct peer that called us.
    Caller,
    /// A direct peer that we called.
    Called,
    /// A topic server.
    Server,
}

/// How the conversation over one connection ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Everything was sent, and the other side has closed.
    Done,
    /// Everything was sent, and the other side kept the connection open.
    KeptOpen,
    /// The other side closed, and our input goes on.
    Left,
    /// The connection is lost.
    Lost(LinkError),
    /// Whom we called talks to somebody else.
    Busy,
    /// The connection ends for a reason for which it isn't made again.
    Failed(Failure),
    /// Nobody reads standard output any more.
    ScreenClosed,
}

/// What happened while there was no connection.
#[derive(Debug)]
pub(crate) enum Meanwhile<T> {
    /// What was waited for.
    Happened(T),
    /// The input has ended, and nothing of it is left to send.
    NothingLeft,
    /// The input has ended, and the time is over for what is left of it.
    Failed(Failure),
    /// Nobody reads standard output any more.
    ScreenClosed,
}

impl Conversation {
    /// Everything was sent that there ever will be to send, and acknowledged where
    /// that can be expected.
    pub(crate) fn is_finished(&self) -> bool {
        let is_settled = self.session.as_ref().is_none_or(Session::is_settled);
        self.ends() && self.input.unsent() == 0 && is_settled
    }

    /// Nothing more will be typed, and that is the end.
    fn ends(&self) -> bool {
        !self.rules.stay && self.input.has_ended()
    }

    /// What is left of the input.
    pub(crate) fn left(&self) -> Left {
        match &self.session {
            Some(session) => session.left(&self.input),
            None => Left::unsent(&self.input),
        }
    }

    /// When a session has to look at the time.
    fn deadline(&mut self) -> Option<Instant> {
        let ends = self.ends();
        let session = self.session.as_mut()?;
        if ends {
            session.watch(&self.input);
        }
        session.deadline()
    }

    fn look_at_the_time(&mut self) -> Result<(), Halt> {
        match &mut self.session {
            Some(session) => session.look_at_the_time(&self.input),
            None => Ok(()),
        }
    }

    /// Shows a message, and hears what a server says beside.
    fn take_in(&mut self, said: &Said<'_>) -> Result<(), Halt> {
        let mail = match (said, &mut self.session) {
            (Said::Message(letter), Some(session)) => session.read(letter)?,
            (Said::Message(_), None) => Some(Mail::live(wire::Envelope::default())),
            (Said::Event(_), None) => None,
            (Said::Event(event), Some(session)) => {
                if let Some(line) = session.hear(event, &mut self.input)? {
                    self.screen.show_own(&line);
                }
                None
            }
        };
        if let (Said::Message(letter), Some(mail)) = (said, mail) {
            let (topic, text) = (letter.message.topic.decode(), letter.message.text.decode());
            self.screen.show(&topic, &text, &mail);
        }
        Ok(())
    }

    /// Does what a person has asked for.
    fn obey(&mut self) {
        while let Some(order) = self.input.order() {
            match (order, &mut self.session) {
                (Order::Search(text), _) => self.screen.search(&text),
                (Order::Line(step), _) => {
                    if let Some(calls) = &self.calls {
                        calls.take(step);
                    }
                }
                (order, Some(session)) => session.obey(order),
                (_, None) => self
                    .notices
                    .warn("that can only be asked of a topic server, and without --classic"),
            }
        }
    }

    /// Shows what has been sent and may not have arrived.
    pub(crate) fn show_in_flight(&mut self) {
        if let Some(session) = &self.session {
            for line in session.in_flight() {
                self.screen.show_waiting(line);
            }
        }
    }

    /// Something was typed while nobody is there to be sent it: what is new since
    /// so many lines were unsent.
    fn keep(&mut self, unsent: usize) {
        let count = self.input.unsent() - unsent;
        for line in self.input.newest(count) {
            self.screen.show_waiting(line);
        }
        self.obey();
    }

    /// Waits for `event`, and takes what is typed meanwhile; says `kept` once if
    /// that is anything.
    ///
    /// With `ends`, doesn't wait on when the input has ended and is sent.
    pub(crate) async fn meanwhile<T>(
        &mut self,
        event: impl Future<Output = T>,
        ends: bool,
        mut kept: Option<&str>,
    ) -> Meanwhile<T> {
        let mut event = pin!(event);
        loop {
            if ends && self.is_finished() {
                return Meanwhile::NothingLeft;
            }
            if self.input.unsent() > 0
                && let Some(notice) = kept.take()
            {
                self.notices.say(notice);
            }
            let deadline = if ends { self.deadline() } else { None };
            let unsent = self.input.unsent();
            tokio::select! {
                happened = &mut event => return Meanwhile::Happened(happened),
                () = at(deadline) => match self.look_at_the_time() {
                    Ok(()) | Err(Halt::Lost(_)) => {}
                    Err(Halt::Failed(failure)) => return Meanwhile::Failed(failure),
                },
                () = self.input.receive(), if self.input.wants_more() => self.keep(unsent),
                shown = self.screen.hand_over() => if shown == Err(Closed) {
                    return Meanwhile::ScreenClosed;
                }
            }
        }
    }

    /// Talks over `link` until that ends. `beside` is what goes on meanwhile.
    pub(crate) async fn talk(
        &mut self,
        link: &mut Link,
        role: Role,
        beside: impl Future<Output = Infallible>,
    ) -> Ending {
        Talk::new(self, link, role).run(beside).await
    }
}

/// Waits until then, or for ever.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

impl From<Halt> for Ending {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Lost(cause) => Self::Lost(cause),
            Halt::Failed(failure) => Self::Failed(failure),
        }
    }
}
