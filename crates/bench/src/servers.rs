//! A server's process: started on a loopback port of its own, waited for
//! until it accepts, and ended, by its own handle, when dropped.

use crate::contender::{Contender, System};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A server that hasn't accepted by then has failed.
const START_LIMIT: Duration = Duration::from_secs(10);
const START_POLL: Duration = Duration::from_millis(5);
/// So much of a failed server's log is shown.
const LOG_SHOWN: usize = 2000;

static SCRATCHES: AtomicU32 = AtomicU32::new(0);

/// A server that accepts connections; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    scratch: Scratch,
}

/// A folder that is removed with its content when dropped.
struct Scratch(PathBuf);

impl Server {
    /// Starts a fresh process of `contender` and waits until it accepts.
    pub(crate) fn start(contender: &Contender, group: usize) -> Result<Self> {
        let scratch = Scratch::new()?;
        let port = free_port()?;
        let mut command = contender.command(port, &scratch.0, group)?;
        let log = File::create(scratch.log()).context("creating the server's log file")?;
        command.stdin(Stdio::null()).stderr(log.try_clone()?);
        // The relay says that it listens: its clients join by connecting, so a
        // connection made to find out would be one of them.
        let speaks = contender.system == System::Relay;
        command.stdout(if speaks { Stdio::piped() } else { log.into() });
        let mut server = Self {
            child: spawn(&mut command, contender)?,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            scratch,
        };
        let ready = if speaks {
            server.await_line()
        } else {
            server.await_port()
        };
        ready.with_context(|| format!("starting {} ({:?})", contender.name, contender.program))?;
        Ok(server)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn await_line(&mut self) -> Result<()> {
        let output = self.child.stdout.take().context("the output isn't piped")?;
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .context("reading where it listens")?;
        ensure!(!line.is_empty(), "it ended at once: {}", self.log());
        Ok(())
    }

    fn await_port(&mut self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("looking after it")? {
                bail!("it ended at once ({status}): {}", self.log());
            }
            std::thread::sleep(START_POLL);
        }
        bail!(
            "it doesn't accept connections on {} after {} s: {}",
            self.address,
            START_LIMIT.as_secs(),
            self.log()
        );
    }

    /// The end of what it has written.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.scratch.log()).unwrap_or_default();
        let end = &bytes[bytes.len().saturating_sub(LOG_SHOWN)..];
        match String::from_utf8_lossy(end).trim() {
            "" => "it has logged nothing".to_owned(),
            text => format!("its log ends:\n{text}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Scratch {
    fn new() -> Result<Self> {
        let number = SCRATCHES.fetch_add(1, Ordering::Relaxed);
        let name = format!("topicbench-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).with_context(|| format!("creating {path:?}"))?;
        Ok(Self(path))
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn spawn(command: &mut Command, contender: &Contender) -> Result<Child> {
    command
        .spawn()
        .with_context(|| format!("running {:?}: is it executable?", contender.program))
}

/// A port that nobody has now. Another program could take it before the server
/// does; then the server says so and the run fails.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
    Ok(listener.local_addr().context("finding a free port")?.port())
}
