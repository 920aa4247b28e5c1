//! A running program with its three streams, watched line by line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::secrets;

/// The longest that anything may take, on a machine that is busy with others.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What is done with a program's standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Read,
    /// A pipe that nobody empties.
    Blocked,
}

/// A running `chat`, or another program that behaves like one. Dropping it
/// ends it.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines,
    notices: Lines,
}

impl Process {
    /// Runs `chat` with these arguments.
    pub(crate) fn chat(arguments: &[&str]) -> Self {
        let mut command = chat();
        command.args(arguments);
        Self::start(command, Output::Read)
    }

    /// Runs `command`, watching its streams.
    pub(crate) fn start(command: Command, output: Output) -> Self {
        Self::start_with(command, Stdio::piped(), output)
    }

    fn start_with(mut command: Command, input: Stdio, output: Output) -> Self {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = match output {
            Output::Read => Lines::of(child.stdout.take().unwrap()),
            Output::Blocked => Lines::of(std::io::empty()),
        };
        Self {
            input: child.stdin.take(),
            output: lines,
            notices: Lines::of(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Runs `chat -direct PORT` with a free port; returns when it waits.
    pub(crate) fn listener(options: &[&str]) -> (Self, u16) {
        Self::listener_with(options, Stdio::piped, Output::Read)
    }

    /// The same, but nobody reads its standard output.
    pub(crate) fn blocked_listener() -> (Self, u16) {
        Self::listener_with(&[], Stdio::piped, Output::Blocked)
    }

    /// The same, with a file as its standard input.
    pub(crate) fn listener_reading(file: &File, options: &[&str]) -> (Self, u16) {
        let input = || {
            // The last try may have read some of it.
            (&mut &*file).rewind().unwrap();
            file.try_clone().unwrap().into()
        };
        Self::listener_with(options, input, Output::Read)
    }

    fn listener_with(options: &[&str], input: impl Fn() -> Stdio, output: Output) -> (Self, u16) {
        loop {
            let port = free_port();
            let mut command = chat();
            command.args(["-direct", &port.to_string()]).args(options);
            let mut chat = Self::start_with(command, input(), output);
            // Somebody else can have taken the port meanwhile.
            if chat.next_notice().contains("waiting for a caller on port") {
                return (chat, port);
            }
        }
    }

    /// Runs `chat -direct 0` to call that port of this machine; returns when it
    /// is connected.
    pub(crate) fn caller(port: u16, options: &[&str]) -> Self {
        let address = format!("127.0.0.1:{port}");
        let mut arguments = vec!["-direct", "0", &address];
        arguments.extend(options);
        let mut chat = Self::chat(&arguments);
        chat.notice(&format!("connected to {address}"));
        chat
    }

    /// Runs `chat -direct 0` to call `address`, with a file as its standard input.
    pub(crate) fn caller_reading(file: File, address: &str, options: &[&str]) -> Self {
        Self::reading(file, &[&["-direct", "0", address], options].concat())
    }

    /// Runs `chat` with these arguments and a file as its standard input.
    pub(crate) fn reading(file: File, arguments: &[&str]) -> Self {
        let mut command = chat();
        command.args(arguments);
        Self::start_with(command, file.into(), Output::Read)
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        self.feeds(format!("{line}\n").as_bytes());
    }

    /// Puts bytes into standard input.
    pub(crate) fn feeds(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Takes standard input, to be written from another thread.
    pub(crate) fn take_input(&mut self) -> ChildStdin {
        self.input.take().unwrap()
    }

    /// Ends standard input.
    pub(crate) fn ends_input(&mut self) {
        self.input = None;
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        self.output.next().unwrap_or_else(|| {
            panic!(
                "standard output ended; notices: {:#?}",
                self.notices.so_far()
            )
        })
    }

    /// The next line of standard output that isn't a probe (`server.rs`).
    pub(crate) fn printed(&mut self) -> String {
        loop {
            let line = self.line();
            if !line.contains("probe") {
                return line;
            }
        }
    }

    /// The lines of standard output until its end.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.output.next()).collect()
    }

    /// The next line of standard error.
    pub(crate) fn next_notice(&mut self) -> String {
        let line = self.notices.next().expect("standard error ended");
        assert!(line.starts_with("chat: "), "{line:?}");
        line
    }

    /// The first line of standard error from here on that holds `part`.
    pub(crate) fn notice(&mut self, part: &str) -> String {
        let mut others = Vec::new();
        while let Some(line) = self.notices.next() {
            assert!(line.starts_with("chat: "), "{line:?}");
            if line.contains(part) {
                return line;
            }
            others.push(line);
        }
        panic!("no notice {part:?}, but {others:#?}");
    }

    /// The lines of standard error until its end.
    pub(crate) fn notices(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.notices.next()).collect()
    }

    /// Waits for the end; the exit code.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or_else(|| panic!("{status}"));
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("still running; notices: {:#?}", self.notices.so_far());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the input and waits for the end; the exit code.
    pub(crate) fn finishes(&mut self) -> i32 {
        self.ends_input();
        self.exit_code()
    }

    /// Sends SIGINT, as Ctrl-C does.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if secrets::is_watching() {
            self.output.finish();
            self.notices.finish();
        }
        secrets::expect_no_leak();
    }
}

/// The program under test.
pub(crate) fn chat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
    // Not the home of whoever runs the tests: a key that was noted there for a port would be
    // asked of the next server on that port.
    command
        .env("HOME", home())
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_STATE_HOME");
    command
}

/// An empty home of this test's own. It is made when something is noted in it.
fn home() -> PathBuf {
    static STARTED: LazyLock<u128> = LazyLock::new(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap().as_nanos()
    });
    let name = format!("natter-home-{}-{}", std::process::id(), *STARTED);
    std::env::temp_dir().join(name)
}

/// Lines that a thread reads.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            // A pty's end is an error, everything else's is an empty line.
            while reader
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
                secrets::shown(&text);
                if sender
                    .send(text.trim_end_matches(['\r', '\n']).into())
                    .is_err()
                {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// The next line; nothing at the end of the stream.
    pub(crate) fn next(&self) -> Option<String> {
        match self.0.recv_timeout(LIMIT) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing came within {LIMIT:?}"),
        }
    }

    /// Reads what a program that has ended has still written.
    fn finish(&self) {
        while self.0.recv_timeout(LIMIT).is_ok() {}
    }

    fn so_far(&self) -> Vec<String> {
        self.0.try_iter().collect()
    }
}

/// A file of numbered lines of that length or longer, open to be read.
pub(crate) fn file_of_lines(count: usize, length: usize) -> File {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("lines-{}-{number}", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let filler = "é".repeat(length / 2);
    let lines: String = (0..count)
        .map(|number| format!("{number} {filler}\n"))
        .collect();
    std::fs::write(&path, lines).unwrap();
    let file = File::open(&path).unwrap();
    // Where a file that is open can't be removed, it stays with the build.
    let _ = std::fs::remove_file(&path);
    file
}

/// A port that nobody listens on, below those that outgoing connections get.
/// Each process of the tests looks in a place of its own.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let place = (std::process::id() % 1000) as u16 * 20;
        let port = 11_000 + (place + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if std::net::TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}
