//! The thread that shows what happens.
//!
//! Limits how often the screen changes: what comes in quick succession is shown together,
//! so that a person's keys are echoed in between.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustyline::ExternalPrinter;

use super::tty::Tty;
use crate::output::screen::Writer;

/// The screen changes at most this often: faster than anybody reads, and rare
/// enough that a busy topic leaves time for the keys.
const PACE: Duration = Duration::from_millis(33);

/// Shows lines until there are no more.
pub(super) fn run(mut writer: Writer, tty: &Tty, mut printer: impl ExternalPrinter) {
    let mut outcome = Ok(());
    let mut next = Instant::now();
    while let Some(lines) = writer.lines.blocking_recv() {
        #[expect(
            clippy::disallowed_methods,
            reason = "the display has a thread of its own"
        )]
        sleep(next.saturating_duration_since(Instant::now()));
        outcome = tty.print(&mut printer, &lines);
        if outcome.is_err() {
            break;
        }
        next = Instant::now() + PACE;
    }
    let outcome = outcome.and_then(|()| tty.flush());
    // Closed first, so that the end is seen before the outcome is asked for.
    drop(writer.lines);
    let _ = writer.outcome.send(outcome);
}
