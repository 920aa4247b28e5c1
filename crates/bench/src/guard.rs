//! The process between topicbench and a server: it starts the server, and ends
//! it and removes its folder as soon as topicbench is gone, whatever ended it.
//!
//! topicbench holds the other end of the guard's standard input and the
//! operating system closes it with its process: by a return, a panic or a signal,
//! SIGKILL among them, which no handler in topicbench itself could answer.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{BufRead, StdinLock, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// The argument that makes this program a guard.
pub(crate) const ARGUMENT: &str = "guard";
/// The server's output, in its folder.
pub(crate) const LOG: &str = "log";
/// Written into the folder when the server has ended by itself: how it ended.
pub(crate) const ENDED: &str = "ended";

/// How often the guard looks whether the server has ended by itself: too seldom
/// to be seen in any figure.
const LOOK: Duration = Duration::from_millis(50);

/// A folder that is removed with its content when dropped.
struct Folder(PathBuf);

/// A process that is ended when dropped.
struct Ward(Child);

/// Guards one server. Says on standard output, a line each, which folder is the
/// server's own, and, having read its command (a JSON array of strings, in a
/// line) from standard input, which process it is, or why there is none.
pub(crate) fn run() -> Result<()> {
    let folder = Folder::new()?;
    say(&folder.0.display().to_string())?;
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .context("reading the server's command")?;
    if line.is_empty() {
        // topicbench has changed its mind, or is gone.
        return Ok(());
    }
    match start(&line, &folder.0) {
        Ok(mut ward) => {
            // The watch on standard input begins before the server is announced.
            let gone = watch_input();
            say(&ward.0.id().to_string())?;
            keep(&mut ward, &folder.0, &gone)
        }
        Err(error) => say(&format!("{error:#}")),
    }
}

fn say(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .context("telling topicbench")
}

fn start(line: &str, folder: &Path) -> Result<Ward> {
    let words: Vec<String> = serde_json::from_str(line).context("reading the server's command")?;
    let (program, arguments) = words.split_first().context("the command is empty")?;
    let log = File::create(folder.join(LOG)).context("creating the server's log file")?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("sharing the log file")?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("running {program:?}: is it executable?"))?;
    Ok(Ward(child))
}

/// A channel that closes when standard input does.
fn watch_input() -> Receiver<()> {
    let (sender, gone) = channel();
    std::thread::spawn(move || {
        drain(std::io::stdin().lock());
        drop(sender);
    });
    gone
}

/// Reads to the end and forgets it.
fn drain(mut input: StdinLock<'_>) {
    while let Ok(bytes) = input.fill_buf() {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        input.consume(length);
    }
}

/// Returns when topicbench has let go. A server that ends before leaves its
/// folder, with the log that says why, until then.
fn keep(ward: &mut Ward, folder: &Path, gone: &Receiver<()>) -> Result<()> {
    while let Err(RecvTimeoutError::Timeout) = gone.recv_timeout(LOOK) {
        if let Some(status) = ward.0.try_wait().context("looking after the server")? {
            fs::write(folder.join(ENDED), status.to_string())
                .context("noting that the server has ended")?;
            // Nothing is ever sent: this waits for the channel's end.
            let _ = gone.recv();
            return Ok(());
        }
    }
    Ok(())
}

impl Folder {
    /// A fresh one in the system's folder for temporary files.
    fn new() -> Result<Self> {
        let name = format!("topicbench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).with_context(|| format!("creating {path:?}"))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
