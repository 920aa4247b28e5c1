//! Questions to the person, before the conversation begins.

use std::io::{self, IsTerminal as _, Write as _};

use crate::system;

/// Whether there is a terminal to ask on.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks, and waits for a line. An end of the input is an empty one.
///
/// The line is read in a thread of its own, so that an interrupt isn't held up.
pub(crate) async fn ask(question: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    match tokio::task::spawn_blocking(system::read_line).await {
        Ok(line) => line,
        Err(_) => Err(io::ErrorKind::Interrupted.into()),
    }
}

/// Asks for a secret. What is typed isn't shown.
pub(crate) async fn ask_hidden(question: &str) -> io::Result<String> {
    // An interrupt drops this too, so the terminal never stays in this state.
    let _hidden = system::Hidden::begin()?;
    ask(question).await
}
