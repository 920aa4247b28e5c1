//! The thread at the keyboard: edits a line and hands it on.
//!
//! Owns the line editor, which alone reads standard input. A line that was sent leaves the
//! screen and is shown again when it has arrived. Never sees the messages of others.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{
    Cmd, ColorMode, ConditionalEventHandler, Config, Event, EventContext, EventHandler,
    GraphemeClusterMode, KeyEvent, Movement, RepeatCount,
};
use rustyline::{KeyCode, Modifiers};
use tokio::sync::mpsc;

use super::context::{CommandContext, Outcome};
use super::helper::LineHelper;
use super::tty::{Permission, Tty};
use super::width::rows;
use crate::input::action::{Action, CallAction};
use crate::input::lines::Typed;
use crate::system::{self, Settings};

/// Lines that are remembered from run to run.
const REMEMBERED: usize = 1_000;

pub(super) type Rustyline = rustyline::Editor<LineHelper, FileHistory>;

/// See the module.
pub(super) struct Editor {
    line: Rustyline,
    context: CommandContext,
    tty: Arc<Tty>,
    keys: Arc<Keys>,
    settings: Arc<Settings>,
    /// Where lines are remembered.
    history: Option<PathBuf>,
}

/// What the keys have said of the line that is edited.
#[derive(Debug, Default)]
struct Keys {
    /// It was broken by hand, not by a paste.
    is_broken: AtomicBool,
    /// Not entered: we are to stop until we are told to go on.
    is_stopping: AtomicBool,
    /// Where the cursor was then.
    cursor: AtomicUsize,
}

/// How the editor ended.
pub(super) enum EditorExit {
    /// By Ctrl-D or `/quit`, or because the conversation has ended.
    Ended,
    /// By Ctrl-C.
    Interrupted,
    /// The keyboard can't be read.
    Failed(io::Error),
}

impl Editor {
    /// An editor on standard input.
    pub(super) fn new(
        helper: LineHelper,
        context: CommandContext,
        settings: Arc<Settings>,
        history: Option<PathBuf>,
    ) -> rustyline::Result<Self> {
        let tty = Arc::clone(&helper.tty);
        let config = Config::builder()
            .max_history_size(REMEMBERED)?
            .history_ignore_dups(true)?
            // The helper does the colours. Without it nothing reports what is drawn.
            .color_mode(ColorMode::Forced)
            .grapheme_cluster_mode(GraphemeClusterMode::from_env())
            .completion_type(rustyline::CompletionType::List)
            .build();
        let mut line = Rustyline::with_config(config)?;
        line.set_helper(Some(helper));
        if let Some(path) = &history {
            // There may be none yet.
            let _ = line.load_history(path);
        }
        let keys = Arc::new(Keys::default());
        bind_keys(&mut line, &tty, &keys);
        Ok(Self {
            line,
            context,
            tty,
            keys,
            settings,
            history,
        })
    }

    /// What prints above the line.
    pub(super) fn printer(
        &mut self,
    ) -> rustyline::Result<impl rustyline::ExternalPrinter + Send + use<>> {
        self.line.create_external_printer()
    }

    /// Edits lines until the end.
    pub(super) fn run(mut self, to: &mpsc::Sender<Vec<Typed>>) -> EditorExit {
        let exit = self.edit_lines(to);
        self.tty.end();
        exit
    }

    fn edit_lines(&mut self, to: &mpsc::Sender<Vec<Typed>>) -> EditorExit {
        loop {
            let prompt = self.context.prompt();
            let text = match self.read(&prompt) {
                Ok(text) => text,
                Err(ReadlineError::Eof) => return EditorExit::Ended,
                Err(ReadlineError::Interrupted) => return EditorExit::Interrupted,
                Err(error) => return EditorExit::Failed(io::Error::other(error)),
            };
            let outcomes = self.outcomes(&prompt, &text);
            let mut typed = Vec::new();
            for outcome in outcomes {
                match outcome {
                    Outcome::Send(one) => typed.push(one),
                    Outcome::Tell(lines) => self.write(&lines),
                    Outcome::Nothing => {}
                    Outcome::Quit => return EditorExit::Ended,
                }
            }
            if typed.is_empty() {
                continue;
            }
            // There may be no room for it until what arrives is shown.
            self.tty.go_away();
            if to.blocking_send(typed).is_err() {
                return EditorExit::Ended;
            }
        }
    }

    fn read(&mut self, prompt: &str) -> rustyline::Result<String> {
        self.keys.is_broken.store(false, Ordering::Relaxed);
        let (mut text, mut cursor) = (String::new(), 0);
        loop {
            let (left, right) = text.split_at_checked(cursor).unwrap_or((&text, ""));
            if self.tty.begin() == Permission::Refused {
                return Err(ReadlineError::Eof);
            }
            let read = self.line.readline_with_initial(prompt, (left, right));
            self.tty.has_left();
            if !self.keys.is_stopping.swap(false, Ordering::Relaxed) {
                return read;
            }
            self.settings.put_back();
            system::stop();
            self.settings.hush();
            text = read?;
            cursor = self.keys.cursor.load(Ordering::Relaxed);
        }
    }

    /// What to do with a line that was entered.
    fn outcomes(&mut self, prompt: &str, text: &str) -> Vec<Outcome> {
        if text.trim().is_empty() {
            self.erase(prompt, text);
            return Vec::new();
        }
        self.remember(text);
        if text.contains('\n') && !self.keys.is_broken.load(Ordering::Relaxed) {
            return self.ask_about_paste(text);
        }
        let outcome = self.context.accept(text);
        let is_said = matches!(
            outcome,
            Outcome::Send(
                Typed::Addressed(_) | Typed::Action(Action::CallAction(CallAction::Say(_)))
            )
        );
        if is_said {
            self.erase(prompt, text);
        }
        vec![outcome]
    }

    /// Asks what to do with a pasted block of lines.
    fn ask_about_paste(&mut self, text: &str) -> Vec<Outcome> {
        let text = text.trim_end_matches('\n');
        let count = text.lines().count();
        let lines = match count {
            1 => "this line".into(),
            count => format!("these {count} lines"),
        };
        let question = format!("send {lines}? y: yes, o: as one message, n: no ");
        match self.read(&question).as_deref().map(str::trim) {
            Ok("y" | "yes") => text
                .lines()
                .map(|line| self.context.say(line.into()))
                .collect(),
            Ok("o" | "one") => vec![self.context.say(text.into())],
            _ => vec![Outcome::Tell(
                "-- nothing was sent; Up brings it back\n".into(),
            )],
        }
    }

    fn remember(&mut self, text: &str) {
        let is_new = self.line.add_history_entry(text).unwrap_or_default();
        if let Some(path) = self.history.as_ref().filter(|_| is_new) {
            if let Some(folder) = path.parent() {
                let _ = std::fs::create_dir_all(folder);
            }
            // What can't be remembered is still sent.
            let _ = self.line.append_history(path);
        }
    }

    /// Takes the line that was just entered off the screen.
    fn erase(&mut self, prompt: &str, text: &str) {
        let columns = self.line.dimensions().map_or(80, |(columns, _)| columns);
        let rows = rows(&format!("{prompt}{text}"), columns.into());
        self.write(&format!("\x1b[{rows}A\r\x1b[J"));
    }

    /// Writes between two lines that are edited, when nobody else does.
    fn write(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        // A terminal that is gone ends the next line that is read.
        let _ = stdout.write_all(text.as_bytes());
        let _ = stdout.flush();
    }
}

/// Leaves the line. If the program is ending, the terminal is already restored: then this
/// thread stops here for good, so that the editor doesn't change its settings again.
fn leave(tty: &Tty) {
    while tty.leave() == Permission::Refused {
        std::thread::park();
    }
}

/// What a key does beside what it does anyway.
struct Key<F>(F);

impl<F: Fn(&EventContext<'_>) -> Option<Cmd> + Send + Sync> ConditionalEventHandler for Key<F> {
    fn handle(
        &self,
        _: &Event,
        _: RepeatCount,
        _: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        (self.0)(context)
    }
}

fn bind_keys(line: &mut Rustyline, tty: &Arc<Tty>, keys: &Arc<Keys>) {
    let mut bind = |key: KeyEvent, handler: Box<dyn ConditionalEventHandler>| {
        line.bind_sequence(key, EventHandler::Conditional(handler));
    };
    let leaving = Arc::clone(tty);
    let enter = move |_: &EventContext<'_>| {
        leave(&leaving);
        None
    };
    bind(
        KeyEvent(KeyCode::Enter, Modifiers::NONE),
        Box::new(Key(enter.clone())),
    );
    bind(KeyEvent::ctrl('j'), Box::new(Key(enter)));
    let leaving = Arc::clone(tty);
    let end = move |context: &EventContext<'_>| {
        if context.line().is_empty() {
            leave(&leaving);
        }
        None
    };
    bind(KeyEvent::ctrl('d'), Box::new(Key(end)));
    let leaving = Arc::clone(tty);
    let interrupt = move |context: &EventContext<'_>| {
        if context.line().is_empty() {
            leave(&leaving);
            return None;
        }
        Some(Cmd::Kill(Movement::WholeBuffer))
    };
    bind(KeyEvent::ctrl('c'), Box::new(Key(interrupt)));
    let (leaving, stopping) = (Arc::clone(tty), Arc::clone(keys));
    // The line editor's own way lets the thread run on after the signal, and take
    // the terminal before the program has stopped.
    let stop = move |context: &EventContext<'_>| {
        leave(&leaving);
        stopping.cursor.store(context.pos(), Ordering::Relaxed);
        stopping.is_stopping.store(true, Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    };
    bind(KeyEvent::ctrl('z'), Box::new(Key(stop)));
    let keys = Arc::clone(keys);
    let line_break = move |_: &EventContext<'_>| {
        keys.is_broken.store(true, Ordering::Relaxed);
        Some(Cmd::Newline)
    };
    bind(
        KeyEvent(KeyCode::Enter, Modifiers::ALT),
        Box::new(Key(line_break)),
    );
}
