//! What differs from system to system: the only place that asks which it is.
//!
//! Every function is there on every system, with the best that it can do.

use std::io;

/// Lets a port be listened on again right after the last listener has ended.
#[cfg(unix)]
pub(crate) fn reuse_address(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// Here that goes without saying, and the option would let two programs listen
/// on one port.
#[cfg(not(unix))]
pub(crate) fn reuse_address(_socket: &socket2::Socket) -> io::Result<()> {
    Ok(())
}

/// Standard input is a file, which goes on to its end without a pause.
#[cfg(unix)]
pub(crate) fn is_file(stdin: &io::Stdin) -> bool {
    use std::os::fd::AsFd as _;
    let file = stdin.as_fd().try_clone_to_owned().map(std::fs::File::from);
    let metadata = file.and_then(|file| file.metadata());
    metadata.is_ok_and(|metadata| metadata.is_file())
}

/// Here a file is read as a pipe is.
#[cfg(not(unix))]
pub(crate) fn is_file(_stdin: &io::Stdin) -> bool {
    false
}

/// Ends the program as Ctrl-C does.
#[cfg(unix)]
pub(crate) fn interrupt() {
    use nix::sys::signal::{Signal, raise};
    // It can only fail for a signal that doesn't exist.
    let _ = raise(Signal::SIGINT);
}

/// Here the end of the input has to do.
#[cfg(not(unix))]
pub(crate) fn interrupt() {}

/// Stops the program as Ctrl-Z does; returns when it goes on.
#[cfg(unix)]
pub(crate) fn stop() {
    use nix::sys::signal::{Signal, raise};
    // Sent to this very thread, so that it goes no further.
    let _ = raise(Signal::SIGTSTP);
}

/// Here no program can be stopped.
#[cfg(not(unix))]
pub(crate) fn stop() {}

/// How the terminal is that standard input comes from.
#[cfg(unix)]
pub(crate) struct Settings(Option<std::sync::Mutex<nix::sys::termios::Termios>>);

#[cfg(unix)]
impl Settings {
    /// As they are now.
    pub(crate) fn of_stdin() -> Self {
        let settings = nix::sys::termios::tcgetattr(io::stdin());
        Self(settings.ok().map(std::sync::Mutex::new))
    }

    /// Lets keys come as they are typed, and shows none of them: also between two
    /// lines that are edited, when the line editor gives the terminal back.
    pub(crate) fn hush(&self) {
        use nix::sys::termios::{InputFlags, LocalFlags};
        let Some(mut settings) = self.saved() else {
            return;
        };
        let lines = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN;
        settings.local_flags &= !lines;
        settings.input_flags &= !(InputFlags::ICRNL | InputFlags::IXON);
        set(&settings);
    }

    /// Makes the terminal what it was.
    pub(crate) fn put_back(&self) {
        if let Some(settings) = self.saved() {
            set(&settings);
        }
    }

    fn saved(&self) -> Option<nix::sys::termios::Termios> {
        let settings = self.0.as_ref()?.lock();
        Some(
            settings
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .clone(),
        )
    }
}

#[cfg(unix)]
fn set(settings: &nix::sys::termios::Termios) {
    use nix::sys::termios::{SetArg, tcsetattr};
    // A terminal that is gone needs no settings.
    let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, settings);
}

/// Here the line editor has to put the terminal back itself.
#[cfg(not(unix))]
pub(crate) struct Settings;

#[cfg(not(unix))]
impl Settings {
    /// Nothing is known of them.
    pub(crate) fn of_stdin() -> Self {
        Self
    }

    /// Nothing is changed.
    pub(crate) fn hush(&self) {}

    /// Nothing is changed.
    pub(crate) fn put_back(&self) {}
}
