//! The program as a service of systemd, without systemd: a test's own socket hears what is
//! said to it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::uninterrupted::uninterrupted;
use crate::common::{Client, Directory, LIMIT, LoopDisk, Process, finish, program};
use crate::exposition::admin;

const UNIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../packaging/natter.service"
);

/// Where a service manager listens.
struct Manager {
    directory: Directory,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let directory = Directory::new();
        std::fs::create_dir_all(directory.path()).unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self { directory, socket }
    }

    /// What a shell says to have the server find it; with a watchdog's period in microseconds.
    fn environment(&self, watchdog: Option<u64>) -> String {
        let path = self.directory.path().join("notify");
        let watchdog = watchdog.map(|period| format!(" WATCHDOG_USEC={period}"));
        format!(
            "export NOTIFY_SOCKET={}{}",
            path.display(),
            watchdog.unwrap_or_default()
        )
    }

    fn hear(&self) -> String {
        self.try_hear().expect("nothing is said")
    }

    fn try_hear(&self) -> Option<String> {
        let mut buffer = [0; 1_000];
        let count = uninterrupted(|| self.socket.recv(&mut buffer)).ok()?;
        Some(String::from_utf8(buffer[..count].to_vec()).unwrap())
    }
}

#[test]
fn it_says_when_it_is_ready_reloads_and_stops() {
    let manager = Manager::new();
    let options = ["--admin", "127.0.0.1:0"];
    let mut server = Process::start_after(&manager.environment(None), &options);
    assert_eq!(manager.hear(), "READY=1\n");
    let mut client = server.join(&["t"]);
    // A service is reloaded by this signal, also if there is nothing to be read again.
    server.signal("HUP");
    let reloading = manager.hear();
    assert!(
        reloading.starts_with("RELOADING=1\n") && reloading.contains("MONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(manager.hear(), "READY=1\n");
    client.sync();
    // In the same way when an administrator asks.
    let address = admin(&server).to_string();
    assert!(
        finish(program().args(["reload", &address]))
            .status
            .success()
    );
    assert!(manager.hear().starts_with("RELOADING=1\n"));
    assert_eq!(manager.hear(), "READY=1\n");
    server.signal("TERM");
    assert_eq!(manager.hear(), "STOPPING=1\n");
    assert_eq!(server.wait().code(), Some(0));
}

/// Whoever ends it: systemd would kill a service for silence that has not said that it ends.
#[test]
fn a_server_that_an_administrator_ends_says_so_and_is_not_taken_for_stuck() {
    let manager = Manager::new();
    let options = ["--admin", "127.0.0.1:0", "--drain-spread", "1"];
    let mut server = Process::start_after(&manager.environment(Some(300_000)), &options);
    let _clients = [server.join(&["t"]), server.join(&["t"])];
    let address = admin(&server).to_string();
    assert!(finish(program().args(["drain", &address])).status.success());
    let mut said = std::iter::from_fn(|| manager.try_hear());
    assert!(said.any(|text| text == "STOPPING=1\n"));
    assert_eq!(server.wait().code(), Some(0));
    let log = server.log();
    assert!(
        !log.iter().any(|line| line.contains("no sign of life")),
        "{log:#?}"
    );
}

#[test]
fn the_watchdog_is_fed_only_while_the_history_is_written() {
    let Some(disk) = LoopDisk::new() else {
        println!("skipped: it takes root, ext4 and a loop device");
        return;
    };
    let manager = Manager::new();
    let data = disk.path().join("data");
    let options = ["--data", data.to_str().unwrap(), "--storage-timeout", "1"];
    let server = Process::start_after(&manager.environment(Some(300_000)), &options);
    let fed = || {
        let mut said = std::iter::from_fn(|| manager.try_hear());
        assert!(said.any(|text| text == "WATCHDOG=1\n"), "no sign of life");
    };
    (0..3).for_each(|_| fed());

    disk.freeze();
    let mut publisher = server.join(&["t"]);
    publisher.say("t", "waits for the disk");
    server.wait_for("no sign of life");
    // What was said before the disk stopped is heard; then nothing for three periods.
    manager.socket.set_nonblocking(true).unwrap();
    while manager.try_hear().is_some() {}
    manager.socket.set_nonblocking(false).unwrap();
    let silence = Some(Duration::from_millis(900));
    manager.socket.set_read_timeout(silence).unwrap();
    assert_eq!(manager.try_hear(), None);

    disk.thaw();
    manager.socket.set_read_timeout(Some(LIMIT)).unwrap();
    fed();
}

/// A process that has a socket that listens, and starts the server with it, as often as it
/// gets a line; each time until that server has ended.
struct Holder {
    child: Child,
    port: u16,
}

const HOLDER: &str = r#"
import os, socket, subprocess, sys
listener = socket.create_server(('127.0.0.1', 0), backlog=100)
os.dup2(listener.fileno(), 3, inheritable=True)
print(listener.getsockname()[1], flush=True)
for line in sys.stdin:
    script = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" 1'
    server = subprocess.Popen(['sh', '-c', script, sys.argv[1]], pass_fds=[3])
    print(server.pid, flush=True)
    print(server.wait(), flush=True)
"#;

impl Holder {
    fn new() -> Self {
        let program = program();
        let mut child = Command::new("python3")
            .args(["-c", HOLDER])
            .arg(program.get_program())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let port = line(&mut child).parse().unwrap();
        Self { child, port }
    }

    /// Starts a server; its process.
    fn start(&mut self) -> String {
        use std::io::Write;
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        line(&mut self.child)
    }

    fn client(&self) -> Client {
        Client::connect(([127, 0, 0, 1], self.port).into())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of its output, byte by byte: what follows stays there.
fn line(child: &mut Child) -> String {
    let stdout = child.stdout.as_mut().unwrap();
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        match byte {
            [b'\n'] => return String::from_utf8(line).unwrap(),
            [byte] => line.push(byte),
        }
    }
}

#[test]
fn whoever_connects_while_the_server_is_started_anew_is_served_by_the_next_one() {
    let mut holder = Holder::new();
    let first = holder.start();
    let mut before = holder.client();
    before.join(&["t"]);
    let status = Command::new("kill")
        .args(["-TERM", &first])
        .status()
        .unwrap();
    assert!(status.success());
    before.expect_error("shutting-down");
    drop(before);
    assert_eq!(line(&mut holder.child), "0", "it has ended");
    // Nobody serves now, and nobody is refused.
    let mut early = holder.client();
    early.register(&["t"]);
    let second = holder.start();
    early.sync();
    let mut late = holder.client();
    late.join(&["t"]);
    late.say("t", "served");
    early.expect("t", "served");
    drop((early, late));
    let status = Command::new("kill")
        .args(["-TERM", &second])
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(line(&mut holder.child), "0");
}

const BOTH: &str = r#"
import os, socket, subprocess, sys
port = socket.create_server(('127.0.0.1', 0), backlog=100)
local = socket.socket(socket.AF_UNIX)
local.bind(sys.argv[2])
local.listen(100)
print(port.getsockname()[1], flush=True)
ordered = (port, local) if sys.argv[3] == '1' else (local, port)
# Out of the way of the numbers that the server looks at.
high = [os.dup2(one.fileno(), at) for one, at in zip(ordered, (103, 104))]
os.dup2(high[0], 3)
os.dup2(high[1], 4)
os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], [sys.argv[1], '1'])
"#;

#[test]
fn systemd_can_open_the_unix_socket_too_before_or_after_the_port() {
    for order in ["1", "2"] {
        let directory = Directory::new();
        let path = directory.path().join("socket");
        let program = program();
        let mut child = Command::new("python3")
            .args(["-c", BOTH])
            .arg(program.get_program())
            .arg(&path)
            .arg(order)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let port = line(&mut child).parse().unwrap();
        let mut tcp = Client::connect(([127, 0, 0, 1], port).into());
        let mut local = Client::local(&path);
        local.join(&["t"]);
        tcp.join(&["t"]);
        tcp.say("t", "to the socket");
        local.expect("t", "to the socket");
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        drop((tcp, local));
        assert!(child.wait().unwrap().success());
        assert!(path.exists(), "the file is systemd's");
    }
}

/// What `systemd-analyze` says of the unit; `None` where it isn't installed.
fn analyze(arguments: &[&str]) -> Option<String> {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(UNIT)
        .output();
    let Ok(output) = output else {
        println!("skipped: systemd-analyze is not installed");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some(String::from_utf8(text).unwrap())
}

#[test]
fn the_unit_is_understood_and_well_protected() {
    if let Some(text) = analyze(&["verify"]) {
        let complaints = text.lines().filter(|line| line.contains("natter.service"));
        // Neither the program nor its manual is installed where this is tested.
        let complaints: Vec<_> = complaints
            .filter(|line| {
                !line.contains("/usr/bin/topicserver") && !line.contains("man topicserver")
            })
            .collect();
        assert!(complaints.is_empty(), "{text}");
    }
    if let Some(text) = analyze(&["security", "--offline=yes"]) {
        let last = text
            .lines()
            .rfind(|line| line.contains("exposure level"))
            .unwrap();
        let words = last.split_whitespace();
        let level = words
            .filter_map(|word| word.parse::<f64>().ok())
            .next()
            .unwrap();
        assert!(level < 2.0, "{last}");
    }
}

#[test]
fn the_unit_asks_for_nothing_that_the_oldest_systemd_in_use_does_not_know() {
    let unit = std::fs::read_to_string(Path::new(UNIT)).unwrap();
    // Debian 12 has 252, which ignores this, and the service's readiness with it.
    assert!(!unit.contains("Type=notify-reload"));
    for needed in [
        "Type=notify",
        "WatchdogSec=30",
        "ExecReload=",
        "Restart=on-failure",
        // Without it the server knows no network of its own, and refuses who is in it.
        "AF_NETLINK",
    ] {
        assert!(unit.contains(needed), "{needed}");
    }
}
