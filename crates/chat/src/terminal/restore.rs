//! The terminal as it was found, to be put back on every way out.
//!
//! Owns what its settings were. Whoever ends the program from within drops it;
//! whoever panics on whichever thread is seen by a hook.

use std::io::{self, Write as _};
use std::sync::Arc;

use super::tty::Tty;
use crate::system::Settings;

/// No bracketed paste, the usual colours, and the cursor to be seen.
const PLAIN: &str = "\x1b[?2004l\x1b[0m\x1b[?25h";
/// Takes the line off that is being edited.
const ERASE: &str = "\r\x1b[J";

/// See the module. Dropping it puts the terminal back.
pub(crate) struct Restore {
    settings: Arc<Settings>,
    tty: Arc<Tty>,
}

impl Restore {
    /// Remembers how the terminal is, also for a panic.
    pub(super) fn save(tty: Arc<Tty>) -> Self {
        let settings = Arc::new(Settings::of_stdin());
        settings.hush();
        let (saved, seen) = (Arc::clone(&settings), Arc::clone(&tty));
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            put_back(&saved, &seen);
            usual(panic);
        }));
        Self { settings, tty }
    }

    /// The settings, for whoever gives the terminal away for a while.
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        put_back(&self.settings, &self.tty);
    }
}

fn put_back(settings: &Settings, tty: &Tty) {
    let erase = if tty.is_editing() { ERASE } else { "" };
    tty.end();
    // A terminal that is gone needn't be put back.
    let _ = io::stdout().write_all(format!("{erase}{PLAIN}").as_bytes());
    let _ = io::stdout().flush();
    settings.put_back();
}
