//! A person at a terminal: a line that is edited, and above it what happens.
//!
//! Two one-way pipes: what is typed goes to the conversation, and what happens comes from
//! it. Owns the threads at both ends and the terminal's settings, which it restores. The
//! conversation itself makes no terminal calls.

mod commands;
mod context;
mod display;
mod editor;
mod helper;
mod restore;
mod tty;
mod width;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use wire::TopicName;

pub(crate) use context::Server;
pub(crate) use restore::Restore;

use crate::input::lines::Typed;
use crate::output::color::Paint;
use crate::output::format::Formatter;
use crate::output::notice::NoticeReader;
use crate::output::people::People;
use crate::output::screen::Screen;
use crate::system;
use context::CommandContext;
use editor::{Editor, EditorExit};
use helper::LineHelper;
use tty::Tty;

/// Terminals on which no line can be edited; the line editor's list.
const DUMB: [&str; 3] = ["dumb", "cons25", "emacs"];

/// What a terminal is begun with.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Where one can speak; the first is chosen.
    pub(crate) topics: Vec<TopicName>,
    /// Whose topics they are.
    pub(crate) server: Server,
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

/// Starts to edit lines and to show what happens.
pub(crate) fn start(setup: Setup, notices: NoticeReader) -> io::Result<Terminal> {
    let Setup {
        topics,
        server,
        is_colored,
        rings,
        people,
        history,
    } = setup;
    let tty = Arc::new(Tty::default());
    let restore = Restore::save(Arc::clone(&tty));
    #[expect(
        clippy::disallowed_types,
        reason = "the lock is taken in one function, which ignores poisoning: what it guards is always whole"
    )]
    let topics = Arc::new(std::sync::Mutex::new(topics));
    let context = CommandContext::new(Arc::clone(&topics), server, people.clone());
    let helper = LineHelper {
        tty: Arc::clone(&tty),
        people: people.clone(),
        topics,
        is_colored,
    };
    let mut editor =
        Editor::new(helper, context, restore.settings(), history).map_err(io::Error::other)?;
    let printer = editor.printer().map_err(io::Error::other)?;
    let paint = Paint::new(is_colored);
    let formatter = Formatter::new(paint, rings, TimeZone::system(), people);
    let (screen, writer) = Screen::for_person(formatter, notices);
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

/// The thread at the keyboard.
fn edit(editor: Editor, to: &mpsc::Sender<Vec<Typed>>) {
    match editor.run(to) {
        EditorExit::Ended => {}
        // It ends the program as it does anywhere else.
        EditorExit::Interrupted => system::interrupt(),
        // A conversation that has ended needn't know.
        EditorExit::Failed(error) => drop(to.blocking_send(vec![Typed::Failed(error)])),
    }
}
