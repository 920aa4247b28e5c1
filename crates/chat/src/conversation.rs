//! The loop of a direct conversation: keyboard × connection × screen.
//!
//! Reading and writing go on at the same time, and each direction waits only for
//! itself: two clients that send each other megabytes don't lock each other, and a
//! blocked standard output stops neither sending nor an interrupt. Knows no terminal and
//! no address. Reports nothing itself, except by how it ended.

mod talk;

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use client::Undelivered;
use client::link::{Link, LinkError};
use client::queue::Queue;

use talk::Talk;

use crate::input::keyboard::{Entry, Input};
use crate::output::item::{Connection, Item};
use crate::output::messages::Closed;
use crate::output::notice::Notices;
use crate::output::screen::Screen;
use crate::words;

/// The state that outlives any single connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) input: Input,
    /// The lines on their way. They aren't acknowledged.
    pub(crate) queue: Queue,
    pub(crate) screen: Screen,
    pub(crate) notices: Notices,
    pub(crate) rules: Rules,
}

/// When a conversation ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The conversation doesn't end with the input.
    pub(crate) stay: bool,
    /// How long after everything is sent it ends, if the other side doesn't close.
    pub(crate) drain_timeout: Duration,
    /// A peer that has finished sending may still be reading, as we do. It is sent what is typed
    /// until a pause is longer than this. `None` for an input that ends by itself.
    pub(crate) pause: Option<Duration>,
    /// Wait for a peer that isn't there yet.
    pub(crate) wait: bool,
}

/// Which side has called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A peer that called us.
    Caller,
    /// A peer that we called.
    Called,
}

/// How the conversation over one connection ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Everything was sent, and the other side has closed.
    Done,
    /// Everything was sent, and the other side kept the connection open.
    KeptOpen,
    /// The other side closed, and our input goes on.
    PeerLeft,
    /// The connection is lost.
    Lost(LinkError),
    /// The called peer is in another call.
    Busy,
    /// The reader of standard output has gone.
    ScreenClosed,
}

/// What the end of the input means while there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// Go on waiting for the connection.
    WaitOn,
    /// Stop waiting if everything is sent.
    Stop,
}

/// The result of a wait without a connection.
#[derive(Debug)]
pub(crate) enum Meanwhile<T> {
    /// The event has happened.
    Happened(T),
    /// The input has ended, and nothing of it is left to send.
    NothingLeft,
    /// The reader of standard output has gone.
    ScreenClosed,
}

impl Conversation {
    /// Whether everything is sent and nothing more will be typed.
    pub(crate) fn is_finished(&self) -> bool {
        let has_ended = !self.rules.stay && self.input.has_ended();
        (has_ended || self.screen.is_done()) && self.queue.is_empty()
    }

    /// The lines that were not sent.
    pub(crate) fn undelivered(&self) -> Undelivered {
        Undelivered::unsent(&self.queue)
    }

    /// Whether more input can be taken.
    fn wants_input(&self) -> bool {
        self.input.wants_more() && self.queue.has_room() && !self.screen.is_done()
    }

    /// Takes what was typed: lines go into the queue, actions are performed.
    fn take_input(&mut self) {
        while let Some(entry) = self.input.take() {
            match entry {
                // The keyboard isn't read while the queue is full.
                Entry::Line(line) => self.queue.push(line),
                Entry::Action(_) => self.notices.warn(words::NO_SERVER),
            }
        }
    }

    /// Waits for `event`, and takes what is typed meanwhile. Shows the notice `kept` once if
    /// something was typed.
    pub(crate) async fn meanwhile<T>(
        &mut self,
        event: impl Future<Output = T>,
        at_end: AtEnd,
        mut kept: Option<&str>,
    ) -> Meanwhile<T> {
        let mut event = pin!(event);
        self.screen.happened(|| {
            Item::Connection(match at_end {
                AtEnd::WaitOn => Connection::Connecting,
                AtEnd::Stop => Connection::Waiting,
            })
        });
        loop {
            if at_end == AtEnd::Stop && self.is_finished() {
                return Meanwhile::NothingLeft;
            }
            if self.queue.unsent() > 0
                && let Some(notice) = kept.take()
            {
                self.notices.say(notice);
            }
            let wants_input = self.wants_input();
            tokio::select! {
                happened = &mut event => return Meanwhile::Happened(happened),
                () = self.input.receive(), if wants_input => self.take_input(),
                shown = self.screen.hand_over() => if shown == Err(Closed) {
                    return Meanwhile::ScreenClosed;
                }
            }
        }
    }

    /// Talks over `link` until that ends. `beside` runs at the same time.
    pub(crate) async fn talk(
        &mut self,
        link: &mut Link,
        role: Role,
        beside: impl Future<Output = Infallible>,
    ) -> Ending {
        self.screen.happened(|| Item::Connection(Connection::Up));
        Talk::new(self, link, role).run(beside).await
    }
}
