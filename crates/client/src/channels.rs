//! The task's ends of the channels to the program: commands in, events out.

use std::future::pending;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::event::Event;
use crate::line::Line;
use crate::session::{Request, Session};

/// A command of the program to its client.
#[derive(Debug)]
pub(crate) enum Command {
    /// Publish these lines.
    Send(Vec<Line>),
    /// Ask the server for something.
    Request(Request),
    /// End when everything is delivered.
    Finish,
}

/// The channels to the program.
pub(crate) struct Program {
    pub(crate) commands: Commands,
    pub(crate) events: EventSender,
}

impl Program {
    pub(crate) fn new(commands: mpsc::Receiver<Command>, events: mpsc::Sender<Vec<Event>>) -> Self {
        Self {
            commands: Commands {
                queue: commands,
                is_open: true,
            },
            events: EventSender(Some(events)),
        }
    }

    /// Whether the program has dropped its handles without finishing.
    pub(crate) fn is_gone(&self, session: &Session) -> bool {
        !self.commands.is_open && self.events.is_closed() && !session.is_finishing()
    }
}

/// Carries out a command.
pub(crate) fn perform(command: Option<Command>, session: &mut Session) {
    match command {
        Some(Command::Send(lines)) => {
            for line in lines {
                session.push(line, now());
            }
        }
        Some(Command::Request(request)) => session.request(request, now()),
        Some(Command::Finish) => session.finish(now()),
        None => {}
    }
}

/// The commands of the program.
pub(crate) struct Commands {
    queue: mpsc::Receiver<Command>,
    /// A handle may still send commands.
    pub(crate) is_open: bool,
}

impl Commands {
    /// The next command. Cancel safe. Never resolves when there will be none.
    pub(crate) async fn next(&mut self) -> Option<Command> {
        if !self.is_open {
            return pending().await;
        }
        let command = self.queue.recv().await;
        self.is_open = command.is_some();
        command
    }

    /// Closes the channel. Returns the lines that are still in it.
    pub(crate) fn close(&mut self) -> Vec<Line> {
        self.queue.close();
        let mut untaken = Vec::new();
        while let Ok(command) = self.queue.try_recv() {
            if let Command::Send(lines) = command {
                untaken.extend(lines);
            }
        }
        untaken
    }
}

/// The sender of events; `None` when the program has dropped the receiver.
pub(crate) struct EventSender(Option<mpsc::Sender<Vec<Event>>>);

impl EventSender {
    /// Waits until the program can take events.
    pub(crate) async fn ready(&self) {
        if let Some(sender) = &self.0 {
            // An error of a closed channel is noticed at the next send.
            let _ = sender.reserve().await;
        }
    }

    /// Hands all events over if the program can take them. Discards them if it has
    /// dropped [`Events`](crate::Events).
    pub(crate) fn send_now(&mut self, session: &mut Session) {
        if !session.has_events() {
            return;
        }
        match self.0.as_ref().map(mpsc::Sender::try_reserve) {
            Some(Ok(permit)) => {
                permit.send(session.take_events());
                return;
            }
            // They stay in the session, which isn't handed more frames meanwhile.
            Some(Err(mpsc::error::TrySendError::Full(()))) => return,
            Some(Err(mpsc::error::TrySendError::Closed(()))) | None => {}
        }
        self.0 = None;
        drop(session.take_events());
    }

    /// Hands all events over, and waits until the program takes them.
    pub(crate) async fn send_all(&mut self, session: &mut Session) {
        while session.has_events() {
            self.ready().await;
            self.send_now(session);
        }
    }

    /// Waits until the program has dropped [`Events`](crate::Events).
    pub(crate) async fn closed(&self) {
        if let Some(sender) = &self.0 {
            sender.closed().await;
        }
    }

    fn is_closed(&self) -> bool {
        self.0.as_ref().is_none_or(mpsc::Sender::is_closed)
    }
}

/// The current time, as the session takes it.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Waits until that time. Never resolves without one.
pub(crate) async fn at(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
