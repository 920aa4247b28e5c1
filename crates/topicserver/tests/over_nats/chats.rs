//! The program `chat` as a client of a cluster, if it has been built beside the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::time::Duration;

use crate::harness::{Harness, LIMIT, StopAtEnd, THE_END, TOPICS};
use crate::servers::COUNT;

/// The pause between two lines.
const PAUSE: Duration = Duration::from_millis(20);

/// How often a listener looks whether another client has failed.
const LOOK: Duration = Duration::from_millis(100);

fn program() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_topicserver")).with_file_name("chat")
}

/// Whether there is the program.
pub fn is_built() -> bool {
    program().exists()
}

/// A running `chat` in a topic. It is killed when this is dropped.
pub struct Chat {
    process: Child,
    input: Option<ChildStdin>,
    /// What it prints: `topic:text`.
    pub printed: mpsc::Receiver<String>,
    /// What it says on standard error.
    pub notices: mpsc::Receiver<String>,
}

impl Chat {
    /// Knows all these servers. `None`, with a word, if there is no `chat`.
    pub fn start(servers: &[SocketAddr], topic: &str, options: &[&str]) -> Option<Self> {
        if !is_built() {
            println!("without chat: {} isn't built", program().display());
            return None;
        }
        let servers: Vec<_> = servers.iter().map(SocketAddr::to_string).collect();
        let mut command = Command::new(program());
        let command = command.args(["-topic", &servers.join(","), topic]);
        let command = command.args(options).stdin(Stdio::piped());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        Some(Self {
            input: process.stdin.take(),
            printed: lines(process.stdout.take().unwrap()),
            notices: lines(process.stderr.take().unwrap()),
            process,
        })
    }

    pub fn say(&mut self, line: &str) {
        let said = writeln!(self.input.as_mut().unwrap(), "{line}");
        assert!(said.is_ok(), "chat has ended: {:#?}", self.notices());
    }

    /// Waits until it says this on standard error.
    pub fn expect_notice(&self, part: &str) {
        loop {
            match self.notices.recv_timeout(LIMIT) {
                Ok(notice) if notice.contains(part) => return,
                Ok(_) => {}
                Err(error) => panic!("chat doesn't say {part:?}: {error}"),
            }
        }
    }

    /// Waits until it prints this text.
    pub fn expect_text(&self, topic: &str, text: &str) {
        let wanted = format!("{topic}:{text}");
        loop {
            match self.printed.recv_timeout(LIMIT) {
                Ok(line) if line == wanted => return,
                Ok(_) => {}
                Err(error) => panic!("chat doesn't print {wanted:?}: {error}"),
            }
        }
    }

    /// Ends its input, and waits for its end. Returns what it said on standard error.
    pub fn end(mut self) -> Vec<String> {
        drop(self.input.take());
        let status = self.process.wait().unwrap();
        let notices = self.notices();
        assert!(status.success(), "chat: {status}: {notices:#?}");
        notices
    }

    /// What else it says on standard error, until its end.
    fn notices(&self) -> Vec<String> {
        self.notices.iter().collect()
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn lines(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // What nobody waits for must be read all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn start(harness: &Harness, options: &[&str]) -> Option<Chat> {
    let servers: Vec<_> = (0..COUNT).filter_map(|one| harness.addr(one)).collect();
    Chat::start(&servers, TOPICS[0], options)
}

/// Texts, and what `chat` said on standard error.
pub type Chatted = (Vec<String>, Vec<String>);

/// Says a line again and again, until everybody is to finish.
pub fn talk(harness: &Harness, number: usize) -> Option<Chatted> {
    let stop = StopAtEnd(harness);
    let mut said = Vec::new();
    let chat = start(harness, &[]).map(|mut chat| {
        while !harness.are_to_finish.load(SeqCst) {
            harness.expect_no_failure();
            said.push(format!("{number} {}", said.len() + 1));
            chat.say(&said[said.len() - 1]);
            std::thread::sleep(PAUSE);
        }
        chat.end()
    });
    std::mem::forget(stop);
    Some((said, chat?))
}

/// Reads the first topic from its first message to the last.
pub fn listen(harness: &Harness, number: usize) -> Option<Chatted> {
    let stop = StopAtEnd(harness);
    let mut heard = Vec::new();
    let chat = start(harness, &["--last", "1000000"]).map(|chat| {
        let prefix = format!("{}:", TOPICS[0]);
        while heard.last().is_none_or(|text| text != THE_END) {
            match chat.printed.recv_timeout(LOOK) {
                Ok(line) => {
                    let text = line.strip_prefix(&prefix);
                    let text = text.unwrap_or_else(|| panic!("chat printed {line:?}"));
                    heard.push(text.to_owned());
                    harness.read[number].fetch_add(1, SeqCst);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => harness.expect_no_failure(),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    panic!("chat has ended: {:#?}", chat.end())
                }
            }
        }
        chat.end()
    });
    std::mem::forget(stop);
    Some((heard, chat?))
}
