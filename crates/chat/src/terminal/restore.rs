//! Restores the terminal on every way out.
//!
//! Holds the settings that were found. The way out of the program drops it; a hook sees
//! panics on any thread.

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

#[cfg(all(test, unix))]
mod tests {
    use nix::sys::termios::tcgetattr;
    use pty_process::blocking::{Command, open};

    use super::*;

    #[test]
    #[ignore = "is run by the next one, on a terminal of its own"]
    fn a_thread_panics() {
        let before = tcgetattr(io::stdin()).expect("a terminal");
        let restore = Restore::save(Arc::new(Tty::default()));
        assert_ne!(tcgetattr(io::stdin()).expect("a terminal"), before);
        let panicking = std::thread::spawn(|| panic!("on purpose"));
        assert!(panicking.join().is_err());
        assert_eq!(tcgetattr(io::stdin()).expect("a terminal"), before);
        drop(restore);
    }

    #[test]
    fn a_panic_on_any_thread_puts_the_terminal_back() {
        let (mut pty, terminal) = open().expect("a terminal");
        let arguments = [
            "--ignored",
            "--exact",
            "terminal::restore::tests::a_thread_panics",
        ];
        let this = std::env::current_exe().expect("this program");
        let mut child = Command::new(this)
            .args(arguments)
            .spawn(terminal)
            .expect("started");
        let mut output = Vec::new();
        // A terminal's end is an error.
        let _ = io::Read::read_to_end(&mut pty, &mut output);
        let output = String::from_utf8_lossy(&output);
        assert!(child.wait().expect("ended").success(), "{output}");
        assert!(output.contains("1 passed"), "{output}");
    }
}
