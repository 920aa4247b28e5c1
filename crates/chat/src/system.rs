//! Functions that differ between systems: the only file with `cfg` for them.
//!
//! Every function exists on every system, and does what it can there.

use std::io;

/// Lets a port be listened on again right after the last listener has ended.
#[cfg(unix)]
pub(crate) fn reuse_address(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// On Windows this is the default, and the option would let two programs listen on one port.
#[cfg(windows)]
pub(crate) fn reuse_address(_socket: &socket2::Socket) -> io::Result<()> {
    Ok(())
}

/// The person's login name, as the system's user database has it.
#[cfg(unix)]
pub fn login_name() -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok()??;
    Some(user.name).filter(|name| !name.is_empty())
}

/// On Windows the environment always has it.
#[cfg(windows)]
pub fn login_name() -> Option<String> {
    None
}

/// Whether standard input is a file, which is read to its end without a pause.
#[cfg(unix)]
pub(crate) fn is_file(stdin: &io::Stdin) -> bool {
    use std::os::fd::AsFd as _;
    let file = stdin.as_fd().try_clone_to_owned().map(std::fs::File::from);
    let metadata = file.and_then(|file| file.metadata());
    metadata.is_ok_and(|metadata| metadata.is_file())
}

/// On Windows a file is treated like a pipe.
#[cfg(windows)]
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

/// On Windows the end of the input has to be enough.
#[cfg(windows)]
pub(crate) fn interrupt() {}

/// Stops the program as Ctrl-Z does; returns when it goes on.
#[cfg(unix)]
pub(crate) fn stop() {
    use nix::sys::signal::{Signal, raise};
    // Sent to this very thread, so that it goes no further.
    let _ = raise(Signal::SIGTSTP);
}

/// On Windows no program can be suspended.
#[cfg(windows)]
pub(crate) fn stop() {}

/// The settings of the terminal that standard input comes from.
#[cfg(unix)]
#[expect(
    clippy::disallowed_types,
    reason = "the lock is taken in one function, which ignores poisoning: what it guards is always whole"
)]
#[derive(Debug)]
pub(crate) struct Settings(Option<std::sync::Mutex<Saved>>);

#[cfg(unix)]
#[derive(Debug)]
struct Saved {
    /// The settings as they were found.
    settings: nix::sys::termios::Termios,
    /// They are restored, and must not be changed any more.
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

    /// Makes every key arrive as it is typed, and shows none of them.
    pub(crate) fn make_raw(&self) {
        let Some(saved) = self.lock().filter(|saved| !saved.is_final) else {
            return;
        };
        let mut settings = saved.settings.clone();
        nix::sys::termios::cfmakeraw(&mut settings);
        set(&settings);
    }

    /// Restores them.
    pub(crate) fn put_back(&self) {
        if let Some(saved) = self.lock() {
            set(&saved.settings);
        }
    }

    /// Restores the settings, and changes nothing afterwards. A program in the background has
    /// nothing to restore: its shell has done that.
    pub(crate) fn put_back_for_good(&self) {
        if let Some(mut saved) = self.lock() {
            saved.is_final = true;
            if is_in_foreground() {
                set(&saved.settings);
            }
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

/// Hides what is typed on the terminal until it is dropped.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Hidden(nix::sys::termios::Termios);

#[cfg(unix)]
impl Hidden {
    /// Begins to hide.
    pub(crate) fn begin() -> io::Result<Self> {
        use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        // The end of the line is shown, so that what follows begins a new one.
        hidden.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &hidden)?;
        Ok(Self(before))
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        set(&self.0);
    }
}

/// On Windows hidden input isn't supported.
#[cfg(windows)]
#[derive(Debug)]
pub(crate) struct Hidden;

#[cfg(windows)]
impl Hidden {
    /// Always fails.
    pub(crate) fn begin() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether other users of this machine may read the file.
#[cfg(unix)]
pub(crate) fn is_readable_by_others(path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path);
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o077 != 0)
}

/// On Windows the file's mode doesn't tell.
#[cfg(windows)]
pub(crate) fn is_readable_by_others(_path: &std::path::Path) -> bool {
    false
}

/// On Windows the library knows the console's settings.
#[cfg(windows)]
#[derive(Debug)]
pub(crate) struct Settings;

#[cfg(windows)]
impl Settings {
    /// Nothing has to be saved.
    pub(crate) fn of_stdin() -> Self {
        Self
    }

    /// Makes every key arrive as it is typed.
    pub(crate) fn make_raw(&self) {
        let _ = crossterm::terminal::enable_raw_mode();
        // This also makes the console understand escape sequences.
        let _ = crossterm::ansi_support::supports_ansi();
    }

    /// Restores them.
    pub(crate) fn put_back(&self) {
        let _ = crossterm::terminal::disable_raw_mode();
    }

    /// Restores them.
    pub(crate) fn put_back_for_good(&self) {
        self.put_back();
    }
}

/// Whether the program is in the terminal's foreground. Also true if that is unknown.
#[cfg(unix)]
pub(crate) fn is_in_foreground() -> bool {
    let group = nix::unistd::tcgetpgrp(io::stdin());
    group.is_ok_and(|group| group == nix::unistd::getpgrp())
        // A terminal that is no controlling terminal has no foreground.
        || group.is_err()
}

/// On Windows there is no background.
#[cfg(windows)]
pub(crate) fn is_in_foreground() -> bool {
    true
}

/// Ends the program as a terminal that is closed does.
#[cfg(unix)]
pub(crate) fn hang_up() {
    use nix::sys::signal::{Signal, raise};
    // It can only fail for a signal that doesn't exist.
    let _ = raise(Signal::SIGHUP);
}

/// On Windows the end of the input has to be enough.
#[cfg(windows)]
pub(crate) fn hang_up() {}

/// The terminal can't be written to, because it is gone.
#[cfg(unix)]
pub(crate) fn is_hang_up(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EIO)
}

/// That can't be told here.
#[cfg(windows)]
pub(crate) fn is_hang_up(_error: &io::Error) -> bool {
    false
}

/// Waits for the signal of a terminal that is gone to end the program, so that its exit code
/// says so.
#[cfg(unix)]
pub(crate) async fn hung_up() {
    std::future::pending::<()>().await;
}

/// There is no such signal here.
#[cfg(windows)]
pub(crate) async fn hung_up() {}

/// Standard input without a buffer of the library's.
#[cfg(unix)]
pub(crate) fn stdin_file() -> io::Result<std::fs::File> {
    use std::os::fd::AsFd as _;
    let descriptor = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(descriptor.into())
}

/// The longest line that is an answer, in bytes.
const LONGEST_ANSWER: usize = 4096;

/// Reads a line of standard input and nothing behind it, without its end. What is longer than
/// an answer is left out.
#[cfg(unix)]
pub(crate) fn read_line() -> io::Result<String> {
    use std::io::Read as _;
    let mut stdin = stdin_file()?;
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        match stdin.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if line.len() < LONGEST_ANSWER => line.push(byte[0]),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_input(),
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').into())
}

/// Reads a line of standard input, without its end.
#[cfg(windows)]
pub(crate) fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    if line.len() > LONGEST_ANSWER {
        line.clear();
    }
    Ok(line.trim_end_matches(['\r', '\n']).into())
}

/// Creates a file that only the person can read.
pub(crate) fn create_private(path: &std::path::Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Waits until standard input has something.
#[cfg(unix)]
pub(crate) fn wait_for_input() {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let stdin = io::stdin();
    let mut descriptors = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    // An error shows up again when reading.
    let _ = poll(&mut descriptors, PollTimeout::NONE);
}

/// Waits until the reader of standard output has gone. False if that can't be detected.
#[cfg(unix)]
pub(crate) fn wait_until_unread() -> bool {
    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let stdout = io::stdout();
    loop {
        let mut descriptors = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            Err(_) => return false,
            Ok(_) => {}
        }
        let found = descriptors[0].revents().unwrap_or(PollFlags::POLLNVAL);
        return found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
    }
}

/// On Windows only writing detects it.
#[cfg(windows)]
pub(crate) fn wait_until_unread() -> bool {
    false
}

/// The window's columns and rows, as the terminal reports them.
#[cfg(unix)]
pub(crate) fn window_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some((size.ws_col, size.ws_row))
}

/// The window's columns and rows.
#[cfg(windows)]
pub(crate) fn window_size() -> Option<(u16, u16)> {
    crossterm::terminal::size().ok()
}

/// A signal that concerns the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScreenSignal {
    /// The window has another size.
    #[cfg_attr(windows, allow(dead_code, reason = "there is no such signal"))]
    Resized,
    /// The program was suspended and is continued.
    #[cfg_attr(windows, allow(dead_code, reason = "there is no such signal"))]
    Continued,
}

/// The signals that concern the screen.
#[cfg(unix)]
pub(crate) struct ScreenSignals {
    resized: tokio::signal::unix::Signal,
    continued: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl ScreenSignals {
    /// Begins to wait for them.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            resized: signal(SignalKind::window_change())?,
            continued: signal(SignalKind::from_raw(nix::libc::SIGCONT))?,
        })
    }

    /// The next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> ScreenSignal {
        tokio::select! {
            _ = self.resized.recv() => ScreenSignal::Resized,
            _ = self.continued.recv() => ScreenSignal::Continued,
        }
    }
}

/// On Windows there are no such signals.
#[cfg(windows)]
pub(crate) struct ScreenSignals;

#[cfg(windows)]
impl ScreenSignals {
    /// There are no signals to wait for.
    #[expect(clippy::unnecessary_wraps, reason = "as on other systems")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for ever.
    pub(crate) async fn next(&mut self) -> ScreenSignal {
        std::future::pending().await
    }
}
