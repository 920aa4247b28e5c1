//! Restores the terminal on every way out.
//!
//! Holds the settings that were found. The way out of the program drops it; a hook sees
//! panics on any thread.

use std::io::{self, Write as _};
use std::sync::Arc;

use super::tty::{Leftover, Tty};
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

    /// The settings, for an editor that gives the terminal away for a while.
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
    let erase = match tty.take_over() {
        Leftover::Line => ERASE,
        Leftover::Nothing => "",
    };
    // A terminal that is gone needn't be restored.
    let _ = io::stdout().write_all(format!("{erase}{PLAIN}").as_bytes());
    let _ = io::stdout().flush();
    settings.put_back_for_good();
}

#[cfg(all(test, unix))]
mod tests {
    use nix::sys::termios::tcgetattr;
    use pty_process::blocking::{Command, open};

    use super::super::context::{CommandContext, Server};
    use super::super::editor::{Editor, EditorExit};
    use super::super::helper::LineHelper;
    use super::*;

    #[test]
    #[ignore = "is run by another one, on a terminal of its own"]
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
    #[ignore = "is run by another one, on a terminal of its own"]
    fn an_editor_begins_late() {
        let before = tcgetattr(io::stdin()).expect("a terminal");
        let tty = Arc::new(Tty::default());
        let restore = Restore::save(Arc::clone(&tty));
        let topics = super::super::helper::Topics::default();
        let people = crate::output::people::People::default();
        let context = CommandContext::new(topics.clone(), Server::None, people.clone());
        let helper = LineHelper {
            tty,
            people,
            topics,
            is_colored: false,
        };
        let settings = restore.settings();
        let editor = Editor::new(helper, context, Arc::clone(&settings), None).expect("an editor");
        drop(restore);
        let (to, _typed) = tokio::sync::mpsc::channel(1);
        let (exits, exit) = std::sync::mpsc::channel();
        std::thread::spawn(move || exits.send(matches!(editor.run(&to), EditorExit::Ended)));
        let limit = std::time::Duration::from_secs(20);
        assert_eq!(exit.recv_timeout(limit), Ok(true));
        // One that was stopped goes on only now.
        settings.hush();
        assert_eq!(tcgetattr(io::stdin()).expect("a terminal"), before);
    }

    #[test]
    fn a_panic_on_any_thread_puts_the_terminal_back() {
        run_on_a_terminal("a_thread_panics");
    }

    #[test]
    fn an_editor_that_begins_after_the_end_leaves_the_terminal_alone() {
        run_on_a_terminal("an_editor_begins_late");
    }

    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    fn run_on_a_terminal(test: &str) {
        let (mut pty, terminal) = open().expect("a terminal");
        let test = format!("terminal::restore::tests::{test}");
        let arguments = ["--ignored", "--exact", &test];
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
