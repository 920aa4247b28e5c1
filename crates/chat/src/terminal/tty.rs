//! Which thread may write to the terminal, and when its settings may change.
//!
//! While a line is edited, only the editor writes, and prints above that line what we hand
//! it. It takes one piece at a time; handing it a second one would block. While it is
//! leaving its line, nothing is printed; when it is gone, we write ourselves. Three threads
//! meet here: the editor's, the one that prints, and the one that ends the program. That
//! one restores the terminal only when the editor can't change the settings any more.

#![expect(
    clippy::disallowed_types,
    reason = "the lock is taken in one function, which ignores poisoning: what it guards is always whole"
)]

use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustyline::ExternalPrinter;

/// The longest that the end of the program waits for an editor that is about to change the
/// terminal's settings: a system call, on a busy machine.
const LONGEST_CHANGE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tty {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// A piece was handed to the editor, which hasn't shown it.
    pending: Option<String>,
    /// The editor draws because of a key, not because of a piece.
    is_for_key: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No line is edited: the editor's thread may write.
    #[default]
    Between,
    /// A line is about to be edited: the editor changes the terminal's settings.
    Beginning,
    /// A line is edited.
    Editing,
    /// A key has ended the line: the editor changes the settings back.
    Leaving,
    /// No line is edited, and the editor's thread is busy elsewhere.
    Away,
    /// No line will be edited any more.
    Over,
}

/// Whether the editor may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Permission {
    /// It may.
    Granted,
    /// The program is ending.
    Refused,
}

/// What the editor leaves on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leftover {
    /// The line that was edited.
    Line,
    /// Nothing.
    Nothing,
}

impl Tty {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so that nothing half done is ever seen.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn_to(&self, phase: Phase) -> Permission {
        let mut state = self.lock();
        if state.phase == Phase::Over {
            return Permission::Refused;
        }
        state.phase = phase;
        drop(state);
        self.changed.notify_all();
        Permission::Granted
    }

    /// The editor is about to show its line. It must not if the program is ending, because
    /// the terminal's settings are restored.
    pub(super) fn begin(&self) -> Permission {
        self.turn_to(Phase::Beginning)
    }

    /// A key is about to end the editor's line. It must not if the program is ending.
    pub(super) fn leave(&self) -> Permission {
        self.turn_to(Phase::Leaving)
    }

    /// The editor has left its line.
    pub(super) fn has_left(&self) {
        let _ = self.turn_to(Phase::Between);
    }

    /// The editor's thread will be waiting for somebody else, and may not be waited
    /// for meanwhile.
    pub(super) fn go_away(&self) {
        let _ = self.turn_to(Phase::Away);
    }

    /// The editor is gone.
    pub(super) fn end(&self) {
        let _ = self.turn_to(Phase::Over);
    }

    /// The program ends. Returns when the editor doesn't change the terminal's settings any
    /// more, and says what it leaves.
    pub(super) fn take_over(&self) -> Leftover {
        let is_changing = |state: &mut State| {
            let phase = state.phase;
            matches!(phase, Phase::Beginning | Phase::Leaving)
        };
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), LONGEST_CHANGE, is_changing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut state.phase, Phase::Over);
        drop(state);
        self.changed.notify_all();
        match before {
            Phase::Editing => Leftover::Line,
            _ => Leftover::Nothing,
        }
    }

    /// The editor is going to draw because of a key.
    pub(super) fn key(&self) {
        self.lock().is_for_key = true;
    }

    /// The editor has drawn its line.
    pub(super) fn drawn(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Beginning {
            state.phase = Phase::Editing;
        }
        if !std::mem::take(&mut state.is_for_key) {
            state.pending = None;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Shows whole lines above the one that is edited; returns when they are shown,
    /// or when the editor's thread has gone away with them.
    pub(super) fn print(&self, printer: &mut impl ExternalPrinter, lines: &str) -> io::Result<()> {
        let mut state = self.wait_while(self.lock(), |state| match state.phase {
            Phase::Away | Phase::Over => false,
            Phase::Editing => state.pending.is_some(),
            Phase::Between | Phase::Beginning | Phase::Leaving => true,
        });
        if state.phase != Phase::Editing {
            return write(&mut state, lines);
        }
        state.pending = Some(lines.to_owned());
        printer.print(lines.to_owned()).map_err(io::Error::other)?;
        self.settle(state)
    }

    /// Returns when everything is shown.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.settle(self.lock())
    }

    fn settle(&self, state: MutexGuard<'_, State>) -> io::Result<()> {
        let mut state = self.wait_while(state, |state| {
            let is_there = !matches!(state.phase, Phase::Away | Phase::Over);
            is_there && state.pending.is_some()
        });
        if state.phase == Phase::Over && state.pending.is_some() {
            // The editor is gone, and has left it.
            return write(&mut state, "");
        }
        Ok(())
    }

    fn wait_while<'a>(
        &self,
        state: MutexGuard<'a, State>,
        condition: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_while(state, condition);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes past the editor, which can't begin meanwhile.
fn write(state: &mut State, lines: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    // What the editor still has, it will show itself, unless it is gone.
    if state.phase == Phase::Over
        && let Some(pending) = state.pending.take()
    {
        stdout.write_all(pending.as_bytes())?;
    }
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// Takes what is to be printed.
    #[derive(Default)]
    struct Printer(Vec<String>);

    impl ExternalPrinter for Printer {
        fn print(&mut self, message: String) -> rustyline::Result<()> {
            self.0.push(message);
            Ok(())
        }
    }

    #[test]
    fn the_next_piece_is_handed_over_when_the_last_one_is_drawn() {
        let tty = Arc::new(Tty::default());
        assert_eq!(tty.begin(), Permission::Granted);
        tty.key();
        tty.drawn();
        let printing = {
            let tty = Arc::clone(&tty);
            thread::spawn(move || {
                let mut printer = Printer::default();
                tty.print(&mut printer, "one\n").expect("printed");
                tty.print(&mut printer, "two\n").expect("printed");
                printer.0
            })
        };
        for _ in 0..2 {
            while tty.lock().pending.is_none() {
                thread::yield_now();
            }
            // A key is no sign of it.
            tty.key();
            tty.drawn();
            assert!(tty.lock().pending.is_some());
            tty.drawn();
        }
        assert_eq!(printing.join().expect("no panic"), ["one\n", "two\n"]);
    }

    #[test]
    fn an_editor_that_has_gone_away_is_not_waited_for() {
        let tty = Tty::default();
        assert_eq!(tty.begin(), Permission::Granted);
        tty.drawn();
        tty.go_away();
        let mut printer = Printer::default();
        tty.print(&mut printer, "").expect("written");
        tty.flush().expect("written");
        tty.end();
        assert_eq!(tty.begin(), Permission::Refused);
        tty.print(&mut printer, "").expect("written");
        assert!(printer.0.is_empty());
    }

    #[test]
    fn the_end_waits_until_a_line_has_begun_and_lets_no_key_end_it() {
        let tty = Arc::new(Tty::default());
        assert_eq!(tty.begin(), Permission::Granted);
        let ending = {
            let tty = Arc::clone(&tty);
            thread::spawn(move || tty.take_over())
        };
        for _ in 0..100 {
            thread::yield_now();
            assert!(
                !ending.is_finished(),
                "the editor may still change the settings"
            );
        }
        tty.drawn();
        assert_eq!(ending.join().expect("no panic"), Leftover::Line);
        assert_eq!(tty.leave(), Permission::Refused);
        assert_eq!(tty.begin(), Permission::Refused);
    }

    #[test]
    fn the_end_waits_until_a_line_has_ended() {
        let tty = Arc::new(Tty::default());
        assert_eq!(tty.begin(), Permission::Granted);
        tty.drawn();
        assert_eq!(tty.leave(), Permission::Granted);
        let ending = {
            let tty = Arc::clone(&tty);
            thread::spawn(move || tty.take_over())
        };
        for _ in 0..100 {
            thread::yield_now();
            assert!(
                !ending.is_finished(),
                "the editor may still change the settings"
            );
        }
        tty.has_left();
        assert_eq!(ending.join().expect("no panic"), Leftover::Nothing);
    }
}
