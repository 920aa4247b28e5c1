//! Pipes and scripts: one line in, one message out.
//!
//! Two threads, because reading a keyboard and writing a pipe can block for ever:
//! neither may hold up the conversation, and the process doesn't wait for them when it
//! ends. Owns standard input and standard output; knows no socket.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::input::lines::{LineSplitter, Typed, text};
use crate::output::messages::{Format, Writer};
use crate::output::screen::Screen;
use crate::system;

/// The next line is mostly in the pipe already. On a busy machine the program at its other end
/// may have to wait for the processor.
const PIPE_PAUSE: Duration = Duration::from_millis(500);

/// How long standard input may pause before nothing more is expected soon. What a person
/// will type is unknown; a file goes on to its end, so it has none.
pub(crate) fn pause() -> Option<Duration> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        Some(Duration::ZERO)
    } else if system::is_file(&stdin) {
        None
    } else {
        Some(PIPE_PAUSE)
    }
}

/// Starts reading all of standard input as one message, without the line break at its end.
pub(crate) fn whole(longest: usize) -> io::Result<mpsc::Receiver<Vec<Typed>>> {
    let (lines, keyboard) = mpsc::channel(1);
    thread::Builder::new()
        .name("keyboard".into())
        .spawn(move || {
            // The conversation may have ended already.
            let _ = lines.blocking_send(read_whole(longest));
        })?;
    Ok(keyboard)
}

fn read_whole(longest: usize) -> Vec<Typed> {
    let mut bytes = Vec::new();
    // One more than fits shows that it is too long; the two are for a line break.
    let most = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(3);
    if let Err(error) = io::stdin().lock().take(most).read_to_end(&mut bytes) {
        return vec![Typed::Failed(error)];
    }
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    match bytes.len() {
        0 => Vec::new(),
        length if length > longest => vec![Typed::TooLong],
        _ => vec![text(bytes)],
    }
}

/// Starts reading standard input. The channel carries the lines of one read at a time, so
/// what waits is bounded by a read and `longest_line`, in bytes. The end of the input
/// closes the channel.
pub(crate) fn keyboard(longest_line: usize) -> io::Result<mpsc::Receiver<Vec<Typed>>> {
    let (lines, keyboard) = mpsc::channel(1);
    thread::Builder::new()
        .name("keyboard".into())
        .spawn(move || read_lines(LineSplitter::new(longest_line), &lines))?;
    Ok(keyboard)
}

/// Starts writing to standard output.
pub(crate) fn screen(format: Format, most: Option<u64>) -> io::Result<Screen> {
    let (screen, mut writer) = Screen::new(format, most);
    let (gone, unused) = tokio::sync::oneshot::channel();
    drop(unused);
    let gone = std::mem::replace(&mut writer.gone, gone);
    // This thread notices that the reader has gone although nothing is written.
    thread::Builder::new()
        .name("reader".into())
        .spawn(move || {
            if system::wait_until_unread() {
                // The conversation may have ended already.
                let _ = gone.send(());
            }
        })?;
    thread::Builder::new()
        .name("screen".into())
        .spawn(move || write_lines(writer))?;
    Ok(screen)
}

fn read_lines(mut splitter: LineSplitter, to: &mpsc::Sender<Vec<Typed>>) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut lines = Vec::new();
        let ended = match stdin.fill_buf() {
            Ok([]) => {
                splitter.finish(&mut lines);
                true
            }
            Ok(bytes) => {
                splitter.push(bytes, &mut lines);
                let count = bytes.len();
                stdin.consume(count);
                false
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
            Err(error) => {
                splitter.finish(&mut lines);
                lines.push(Typed::Failed(error));
                true
            }
        };
        let nobody_listens = !lines.is_empty() && to.blocking_send(lines).is_err();
        if ended || nobody_listens {
            return;
        }
    }
}

fn write_lines(mut writer: Writer) {
    let mut stdout = io::stdout().lock();
    let mut outcome = Ok(());
    while let Some(lines) = writer.lines.blocking_recv() {
        outcome = stdout
            .write_all(lines.as_bytes())
            .and_then(|()| stdout.flush());
        if outcome.is_err() {
            break;
        }
    }
    // Closed first, so that the end is seen before the outcome is asked for.
    drop(writer.lines);
    let _ = writer.outcome.send(outcome);
}
