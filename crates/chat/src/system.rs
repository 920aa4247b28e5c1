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

/// The settings of the terminal that standard input comes from.
#[cfg(unix)]
#[expect(
    clippy::disallowed_types,
    reason = "the lock is taken in one function, which ignores poisoning: what it guards is always whole"
)]
pub(crate) struct Settings(Option<std::sync::Mutex<Saved>>);

#[cfg(unix)]
struct Saved {
    /// As they were found.
    settings: nix::sys::termios::Termios,
    /// They are restored, and must not change any more.
    is_final: bool,
}

#[cfg(unix)]
impl Settings {
    /// Saves them as they are now.
    pub(crate) fn of_stdin() -> Self {
        let settings = nix::sys::termios::tcgetattr(io::stdin());
        let saved = |settings| Saved {
            settings,
            is_final: false,
        };
        Self(settings.ok().map(|settings| saved(settings).into()))
    }

    /// Makes keys arrive as they are typed, and shows none of them: also between two lines
    /// that are edited, when the line editor gives the terminal back.
    pub(crate) fn hush(&self) {
        use nix::sys::termios::{InputFlags, LocalFlags};
        let Some(saved) = self.lock().filter(|saved| !saved.is_final) else {
            return;
        };
        let mut settings = saved.settings.clone();
        let lines = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN;
        settings.local_flags &= !lines;
        settings.input_flags &= !(InputFlags::ICRNL | InputFlags::IXON);
        set(&settings);
    }

    /// Restores them.
    pub(crate) fn put_back(&self) {
        if let Some(saved) = self.lock() {
            set(&saved.settings);
        }
    }

    /// Restores them, and changes nothing from then on.
    pub(crate) fn put_back_for_good(&self) {
        if let Some(mut saved) = self.lock() {
            saved.is_final = true;
            set(&saved.settings);
        }
    }

    fn lock(&self) -> Option<std::sync::MutexGuard<'_, Saved>> {
        let saved = self.0.as_ref()?.lock();
        Some(saved.unwrap_or_else(std::sync::PoisonError::into_inner))
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

    /// Nothing is changed.
    pub(crate) fn put_back_for_good(&self) {}
}
