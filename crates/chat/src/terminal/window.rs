//! The terminal that is taken for the whole screen, and given back on every way out.
//!
//! Holds the settings that were found. Dropping [`Restore`] gives it back; a hook does it
//! for panics on any thread. Nothing is written once it is given back.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::system::Settings;

/// The alternate screen, pastes with marks, the wheel as arrows, focus reports.
const ENTER: &str = "\x1b[?1049h\x1b[?2004h\x1b[?1007h\x1b[?1004h\x1b[0m\x1b[2J";
/// Reports of the mouse.
const MOUSE: &str = "\x1b[?1000h\x1b[?1006h";
/// All of that undone, the usual colours, and the cursor to be seen.
const LEAVE: &str = "\x1b[?2026l\x1b[?1006l\x1b[?1000l\x1b[?1004l\x1b[?1007l\x1b[?2004l\x1b[?7h\
                     \x1b[0m\x1b[?1049l\x1b[?25h";

/// See the module.
#[derive(Debug)]
pub(super) struct Window {
    settings: Settings,
    /// The screen is ours.
    is_taken: AtomicBool,
    /// The terminal is given back for good.
    is_over: AtomicBool,
    has_mouse: bool,
}

impl Window {
    /// Takes the terminal.
    pub(super) fn open(has_mouse: bool) -> Arc<Self> {
        let window = Arc::new(Self {
            settings: Settings::of_stdin(),
            is_taken: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            has_mouse,
        });
        let seen = Arc::clone(&window);
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            seen.close("");
            usual(panic);
        }));
        window
    }

    /// Takes the screen, also when it was taken before: somebody else may have had it
    /// meanwhile.
    pub(super) fn take(&self) -> io::Result<()> {
        if self.is_over.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.settings.make_raw();
        self.is_taken.store(true, Ordering::SeqCst);
        let mouse = if self.has_mouse { MOUSE } else { "" };
        write(&format!("{ENTER}{mouse}"))
    }

    /// Gives it back for a while.
    pub(super) fn give_back(&self) {
        self.is_taken.store(false, Ordering::SeqCst);
        // A terminal that is gone needn't be given back.
        let _ = write(LEAVE);
        self.settings.put_back();
    }

    /// Gives it back for good, with these last lines.
    pub(super) fn close(&self, last: &str) {
        if self.is_over.swap(true, Ordering::SeqCst) {
            return;
        }
        let is_taken = self.is_taken.swap(false, Ordering::SeqCst);
        if is_taken && crate::system::is_in_foreground() {
            let _ = write(&format!("{LEAVE}{last}"));
        }
        self.settings.put_back_for_good();
    }

    /// Draws.
    pub(super) fn draw(&self, what: &str) -> io::Result<()> {
        if what.is_empty() || self.is_over.load(Ordering::SeqCst) {
            return Ok(());
        }
        write(what)
    }
}

fn write(what: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(what.as_bytes())?;
    stdout.flush()
}
