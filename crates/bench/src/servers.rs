//! A server's process, with its own guard and its own loopback port. It is started,
//! waited for until it accepts, and ended when dropped.

use crate::contender::{Contender, Setup, System};
use crate::guard;
use crate::proc;
use crate::workloads::Target;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that hasn't accepted by then has failed.
const START_LIMIT: Duration = Duration::from_secs(10);
const START_POLL: Duration = Duration::from_millis(5);
/// So much of a failed server's log is shown.
const LOG_SHOWN: usize = 2000;

/// A server that accepts connections; dropping it ends it and removes what it
/// has written.
pub(crate) struct Server {
    guard: Guard,
    /// Its process.
    pid: u32,
    /// Where it listens.
    address: SocketAddr,
}

/// The process that ends the server when this one is gone.
struct Guard {
    child: Child,
    /// Its standard input. The guard ends when this is closed, be it by `Drop` or
    /// by the end of this process.
    line: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The server's own folder.
    folder: PathBuf,
}

impl Server {
    /// Starts a fresh process of `contender` and waits until it accepts.
    pub(crate) fn start(contender: &Contender, setup: Setup) -> Result<Self> {
        let port = free_port()?;
        let what = || format!("starting {} ({:?})", contender.name, contender.program);
        let server = Self::run(port, |folder| contender.command(port, folder, setup));
        let server = server.with_context(what)?;
        // The relay says that it listens: its clients join by connecting, so a
        // connection made to find out would be one of them.
        let ready = match contender.system {
            System::Relay => server.wait_until(START_LIMIT, || server.has_said_a_line()),
            _ => server.wait_until(START_LIMIT, || TcpStream::connect(server.address).is_ok()),
        };
        ready.with_context(what)?;
        Ok(server)
    }

    /// Runs the command that `command` makes for a folder of the server's own; it is to listen
    /// on this port.
    pub(crate) fn run(port: u16, command: impl FnOnce(&Path) -> Result<Command>) -> Result<Self> {
        let mut guard = Guard::start().context("starting a guard")?;
        let command = command(&guard.folder)?;
        Ok(Self {
            pid: guard.run(&command)?,
            guard,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Itself as what a workload is run against.
    pub(crate) fn target(&self, contender: &Contender) -> Target {
        let Contender {
            system, variant, ..
        } = *contender;
        Target::new(system, variant, self.address, Some(self.pid))
    }

    /// Waits until `accepts` says so.
    pub(crate) fn wait_until(&self, limit: Duration, accepts: impl Fn() -> bool) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if accepts() {
                return Ok(());
            }
            if let Ok(status) = fs::read_to_string(self.guard.folder.join(guard::ENDED)) {
                bail!("it ended at once ({status}): {}", self.log());
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "topicbench waits in a thread of its own, in which nothing else runs"
            )]
            std::thread::sleep(START_POLL);
        }
        bail!(
            "it isn't ready on {} after {} s: {}",
            self.address,
            limit.as_secs(),
            self.log()
        );
    }

    /// Bytes that its folder takes up on disk, if that can be known.
    pub(crate) fn bytes_on_disk(&self) -> Option<u64> {
        proc::bytes_on_disk(&self.guard.folder)
    }

    fn has_said_a_line(&self) -> bool {
        fs::read(self.log_file()).is_ok_and(|log| log.contains(&b'\n'))
    }

    fn log_file(&self) -> PathBuf {
        self.guard.folder.join(guard::LOG)
    }

    /// The end of what it has written.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        let end = &bytes[bytes.len().saturating_sub(LOG_SHOWN)..];
        match String::from_utf8_lossy(end).trim() {
            "" => "it has logged nothing".to_owned(),
            text => format!("its log ends:\n{text}"),
        }
    }
}

impl Guard {
    /// A guard with a folder, which has nothing to guard yet.
    fn start() -> Result<Self> {
        let own = std::env::current_exe().context("finding this program's own file")?;
        let mut command = Command::new(own);
        command
            .arg(guard::ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        apart(&mut command);
        let mut child = command.spawn().context("running this program again")?;
        let output = child.stdout.take().context("its output isn't piped")?;
        let mut guard = Self {
            line: child.stdin.take(),
            child,
            output: BufReader::new(output),
            folder: PathBuf::new(),
        };
        guard.folder = Path::new(&guard.read_answer()?).to_owned();
        Ok(guard)
    }

    /// Has it run the command in its care, and returns the server's process.
    fn run(&mut self, command: &Command) -> Result<u32> {
        let words: Option<Vec<&str>> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_str())
            .collect();
        let words = words.context("the command has a part that is not UTF-8")?;
        let json = serde_json::to_string(&words).context("writing the command as JSON")?;
        let line = self.line.as_mut().context("its input isn't piped")?;
        writeln!(line, "{json}").context("telling the guard")?;
        let answer = self.read_answer()?;
        match answer.parse() {
            Ok(pid) => Ok(pid),
            Err(_) => bail!("{answer}"),
        }
    }

    fn read_answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .context("listening to the guard")?;
        let line = line
            .strip_suffix('\n')
            .context("the guard ended at once: see the lines above")?;
        Ok(line.to_owned())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.line = None;
        let _ = self.child.wait();
    }
}

/// A terminal sends its Ctrl-C to a whole group of processes: the guard has to
/// outlive that, if only by a moment.
fn apart(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// A port that is free now. If another program takes it before the server does, the
/// server reports that and the run fails.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
    Ok(listener.local_addr().context("finding a free port")?.port())
}
