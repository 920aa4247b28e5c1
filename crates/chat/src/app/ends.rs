//! The two ends of a run: the source of lines, and the screen.

use std::future::pending;
use std::io;
use std::pin::Pin;

use client::ServerList;
use tokio::sync::mpsc;
use wire::TopicName;

use super::App;
use crate::cli::{Notifying, When};
use crate::error::Failure;
use crate::input::keyboard::FrameLimits;
use crate::input::lines::Typed;
use crate::output::messages::Format;
use crate::output::notice::NoticeReader;
use crate::output::screen::Screen;
use crate::pipe;
use crate::terminal::{self, Notify, Restore, Terminal};

/// The source of lines, and the screen.
pub(super) struct Ends {
    pub(super) keyboard: mpsc::Receiver<Vec<Typed>>,
    pub(super) screen: Screen,
    /// Restores the terminal.
    pub(super) restore: Option<Restore>,
    /// Resolves if a person leaves without what was not sent.
    pub(super) abandoned: Pin<Box<dyn Future<Output = Failure> + Send>>,
}

/// The server, or the call, whose name is shown to a person.
pub(super) struct Location {
    pub(super) server: terminal::Server,
    pub(super) name: String,
    /// The longest frame of a line, in bytes.
    pub(super) max_line_frame: usize,
}

impl Location {
    /// The topics of a server.
    pub(super) fn of_server(servers: &ServerList, limits: FrameLimits) -> Self {
        Self {
            server: terminal::Server::Topics,
            name: servers.addresses(),
            max_line_frame: limits.max_line_frame,
        }
    }
}

impl App {
    /// The ends for a person if there is a `reader`, whose notices are shown on the screen;
    /// otherwise those for a pipe.
    pub(super) fn ends(
        &self,
        topics: &[TopicName],
        location: Location,
        reader: Option<NoticeReader>,
    ) -> io::Result<Ends> {
        match reader {
            Some(reader) => self.persons_ends(topics, location, reader),
            None => self.pipes_ends(),
        }
    }

    fn pipes_ends(&self) -> io::Result<Ends> {
        let format = if self.options.json {
            Format::Json
        } else {
            Format::Plain
        };
        Ok(Ends {
            keyboard: match self.options.whole {
                true => pipe::whole(self.options.max_frame)?,
                false => pipe::keyboard(self.options.max_frame)?,
            },
            screen: pipe::screen(format, self.options.count)?,
            restore: None,
            abandoned: Box::pin(pending()),
        })
    }

    fn persons_ends(
        &self,
        topics: &[TopicName],
        location: Location,
        reader: NoticeReader,
    ) -> io::Result<Ends> {
        let Terminal {
            keyboard,
            screen,
            restore,
            abandoned,
        } = terminal::start(self.setup(topics, location), reader)?;
        Ok(Ends {
            keyboard,
            screen,
            restore: Some(restore),
            abandoned: Box::pin(async {
                match abandoned.await {
                    Ok((count, first)) => Failure::Abandoned { count, first },
                    // The screen has ended; so will the conversation.
                    Err(_) => pending().await,
                }
            }),
        })
    }

    /// The settings of a terminal.
    fn setup(&self, topics: &[TopicName], location: Location) -> terminal::Setup {
        let state = self.environment.state.as_ref();
        let history = state.filter(|_| self.options.history_file);
        terminal::Setup {
            topics: topics.to_vec(),
            server: location.server,
            place: location.name,
            max_line_frame: location.max_line_frame,
            is_colored: match self.options.color {
                When::Auto => !self.environment.no_color,
                When::Always => true,
                When::Never => false,
            },
            rings: self.options.bell,
            notify: self.notify(),
            has_sides: self.options.sides,
            hides_topic: self.options.hide_topic,
            has_mouse: self.options.mouse,
            term: self.environment.term.clone(),
            people: self.people.clone(),
            history: history.map(|state| state.join("natter").join("history")),
        }
    }

    /// How this terminal sends notifications to the desktop.
    fn notify(&self) -> Notify {
        match self.options.notify {
            Notifying::Never => Notify::Never,
            Notifying::Osc9 => Notify::Osc9,
            Notifying::Osc777 => Notify::Osc777,
            Notifying::Auto => {
                let term = self.environment.term.as_deref().unwrap_or_default();
                let knows_777 = term.starts_with("rxvt") || term.starts_with("foot");
                match knows_777 || self.environment.is_vte {
                    true => Notify::Osc777,
                    false => Notify::Osc9,
                }
            }
        }
    }
}
