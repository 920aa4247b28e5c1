//! A person at a terminal: a line that is edited, and above it what happens.
//!
//! Two one-way pipes: what is typed goes to the conversation, what happens comes
//! from it. Owns the threads at both ends, and the terminal's state, which it puts
//! back. The conversation itself makes no terminal calls.

mod color;
mod commands;
mod desk;
mod display;
mod editor;
mod helper;
mod look;
mod restore;
mod tty;
mod width;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use wire::TopicName;

pub(crate) use color::Paint;
pub(crate) use look::Look;
pub(crate) use restore::Restore;

use crate::lines::Typed;
use crate::notice::Said;
use crate::people::People;
use crate::screen::Screen;
use crate::system;
use desk::Desk;
use editor::{Editor, Left};
use helper::Assistant;
use tty::Tty;

/// Terminals on which no line can be edited; the line editor's list.
const DUMB: [&str; 3] = ["dumb", "cons25", "emacs"];

/// What a terminal is begun with.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Where one can speak; the first is chosen.
    pub(crate) topics: Vec<TopicName>,
    /// They are a server's.
    pub(crate) has_server: bool,
    pub(crate) is_colored: bool,
    /// Rings when we are mentioned.
    pub(crate) rings: bool,
    pub(crate) people: People,
    /// Where typed lines are remembered.
    pub(crate) history: Option<PathBuf>,
}

/// What a conversation needs of a terminal.
pub(crate) struct Terminal {
    pub(crate) keyboard: mpsc::Receiver<Vec<Typed>>,
    pub(crate) screen: Screen,
    /// To be dropped when everything is shown.
    pub(crate) restore: Restore,
}

/// A person sits at both ends, at a terminal called so.
pub(crate) fn is_there(term: Option<&str>) -> bool {
    let is_dumb = term.is_some_and(|term| DUMB.contains(&term));
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

/// Begins to edit lines and to show what happens.
pub(crate) fn start(setup: Setup, said: Said) -> io::Result<Terminal> {
    let Setup {
        topics,
        has_server,
        is_colored,
        rings,
        people,
        history,
    } = setup;
    let tty = Arc::new(Tty::default());
    let restore = Restore::save(Arc::clone(&tty));
    let topics = Arc::new(Mutex::new(topics));
    let desk = Desk::new(Arc::clone(&topics), has_server, people.clone());
    let assistant = Assistant {
        tty: Arc::clone(&tty),
        people: people.clone(),
        topics,
        is_colored,
    };
    let mut editor =
        Editor::new(assistant, desk, restore.settings(), history).map_err(io::Error::other)?;
    let printer = editor.printer().map_err(io::Error::other)?;
    let look = Look::new(Paint::new(is_colored), rings, TimeZone::system(), people);
    let (screen, writer) = Screen::for_person(look, said);
    let (to_input, keyboard) = mpsc::channel(1);
    thread::Builder::new()
        .name("screen".into())
        .spawn(move || display::run(writer, &tty, printer))?;
    thread::Builder::new()
        .name("keyboard".into())
        .spawn(move || edit(editor, &to_input))?;
    Ok(Terminal {
        keyboard,
        screen,
        restore,
    })
}

/// The life of the thread at the keyboard.
fn edit(editor: Editor, to: &mpsc::Sender<Vec<Typed>>) {
    match editor.run(to) {
        Left::Ended => {}
        // It ends the program as it does anywhere else.
        Left::Interrupted => system::interrupt(),
        // Whoever doesn't listen any more needn't know.
        Left::Failed(error) => drop(to.blocking_send(vec![Typed::Failed(error)])),
    }
}
