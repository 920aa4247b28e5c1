//! Who may write to the terminal, and when.
//!
//! While a line is edited, the editor alone writes, and prints for us what arrives
//! above that line. It takes one piece at a time; handing it another one would
//! block. When it is leaving its line, nothing is printed; when it is gone, we
//! write ourselves. Two threads meet here: the editor's and the one that prints.

use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustyline::ExternalPrinter;

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
    /// A line is about to be edited.
    Beginning,
    /// A line is edited.
    Editing,
    /// No line is edited, and the editor's thread is busy elsewhere.
    Away,
    /// No line will be edited any more.
    Over,
}

impl Tty {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so that nothing half done is ever seen.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn_to(&self, phase: Phase) {
        let mut state = self.lock();
        if state.phase != Phase::Over {
            state.phase = phase;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The editor is about to show its line.
    pub(super) fn begin(&self) {
        self.turn_to(Phase::Beginning);
    }

    /// The editor is leaving its line.
    pub(super) fn leave(&self) {
        self.turn_to(Phase::Between);
    }

    /// The editor's thread will be waiting for somebody else, and may not be waited
    /// for meanwhile.
    pub(super) fn go_away(&self) {
        self.turn_to(Phase::Away);
    }

    /// The editor is gone.
    pub(super) fn end(&self) {
        self.turn_to(Phase::Over);
    }

    /// A line is being edited, and stands on the screen.
    pub(super) fn is_editing(&self) -> bool {
        self.lock().phase == Phase::Editing
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
            Phase::Between | Phase::Beginning => true,
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
        tty.begin();
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
        tty.begin();
        tty.drawn();
        tty.go_away();
        let mut printer = Printer::default();
        tty.print(&mut printer, "").expect("written");
        tty.flush().expect("written");
        tty.end();
        tty.begin();
        tty.print(&mut printer, "").expect("written");
        assert!(printer.0.is_empty());
    }
}
