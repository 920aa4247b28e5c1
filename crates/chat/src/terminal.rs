//! A person at a terminal, which is taken for the whole screen.
//!
//! Two one-way pipes: what is typed goes to the conversation, and what happens comes from
//! it. Owns the threads at both ends and the terminal's settings, which it restores. The
//! conversation itself makes no terminal calls. What is seen and what keys do is decided
//! without a terminal, in [`ui`].

mod areas;
mod burst;
mod canvas;
mod colors;
mod commands;
mod completion;
mod draw;
mod editor;
mod history;
mod keys;
mod layout;
mod links;
mod painter;
mod reader;
mod run;
mod text;
mod ui;
mod view;
mod window;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot};
use wire::TopicName;

use crate::input::lines::Typed;
use crate::output::notice::NoticeReader;
use crate::output::people::People;
use crate::output::screen::Screen;
use crate::system;
use history::History;
use painter::Painter;
use ui::{Taste, Ui, UiOptions};
use window::Window;

/// Terminals on which a cursor can't be moved.
const DUMB: [&str; 3] = ["dumb", "cons25", "emacs"];
/// Terminals that print what they don't know of links.
const LINKLESS: [&str; 2] = ["linux", "vt100"];
/// A window that reports no size is taken for the usual one.
const USUAL_SIZE: (u16, u16) = (80, 24);
/// The longest that the end of the program waits for a terminal to take the last picture.
const LONGEST_END: Duration = Duration::from_secs(1);
/// Pieces of what was read that wait to be handled.
const READS: usize = 8;

/// What a terminal is begun with.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Where one can speak; the first is chosen.
    pub(crate) topics: Vec<TopicName>,
    /// Whose topics they are.
    pub(crate) server: Server,
    /// The server's address, or what else there is to say of where we are.
    pub(crate) place: String,
    pub(crate) is_colored: bool,
    /// Rings when we are mentioned.
    pub(crate) rings: bool,
    /// How the desktop is told of a mention.
    pub(crate) notify: Notify,
    /// Members and topics stand at the sides.
    pub(crate) has_sides: bool,
    /// A topic isn't named in its own view.
    pub(crate) hides_topic: bool,
    /// The mouse is reported, so that the wheel scrolls on every terminal.
    pub(crate) has_mouse: bool,
    pub(crate) people: People,
    /// Where typed lines are remembered.
    pub(crate) history: Option<PathBuf>,
    /// The longest frame of a line, in bytes.
    pub(crate) max_line_frame: usize,
    /// What the terminal is called.
    pub(crate) term: Option<String>,
}

/// How a terminal tells the desktop of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notify {
    Never,
    /// By the sequence that iTerm2 has introduced.
    Osc9,
    /// By the sequence that rxvt has introduced.
    Osc777,
}

/// Whose topics a person can speak in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// A server's: they can be joined and left.
    Topics,
    /// Nobody's: there is one peer.
    None,
}

/// What a conversation needs of a terminal.
pub(crate) struct Terminal {
    pub(crate) keyboard: mpsc::Receiver<Vec<Typed>>,
    pub(crate) screen: Screen,
    /// To be dropped when everything is shown.
    pub(crate) restore: Restore,
    /// Resolves if the person leaves without what was not sent: how many lines, and the
    /// first.
    pub(crate) abandoned: oneshot::Receiver<(usize, String)>,
}

/// Restores the terminal when it is dropped.
pub(crate) struct Restore {
    window: Arc<Window>,
    stop: Option<oneshot::Sender<()>>,
    /// Closed when the screen's thread has ended.
    ended: std::sync::mpsc::Receiver<()>,
}

impl Drop for Restore {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.stop.take().map(|stop| stop.send(()));
        // A terminal that takes nothing isn't waited for.
        let _ = self.ended.recv_timeout(LONGEST_END);
        self.window.close("");
    }
}

/// A person sits at both ends, at a terminal called so.
pub(crate) fn is_there(term: Option<&str>) -> bool {
    // A console of Windows has no name.
    let is_able = match term {
        Some(term) => !DUMB.contains(&term),
        None => cfg!(windows),
    };
    io::stdin().is_terminal() && io::stdout().is_terminal() && is_able
}

/// Takes the terminal, and starts to read and to draw.
pub(crate) fn start(setup: Setup, notices: NoticeReader) -> io::Result<Terminal> {
    let window = Window::open(setup.has_mouse);
    let (screen, (items, outcome)) = Screen::for_person(notices);
    let (to_input, keyboard) = mpsc::channel(1);
    let (abandon, abandoned) = oneshot::channel();
    let (to_keys, keys) = mpsc::channel(READS);
    let (stop, stopped) = oneshot::channel();
    let (ends, ended) = std::sync::mpsc::channel();
    let restore = Restore {
        window: Arc::clone(&window),
        stop: Some(stop),
        ended,
    };
    thread::Builder::new()
        .name("keyboard".into())
        .spawn(move || reader::run(&to_keys))?;
    let painter = painter(&setup);
    let ui = ui(setup);
    let connected = run::Ends {
        keys,
        items,
        to_input: Some(to_input),
        stop: stopped,
        abandon: Some(abandon),
    };
    let shown = run::Screen::new(ui, window, connected, painter);
    thread::Builder::new()
        .name("screen".into())
        .spawn(move || {
            let result = run_screen(shown);
            // A conversation that is over needn't know.
            let _ = outcome.send(result);
            drop(ends);
        })?;
    Ok(Terminal {
        keyboard,
        screen,
        restore,
        abandoned,
    })
}

fn painter(setup: &Setup) -> Painter {
    let term = setup.term.as_deref().unwrap_or_default();
    Painter::new(!LINKLESS.contains(&term))
}

fn ui(setup: Setup) -> Ui {
    let options = UiOptions {
        topics: setup.topics,
        server: setup.server,
        place: setup.place,
        people: setup.people,
        history: History::load(setup.history),
        zone: TimeZone::system(),
        taste: Taste {
            has_colors: setup.is_colored,
            has_sides: setup.has_sides,
            hides_topic: setup.hides_topic,
            rings: setup.rings,
            notify: setup.notify,
        },
        max_line_frame: setup.max_line_frame,
    };
    Ui::new(options, size(), now())
}

/// The screen's thread.
fn run_screen(screen: run::Screen) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(screen.run())
}

/// Milliseconds since 1970, for the times and days that are shown.
#[expect(
    clippy::disallowed_methods,
    reason = "a person is shown the time of day; no deadline depends on it"
)]
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

fn size() -> (u16, u16) {
    size_or_usual(system::window_size())
}

/// The window's size; none that is reported is the usual one.
fn size_or_usual(reported: Option<(u16, u16)>) -> (u16, u16) {
    match reported {
        None | Some((0, 0)) => USUAL_SIZE,
        Some((0, rows)) => (USUAL_SIZE.0, rows),
        Some((columns, 0)) => (columns, USUAL_SIZE.1),
        Some(size) => size,
    }
}
