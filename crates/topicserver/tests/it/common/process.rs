//! The real program, its log, and what the system says about it.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::{
    Client, LIMIT, eventually, is_over_tls, is_over_unix, note_socket, secrets, socket_path,
    state_directory,
};

/// A running topic server. It is killed when this is dropped.
pub struct Process {
    child: Child,
    log: Arc<Log>,
    logging: Option<JoinHandle<()>>,
    audit: Option<PathBuf>,
    addr: SocketAddr,
}

/// What it wrote to standard error.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

/// The program, to be started with arguments that make it end.
pub fn program() -> Command {
    without_settings(Command::new(env!("CARGO_BIN_EXE_topicserver")))
}

/// Every `NATTER_…` is an option of the program, so those of whoever runs the tests, or a
/// test's own, would be obeyed or refused.
fn without_settings(mut command: Command) -> Command {
    let settings =
        std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"NATTER_"));
    for (name, _) in settings {
        command.env_remove(name);
    }
    command
}

/// What a command says after an option.
fn value(command: &Command, option: &str) -> Option<PathBuf> {
    let mut words = command.get_args();
    words.find(|word| *word == option)?;
    words.next().map(PathBuf::from)
}

/// Runs a program that should end by itself. It may print a new token, and complains without
/// one.
pub fn finish(command: &mut Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("{command:?} didn't end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    secrets::note_in(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    for line in complaints.lines() {
        secrets::see("standard error", line);
    }
    secrets::expect_no_leak();
    output
}

impl Process {
    /// Starts the program on a port of its own.
    pub fn start(options: &[&str]) -> Self {
        Self::start_at(0, options)
    }

    /// Starts the program on this port.
    pub fn start_at(port: u16, options: &[&str]) -> Self {
        Self::start_by(program(), port, options)
    }

    /// Starts the program on this port, by a command to which only its arguments are added.
    pub fn start_by(command: Command, port: u16, options: &[&str]) -> Self {
        let mut command = without_settings(command);
        command.arg(port.to_string()).args(options);
        Self::run(command)
    }

    /// The same, with something done to the process before, in the shell's words.
    pub fn start_after(preparation: &str, options: &[&str]) -> Self {
        let mut command = without_settings(Command::new("sh"));
        command
            .arg("-c")
            .arg(format!("{preparation}; exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_topicserver"))
            .arg("0")
            .args(options);
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        if is_over_tls() {
            command.arg("--tls-self-signed");
        }
        watch(&mut command);
        let audit = value(&command, "--audit-log");
        let socket = is_over_unix().then(socket_path);
        if let Some(path) = &socket {
            command.arg(format!("--listen=unix:{}", path.display()));
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("XDG_STATE_HOME", state_directory())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().unwrap();
        let logging = {
            let log = log.clone();
            std::thread::spawn(move || log.follow(BufReader::new(stderr)))
        };
        let mut process = Self {
            child,
            log,
            logging: Some(logging),
            audit,
            addr: (Ipv4Addr::UNSPECIFIED, 0).into(),
        };
        let ready = process.wait_for("listening on ");
        let (_, addr) = ready.split_once("listening on ").unwrap();
        process.addr = addr.parse().unwrap();
        note_key(&command);
        if let Some(path) = &socket {
            process.wait_for("listening on unix:");
            note_socket(process.addr.port(), path);
        }
        process
    }

    /// The address that the ready line names.
    pub fn listens_on(&self) -> SocketAddr {
        self.addr
    }

    /// Where to reach it over IPv4.
    pub fn v4(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.addr.port()).into()
    }

    /// Where to reach it over IPv6.
    pub fn v6(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.addr.port()).into()
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.v4())
    }

    /// A client whose registration has taken effect.
    pub fn join(&self, topics: &[&str]) -> Client {
        let mut client = self.connect();
        client.join(topics);
        client
    }

    /// The first line of the log that holds `part`, when there is one.
    #[track_caller]
    pub fn wait_for(&self, part: &str) -> String {
        let start = Instant::now();
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(part)) {
                return line.clone();
            }
            let left = LIMIT.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "no {part:?} in the log: {lines:#?}");
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// The lines of the log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().clone()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\""])
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success(), "can't send SIG{name}");
    }

    /// Ends it at once, in the middle of whatever it does, and waits for that.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.wait();
    }

    /// Asks it to end in order, and waits for that.
    #[track_caller]
    pub fn terminate(&mut self) {
        self.signal("TERM");
        let status = self.wait();
        assert!(status.success(), "{status}: {:#?}", self.log());
    }

    /// Waits for it to end. Its log is complete then, and nothing may have come
    /// on standard output, which is for messages.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let log = self.log.clone();
        let what = "the server to end; its log: ";
        let status = eventually(&format!("{what}{:#?}", log.lines.lock().unwrap()), || {
            self.child.try_wait().unwrap()
        });
        self.logging.take().unwrap().join().unwrap();
        let mut output = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut output).unwrap();
        assert_eq!(output, "", "standard output");
        status
    }

    /// The text of a file that the system keeps about the process.
    #[cfg(target_os = "linux")]
    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Open descriptors.
    #[cfg(target_os = "linux")]
    pub fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        open.unwrap().count()
    }

    /// The soft and the hard limit of open descriptors.
    #[cfg(target_os = "linux")]
    pub fn descriptor_limits(&self) -> (String, String) {
        let limits = self.proc("limits");
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"));
        let mut words = line.unwrap().split_whitespace().map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    }

    /// Time on a processor so far, in the system's ticks (a hundredth of a second).
    #[cfg(target_os = "linux")]
    pub fn ticks(&self) -> u64 {
        let stat = self.proc("stat");
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        let fields: Vec<_> = after_name.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
        ticks(11) + ticks(12)
    }

    /// Whether it has done nothing for a moment.
    #[cfg(target_os = "linux")]
    pub fn is_at_rest(&self) -> bool {
        let before = self.ticks();
        std::thread::sleep(std::time::Duration::from_millis(100));
        self.ticks() == before
    }

    /// Bytes of memory that it occupies.
    #[cfg(target_os = "linux")]
    pub fn memory(&self) -> usize {
        let status = self.proc("status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<usize>().unwrap() * 1024
    }
}

/// Prepares a server that knows secrets: it logs as much as it can, and nothing of them may be in
/// that.
fn watch(command: &mut Command) {
    let accounts = value(command, "--auth");
    if accounts.is_some() && value(command, "--log").is_none() {
        command.args(["--log", "trace"]);
    }
    if value(command, "--log").is_some_and(|level| level.as_os_str() == "trace") {
        secrets::watch();
    }
    if let Some(accounts) = accounts {
        secrets::note_file(&accounts);
    }
}

/// Notes the key that a server has for TLS. One of its own is there when it listens.
fn note_key(command: &Command) {
    let kept = value(command, "--data").map(|data| data.join("tls/key.pem"));
    let own = state_directory().join("natter/tls/key.pem");
    let keys = [value(command, "--tls-key"), kept, Some(own)];
    for key in keys.into_iter().flatten() {
        secrets::note_file(&key);
    }
}

impl Log {
    fn follow(&self, mut stderr: impl BufRead) {
        let mut line = Vec::new();
        while stderr.read_until(b'\n', &mut line).unwrap() > 0 {
            let text = String::from_utf8_lossy(&line);
            let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
            secrets::see("the log", &text);
            self.lines.lock().unwrap().push(text);
            self.grown.notify_all();
            line.clear();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(logging) = self.logging.take() {
            let _ = logging.join();
        }
        if let Some(audit) = &self.audit {
            secrets::see_file("the audit log", audit);
        }
        secrets::expect_no_leak();
    }
}
