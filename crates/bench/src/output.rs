//! What is printed. The reader of standard output may have seen enough, as `head`
//! has: that ends the program quietly, where `println!` would panic.

use anyhow::{Context, Result};
use std::fmt::{self, Display, Formatter};
use std::io::{ErrorKind, Write};

/// Standard output is closed. This is a separate type because a server that closes its
/// connection causes the same kind of I/O error, and that is a failure.
#[derive(Debug)]
pub(crate) struct Unread;

impl Display for Unread {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("nobody reads standard output any more")
    }
}

impl std::error::Error for Unread {}

/// Prints a text and a line break on standard output.
pub(crate) fn say(text: impl Display) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Unread.into()),
        written => written.context("writing to standard output"),
    }
}

/// Prints progress or a complaint on standard error. Nothing depends on its being read.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
