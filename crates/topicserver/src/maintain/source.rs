//! Where a history is: in a directory that no server uses, or at a running server.

use std::convert::Infallible;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use wire::TopicName;

use super::{MaintainError, contents};
use crate::admin_client::{self, ExchangeError};
use crate::config::{AdminAddress, BackupRate};
use crate::percent::escaped;
use crate::store::{self, End, Ids, Look, StoreError, ToolError, Walk};

/// How long a server may send nothing in the middle of its answer. It sends an empty line every
/// second, but a disk may not answer for a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a history is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The directory of a server that isn't running.
    Directory(PathBuf),
    /// Where a running one listens for administrators.
    Server(AdminAddress),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.parse() {
            Ok(address) => Self::Server(address),
            // One with such a name is written as ./NAME.
            Err(_) => Self::Directory(text.into()),
        })
    }
}

/// What is printed of the lines that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// All of them.
    All,
    /// All but the last one, which says that it is the last one.
    Lines,
    /// The same, and at the end that everything is sound.
    Verdict,
}

impl Source {
    /// Prints what somebody wants to see.
    pub(super) fn show(
        &self,
        look: Look,
        rate: BackupRate,
        shown: Shown,
        output: &mut impl Write,
    ) -> Result<(), MaintainError> {
        let mut output = io::BufWriter::new(output);
        let end = self.lines(look, rate, |line, is_last| {
            match is_last && shown != Shown::All {
                true => Ok(()),
                false => output.write_all(line),
            }
        })?;
        if shown == Shown::Verdict && end.problems == 0 {
            let text = format!("{}: everything is sound\n", contents(&end));
            output
                .write_all(text.as_bytes())
                .map_err(MaintainError::Output)?;
        }
        output.flush().map_err(MaintainError::Output)?;
        match end.problems {
            0 => Ok(()),
            count => Err(MaintainError::Problems(count)),
        }
    }

    /// Takes the lines of what somebody wants to see, and returns what the last one says. An
    /// error of `take` is one of the output.
    pub(super) fn lines(
        &self,
        look: Look,
        rate: BackupRate,
        take: impl FnMut(&[u8], bool) -> io::Result<()>,
    ) -> Result<End, MaintainError> {
        match self {
            Self::Directory(path) => lines_of_walk(store::look(path, look)?, take),
            Self::Server(address) => lines_of_server(address, &path_of(&look, rate), take),
        }
    }

    /// Deletes all messages of a topic. Returns how many there were.
    pub(super) fn forget(&self, topic: &TopicName) -> Result<u64, MaintainError> {
        match self {
            Self::Directory(path) => Ok(store::forget(path, topic)?),
            Self::Server(address) => {
                let path = format!("/-/history/forget?topic={}", escaped(topic.as_str()));
                let text = admin_client::ask(address, "POST", &path)?;
                let count = text.trim_end().parse();
                Ok(count.map_err(|_| ExchangeError::Nonsense(address.clone()))?)
            }
        }
    }
}

fn lines_of_walk(
    mut walk: Walk,
    mut take: impl FnMut(&[u8], bool) -> io::Result<()>,
) -> Result<End, MaintainError> {
    let failed = |error: StoreError| MaintainError::from(ToolError::from(error));
    let mut last = None;
    loop {
        let step = walk.step().map_err(failed)?;
        for line in step.bytes.split_inclusive(|&byte| byte == b'\n') {
            last = end_of(line);
            take(line, last.is_some()).map_err(MaintainError::Output)?;
        }
        if step.is_last {
            return last.ok_or(MaintainError::CutOff);
        }
    }
}

fn lines_of_server(
    address: &AdminAddress,
    path: &str,
    mut take: impl FnMut(&[u8], bool) -> io::Result<()>,
) -> Result<End, MaintainError> {
    let mut answer = admin_client::open(address, "GET", path, PATIENCE)?;
    let (mut line, mut last) = (Vec::new(), None);
    loop {
        line.clear();
        let read = answer.read_until(b'\n', &mut line);
        match read {
            Ok(0) | Err(_) => return last.ok_or(MaintainError::CutOff),
            Ok(_) if line == b"\n" => {}
            Ok(_) => {
                last = end_of(&line);
                take(&line, last.is_some()).map_err(MaintainError::Output)?;
            }
        }
    }
}

/// What a line says, if it is the last one.
fn end_of(line: &[u8]) -> Option<End> {
    let is_end = line.starts_with(b"{\"end\":") && line.ends_with(b"\n");
    is_end.then(|| End::read(line)).flatten()
}

/// What a server is asked for.
fn path_of(look: &Look, rate: BackupRate) -> String {
    let what = match look {
        Look::Topics => "topics?".to_owned(),
        Look::Verify => "verify?".to_owned(),
        Look::Messages { topic, from, count } => {
            let from = from.map(|from| format!("from={from}&")).unwrap_or_default();
            let topic = escaped(topic.as_str());
            format!("messages?topic={topic}&{from}count={count}&")
        }
        Look::Export { topic, ids } => {
            let topic = topic.as_ref().map(|topic| escaped(topic.as_str()));
            let topic = topic.map(|topic| format!("topic={topic}&"));
            let ids = *ids == Ids::With;
            format!("export?{}with-ids={ids}&", topic.unwrap_or_default())
        }
    };
    format!("/-/history/{what}rate={}", rate.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_or_a_directory() {
        let source = |text: &str| text.parse::<Source>().unwrap();
        for text in ["127.0.0.1:20001", "unix:/run/natter/admin", "[::1]:1"] {
            assert!(matches!(source(text), Source::Server(_)), "{text}");
        }
        for text in ["history", "/var/lib/natter", "./127.0.0.1:20001", "20001"] {
            assert_eq!(source(text), Source::Directory(text.into()));
        }
    }

    #[test]
    fn a_topic_of_any_name_is_asked_for() {
        let look = Look::Messages {
            topic: TopicName::new("a & b/ü?").unwrap(),
            from: Some(7),
            count: 3,
        };
        let rate = BackupRate::default().bytes();
        assert_eq!(
            path_of(&look, BackupRate::default()),
            format!("/-/history/messages?topic=a%20%26%20b%2F%C3%BC%3F&from=7&count=3&rate={rate}")
        );
    }

    #[test]
    fn only_a_whole_last_line_is_the_end() {
        let line = b"{\"end\":{\"topics\":1,\"messages\":2,\"problems\":0}}\n";
        assert_eq!(end_of(line).map(|end| end.messages), Some(2));
        assert_eq!(end_of(&line[..line.len() - 1]), None);
        assert_eq!(end_of(b"{\"topic\":\"{\\\"end\\\":\"}\n"), None);
    }
}
