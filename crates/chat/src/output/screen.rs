//! What was received, on its way to standard output.
//!
//! Holds the lines that wait for the writer, bounded in bytes: when the reader of
//! standard output stops, the conversation stops reading the peer, and nothing else
//! stops. Never writes itself: the writer's thread holds the other end.

use std::io;

use client::{Incoming, Line};
use tokio::sync::{mpsc, oneshot};

use super::format::Formatter;
use super::notice::NoticeReader;
use super::sanitize::push_escaped;

/// Bytes of lines that may wait before the peer is read no further.
const ROOM: usize = 64 * 1024;

/// How a message is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `TOPIC:TEXT`, for people; control characters escaped.
    Plain,
    /// One JSON object, for programs.
    Json,
}

/// How everything is shown.
#[derive(Debug)]
enum Style {
    /// Messages alone.
    Messages(Format),
    /// All that happens, for a person at a terminal.
    Terminal(Box<Formatter>, NoticeReader),
}

/// The way to standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    style: Style,
    /// Lines that the writer hasn't got yet.
    waiting: String,
    /// To the writer, which closes it when nothing more can be written.
    to_writer: mpsc::Sender<String>,
    /// From the writer: how it ended.
    outcome: oneshot::Receiver<io::Result<()>>,
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Whole lines, any number at a time.
    pub(crate) lines: mpsc::Receiver<String>,
    /// Takes how the writing ended.
    pub(crate) outcome: oneshot::Sender<io::Result<()>>,
}

/// Nothing more can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Screen {
    /// A screen for messages, and the end that its writer works on.
    pub(crate) fn new(format: Format) -> (Self, Writer) {
        Self::with(Style::Messages(format))
    }

    /// A screen for a person, who sees notices among the messages.
    pub(crate) fn for_person(formatter: Formatter, notices: NoticeReader) -> (Self, Writer) {
        Self::with(Style::Terminal(Box::new(formatter), notices))
    }

    fn with(style: Style) -> (Self, Writer) {
        // One piece on its way and one waiting: more would only be more memory.
        let (to_writer, lines) = mpsc::channel(1);
        let (sender, outcome) = oneshot::channel();
        let screen = Self {
            style,
            waiting: String::new(),
            to_writer,
            outcome,
        };
        let writer = Writer {
            lines,
            outcome: sender,
        };
        (screen, writer)
    }

    /// Shows one message, in one line, with what the server has added to it.
    pub(crate) fn show(&mut self, incoming: &Incoming) {
        // Earlier notices are shown before it.
        self.show_notices();
        match &mut self.style {
            Style::Terminal(formatter, _) => {
                formatter.push_message(&mut self.waiting, incoming);
                return;
            }
            Style::Messages(Format::Plain) => {
                push_escaped(&mut self.waiting, &incoming.topic);
                self.waiting.push(':');
                push_escaped(&mut self.waiting, &incoming.text);
            }
            // JSON allows characters that steer a terminal. They are escaped as JSON does
            // it, so that it is still the same text.
            Style::Messages(Format::Json) => {
                push_escaped(&mut self.waiting, &json(incoming));
            }
        }
        self.waiting.push('\n');
    }

    /// Shows a person a line of theirs that has arrived.
    pub(crate) fn show_own(&mut self, line: &Line) {
        self.show_notices();
        if let Style::Terminal(formatter, _) = &mut self.style {
            formatter.push_own(&mut self.waiting, line.topic.as_str(), &line.text);
        }
    }

    /// Shows a person a line of theirs that has still to arrive.
    pub(crate) fn show_waiting(&mut self, line: &Line) {
        self.show_notices();
        if let Style::Terminal(formatter, _) = &mut self.style {
            formatter.push_waiting(&mut self.waiting, line);
        }
    }

    /// Shows a person the earlier lines that contain `text`.
    pub(crate) fn search(&mut self, text: &str) {
        self.show_notices();
        if let Style::Terminal(formatter, _) = &mut self.style {
            formatter.push_found(&mut self.waiting, text);
        }
    }

    fn show_notices(&mut self) {
        if let Style::Terminal(formatter, notices) = &mut self.style {
            while let Some(shown) = notices.try_next() {
                formatter.push_shown(&mut self.waiting, &shown);
            }
        }
    }

    /// More may be shown without waiting.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < ROOM
    }

    /// Hands what waits to the writer as soon as that can take it; with nothing
    /// waiting, returns only when nothing more can be written.
    ///
    /// Cancel safe: what wasn't handed over still waits.
    pub(crate) async fn hand_over(&mut self) -> Result<(), Closed> {
        self.show_notices();
        while self.waiting.is_empty() {
            let Style::Terminal(formatter, notices) = &mut self.style else {
                self.to_writer.closed().await;
                return Err(Closed);
            };
            tokio::select! {
                () = self.to_writer.closed() => return Err(Closed),
                Some(shown) = notices.next() => formatter.push_shown(&mut self.waiting, &shown),
            }
        }
        let place = self.to_writer.reserve().await.map_err(|_| Closed)?;
        place.send(std::mem::take(&mut self.waiting));
        Ok(())
    }

    /// Waits until everything is written. A reader that has gone away is no
    /// error: it has seen what it wanted.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.show_notices();
        if !self.waiting.is_empty() {
            // If it is closed, the outcome says why.
            let _ = self.hand_over().await;
        }
        drop(self.to_writer);
        match self.outcome.await {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// A message as a JSON object; what isn't known isn't in it.
fn json(incoming: &Incoming) -> String {
    #[derive(serde::Serialize)]
    struct Shown<'a> {
        topic: &'a str,
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        time: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    }
    let envelope = &incoming.envelope;
    let shown = Shown {
        topic: &incoming.topic,
        text: &incoming.text,
        user: envelope.user.as_deref(),
        time: envelope.time,
        seq: envelope.seq,
    };
    // Writing strings and numbers into memory can't fail.
    serde_json::to_string(&shown).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use client::Arrival;
    use wire::Envelope;

    use super::*;

    fn shown(format: Format, text: &str, envelope: &Envelope) -> String {
        let (mut screen, _writer) = Screen::new(format);
        screen.show(&Incoming {
            topic: "t".into(),
            text: text.into(),
            envelope: envelope.clone(),
            arrival: Arrival::Live,
        });
        screen.waiting
    }

    #[test]
    fn json_has_what_is_known_in_one_line() {
        let nothing = Envelope::default();
        let line = shown(Format::Json, "hi", &nothing);
        assert_eq!(line, "{\"topic\":\"t\",\"text\":\"hi\"}\n");
        let all = Envelope {
            seq: Some(58),
            time: Some(1_763_796_000_123),
            user: Some("bob".into()),
        };
        assert_eq!(
            shown(Format::Json, "hi", &all),
            "{\"topic\":\"t\",\"text\":\"hi\",\"user\":\"bob\",\
             \"time\":1763796000123,\"seq\":58}\n"
        );
        assert_eq!(shown(Format::Plain, "hi", &all), "t:hi\n");
    }

    #[test]
    fn json_keeps_every_text_and_steers_no_terminal() {
        for text in [
            "a\nb\r\t\0\u{8}\u{c}",
            "\u{1b}[2J\u{7f}\u{9b}31m\u{85}",
            "\u{2028}\u{202e}txt.exe\u{2066}",
            r"C:\new\u0041 \\",
            "\"quoted\" é 騒ぎ 🎈",
        ] {
            let line = shown(Format::Json, text, &Envelope::default());
            let object = line.strip_suffix('\n').expect("one line");
            assert!(!object.contains(char::is_control), "{object:?}");
            assert!(!object.contains(['\u{2028}', '\u{202e}', '\u{2066}']));
            let value: serde_json::Value = serde_json::from_str(object).expect("JSON");
            assert_eq!(value["text"], text);
        }
    }
}
