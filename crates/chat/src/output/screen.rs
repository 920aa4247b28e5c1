//! The way to standard output, for a program that reads it or for a person.

use std::future::pending;
use std::io;
use std::time::Duration;

use client::{Incoming, Line};
use tokio::time::timeout;

use super::item::Item;
use super::messages::{Closed, Format, Messages, Writer};
use super::notice::NoticeReader;
use super::person::{PersonScreen, Shower};

/// The way to standard output.
#[derive(Debug)]
pub(crate) enum Screen {
    /// Messages alone, one a line.
    Messages(Messages),
    /// Everything that happens, for a person at a terminal.
    Person(PersonScreen),
}

impl Screen {
    /// A screen for messages, at most this many, and the writer's end of it.
    pub(crate) fn new(format: Format, most: Option<u64>) -> (Self, Writer) {
        let (messages, writer) = Messages::new(format, most);
        (Self::Messages(messages), writer)
    }

    /// A screen for a person, who sees notices among the messages; and the other end.
    pub(crate) fn for_person(notices: NoticeReader) -> (Self, Shower) {
        let (screen, shower) = PersonScreen::new(notices);
        (Self::Person(screen), shower)
    }

    /// Shows one message, with what the server has added to it.
    pub(crate) fn show(&mut self, incoming: &Incoming) {
        match self {
            Self::Messages(messages) => messages.push(incoming),
            Self::Person(screen) => screen.push(Item::Message(incoming.clone())),
        }
    }

    /// Shows a person a line of theirs that has arrived.
    pub(crate) fn show_own(&mut self, line: Line, seq: Option<u64>) {
        self.happened(|| Item::Delivered { line, seq });
    }

    /// Shows a person that something has happened.
    pub(crate) fn happened(&mut self, what: impl FnOnce() -> Item) {
        if let Self::Person(screen) = self {
            screen.push(what());
        }
    }

    /// Whether the screen is a person's.
    pub(crate) fn is_persons(&self) -> bool {
        matches!(self, Self::Person(_))
    }

    /// Nothing more will be shown: a script has what it wanted.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Messages(messages) => messages.is_done(),
            Self::Person(_) => false,
        }
    }

    /// Resolves when no message has come for this long.
    pub(crate) fn silence(&self, length: Option<Duration>) -> impl Future<Output = ()> + use<> {
        let heard = match self {
            Self::Messages(messages) => Some(messages.subscribe()),
            Self::Person(_) => None,
        };
        async move {
            let (Some(mut heard), Some(length)) = (heard, length) else {
                return pending().await;
            };
            while let Ok(Ok(())) = timeout(length, heard.changed()).await {}
        }
    }

    /// More may be shown without waiting.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Self::Messages(messages) => messages.has_room(),
            Self::Person(screen) => screen.has_room(),
        }
    }

    /// Hands over what waits as soon as the other end can take it. With nothing waiting, returns
    /// only when the other end is closed.
    ///
    /// Cancel safe: what wasn't handed over still waits.
    pub(crate) async fn hand_over(&mut self) -> Result<(), Closed> {
        match self {
            Self::Messages(messages) => messages.hand_over().await,
            Self::Person(screen) => screen.hand_over().await,
        }
    }

    /// Waits until everything is shown. A reader that has gone away is no error: it has
    /// seen what it wanted.
    pub(crate) async fn finish(self) -> io::Result<()> {
        match self {
            Self::Messages(messages) => messages.finish().await,
            Self::Person(screen) => screen.finish().await,
        }
    }
}
