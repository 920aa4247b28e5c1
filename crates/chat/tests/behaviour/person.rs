//! A person at a terminal: types keys, and sees a screen.

use std::io::Write as _;
use std::num::NonZeroU16;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::termios::{Termios, tcgetattr};
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::process::chat;
use crate::secrets;
use crate::uninterrupted::read_some;

/// The longest that anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// From Enter to the next key.
const AFTER_ENTER: Duration = Duration::from_millis(40);
/// How long an Enter may draw nothing: where it does nothing, for ever.
const LONGEST_ENTER: Duration = Duration::from_secs(1);
/// What is kept of what the program has written, in bytes.
const KEPT: usize = 1 << 20;

/// Someone who runs `chat` on a model terminal.
pub(crate) struct Person {
    keyboard: Arc<Pty>,
    /// Another end of the terminal, so that its settings outlive the program.
    terminal: OwnedFd,
    screen: Arc<Screen>,
    child: Child,
    before: Termios,
    /// Enter was pressed last, when the program had written so often.
    entered: Mutex<Option<usize>>,
}

struct Screen {
    shown: Mutex<Shown>,
    changed: Condvar,
}

struct Shown {
    parser: vt100::Parser<Bell>,
    /// When the program has written something.
    writes: Vec<Instant>,
    /// What it has written, with what a model terminal knows nothing of.
    bytes: Vec<u8>,
}

impl Shown {
    fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    fn has_sent(&self, what: &str) -> bool {
        let mut windows = self.bytes.windows(what.len());
        windows.any(|window| window == what.as_bytes())
    }

    fn written(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.writes.push(Instant::now());
        self.bytes.extend_from_slice(bytes);
        let surplus = self.bytes.len().saturating_sub(KEPT);
        self.bytes.drain(..surplus);
    }
}

/// How often it has rung.
#[derive(Default)]
struct Bell(usize);

impl vt100::Callbacks for Bell {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.0 += 1;
    }
}

impl Person {
    /// Runs `chat` with these arguments in a window of that size.
    pub(crate) fn sits_at(rows: u16, columns: u16, arguments: &[&str]) -> Self {
        Self::with(rows, columns, arguments, &[])
    }

    /// The same, with more in the environment.
    pub(crate) fn with(
        rows: u16,
        columns: u16,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let program = chat();
        Self::running(rows, columns, program.get_program(), arguments, environment)
    }

    /// Runs `chat` in a window that reports no size.
    pub(crate) fn without_a_size(arguments: &[&str]) -> Self {
        let program = chat();
        Self::running(0, 0, program.get_program(), arguments, &[])
    }

    /// The same, with another program that runs `chat`.
    pub(crate) fn running(
        rows: u16,
        columns: u16,
        program: impl AsRef<std::ffi::OsStr>,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let (pty, terminal) = open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        let keyboard = Arc::new(pty);
        let other = terminal.as_fd().try_clone_to_owned().unwrap();
        let before = tcgetattr(&other).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color")
            .env("USER", "alice")
            .env("TZ", "UTC")
            .env_remove("XDG_STATE_HOME")
            .env_remove("HOME")
            .envs(environment.iter().copied())
            .spawn(terminal)
            .unwrap();
        let parser = vt100::Parser::new_with_callbacks(
            NonZeroU16::new(rows).unwrap_or(NonZeroU16::new(24).unwrap()),
            NonZeroU16::new(columns).unwrap_or(NonZeroU16::new(80).unwrap()),
            1_000,
            Bell::default(),
        );
        let screen = Arc::new(Screen {
            shown: Mutex::new(Shown {
                parser,
                writes: Vec::new(),
                bytes: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        let (watched, output) = (Arc::clone(&screen), Arc::clone(&keyboard));
        std::thread::spawn(move || watch(&output, &watched));
        Self {
            keyboard,
            terminal: other,
            screen,
            child,
            before,
            entered: Mutex::new(None),
        }
    }

    /// Presses keys. Nobody types on in the very moment after Enter: which moment that is
    /// depends on when the program has read it, and it draws something then.
    pub(crate) fn types(&self, keys: &str) {
        let mut entered = self.entered.lock().unwrap();
        if let Some(writes) = entered.take() {
            let drawn = self.waits_for_a_write(writes);
            std::thread::sleep(AFTER_ENTER.saturating_sub(drawn.elapsed()));
        }
        let writes = self.screen.shown.lock().unwrap().writes.len();
        self.sends(keys.as_bytes());
        if keys.ends_with('\r') {
            *entered = Some(writes);
        }
    }

    /// Waits until the program has written more often than that, for a while: when it did.
    fn waits_for_a_write(&self, writes: usize) -> Instant {
        let shown = self.screen.shown.lock().unwrap();
        let is_missing = |shown: &mut Shown| shown.writes.len() <= writes;
        let waited = self
            .screen
            .changed
            .wait_timeout_while(shown, LONGEST_ENTER, is_missing);
        let (shown, _) = waited.unwrap();
        shown
            .writes
            .get(writes)
            .copied()
            .unwrap_or_else(Instant::now)
    }

    /// The terminal sends these bytes at once.
    pub(crate) fn sends(&self, bytes: &[u8]) {
        (&*self.keyboard).write_all(bytes).unwrap();
    }

    /// Changes the size of the window.
    pub(crate) fn resizes(&self, rows: u16, columns: u16) {
        let mut shown = self.screen.shown.lock().unwrap();
        let (height, width) = (NonZeroU16::new(rows), NonZeroU16::new(columns));
        shown.parser.set_size(height.unwrap(), width.unwrap());
        drop(shown);
        self.keyboard.resize(Size::new(rows, columns)).unwrap();
    }

    /// Waits until the screen is as `is_right` wants it: the picture.
    pub(crate) fn waits_for(&self, what: &str, is_right: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut shown = self.screen.shown.lock().unwrap();
        loop {
            let picture = shown.screen().contents();
            if is_right(&picture) {
                return picture;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(left > Duration::ZERO, "no {what} on\n{picture}");
            shown = self.screen.changed.wait_timeout(shown, left).unwrap().0;
        }
    }

    /// Waits until the program has written this, escape sequences and all.
    pub(crate) fn is_sent(&self, what: &str) {
        let shown = self.screen.shown.lock().unwrap();
        let is_missing = |shown: &mut Shown| !shown.has_sent(what);
        let waited = self
            .screen
            .changed
            .wait_timeout_while(shown, LIMIT, is_missing);
        let (shown, _) = waited.unwrap();
        let sent = String::from_utf8_lossy(&shown.bytes);
        assert!(shown.has_sent(what), "no {what:?} in {sent:?}");
    }

    /// The program has written this so far.
    pub(crate) fn was_sent(&self, what: &str) -> bool {
        self.screen.shown.lock().unwrap().has_sent(what)
    }

    /// Waits until `text` is on the screen: the picture.
    pub(crate) fn sees(&self, text: &str) -> String {
        self.waits_for(text, |picture| picture.contains(text))
    }

    /// Waits until the last line that isn't empty is this one: the picture.
    pub(crate) fn sees_last(&self, line: &str) -> String {
        self.waits_for(line, |picture| {
            picture.trim_end().lines().next_back() == Some(line.trim_end())
        })
    }

    /// Waits until `text` is on the screen, and the last line is this one: the picture.
    pub(crate) fn sees_above(&self, text: &str, line: &str) -> String {
        self.waits_for(text, |picture| {
            let last = picture.trim_end().lines().next_back();
            picture.contains(text) && last == Some(line.trim_end())
        })
    }

    /// The alternate screen is shown, which leaves the normal one as it was.
    pub(crate) fn is_on_the_alternate_screen(&self) -> bool {
        self.screen
            .shown
            .lock()
            .unwrap()
            .screen()
            .alternate_screen()
    }

    /// Waits until the normal screen is shown again: a program that has ended has written that,
    /// and it may still have to be read.
    pub(crate) fn leaves_the_alternate_screen(&self) {
        let shown = self.screen.shown.lock().unwrap();
        let is_taken = |shown: &mut Shown| shown.screen().alternate_screen();
        let waited = self
            .screen
            .changed
            .wait_timeout_while(shown, LIMIT, is_taken);
        let (shown, _) = waited.unwrap();
        assert!(!shown.screen().alternate_screen());
    }

    /// The terminal's settings are those of a program that takes every key.
    pub(crate) fn is_raw(&self) -> bool {
        let flags = tcgetattr(&self.terminal).unwrap().local_flags;
        !flags.contains(nix::sys::termios::LocalFlags::ICANON)
    }

    /// Presses these keys again and again until `text` is on the screen: the picture.
    pub(crate) fn presses_until(&self, keys: &str, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let picture = self.screen.shown.lock().unwrap().screen().contents();
            if picture.contains(text) {
                return picture;
            }
            assert!(Instant::now() < deadline, "no {text} on\n{picture}");
            self.types(keys);
            std::thread::sleep(AFTER_ENTER);
        }
    }

    /// A paste would be told from what is typed.
    pub(crate) fn is_pasting_bracketed(&self) -> bool {
        self.screen.shown.lock().unwrap().screen().bracketed_paste()
    }

    /// Something on the screen has a colour.
    pub(crate) fn has_colors(&self) -> bool {
        let shown = self.screen.shown.lock().unwrap();
        let screen = shown.screen();
        let cells = (0..14).flat_map(|row| (0..20).map(move |column| (row, column)));
        let mut cells = cells.filter_map(|(row, column)| screen.cell(row, column));
        cells.any(|cell| cell.fgcolor() != vt100::Color::Default)
    }

    /// How often the bell has rung.
    pub(crate) fn rings(&self) -> usize {
        let shown = self.screen.shown.lock().unwrap();
        shown.parser.callbacks().0
    }

    /// The program's process.
    pub(crate) fn process(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// What the program has used of the processors so far.
    #[cfg(target_os = "linux")]
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        // User's and system's time, in hundredths of a second.
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// Waits for the end: the exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "still running");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The terminal's settings are what they were before.
    pub(crate) fn has_the_terminal_back(&self) -> bool {
        tcgetattr(&self.terminal).unwrap() == self.before
    }
}

/// Draws what the program writes, until the terminal is gone.
fn watch(output: &Pty, screen: &Screen) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = read_some(&mut &*output, &mut bytes) {
        secrets::shown(&String::from_utf8_lossy(&bytes[..count]));
        screen.shown.lock().unwrap().written(&bytes[..count]);
        screen.changed.notify_all();
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        secrets::expect_no_leak();
    }
}
