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
    is_printing: bool,
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
    /// No line will be edited any more.
    Over,
}

impl Tty {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so that nothing half done is ever seen.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The editor is about to show its line.
    pub(super) fn begin(&self) {
        self.lock().phase = Phase::Beginning;
    }

    /// The editor is leaving its line.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        if state.phase != Phase::Over {
            state.phase = Phase::Between;
        }
    }

    /// The editor is gone.
    pub(super) fn end(&self) {
        self.lock().phase = Phase::Over;
        self.changed.notify_all();
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
            state.is_printing = false;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Shows whole lines above the one that is edited; returns when they are shown.
    pub(super) fn print(&self, printer: &mut impl ExternalPrinter, lines: &str) -> io::Result<()> {
        let is_waiting = |state: &mut State| match state.phase {
            Phase::Over => false,
            Phase::Editing => state.is_printing,
            Phase::Between | Phase::Beginning => true,
        };
        let mut state = self.wait_while(self.lock(), is_waiting);
        if state.phase == Phase::Editing {
            state.is_printing = true;
            printer.print(lines.to_owned()).map_err(io::Error::other)?;
            let is_waiting = |state: &mut State| state.phase != Phase::Over && state.is_printing;
            state = self.wait_while(state, is_waiting);
            if !state.is_printing {
                return Ok(());
            }
            // The editor is gone, and has left it.
            state.is_printing = false;
        }
        drop(state);
        let mut stdout = io::stdout().lock();
        stdout.write_all(lines.as_bytes())?;
        stdout.flush()
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
