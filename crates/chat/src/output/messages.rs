//! Messages on their way to standard output, one a line.
//!
//! Holds the lines that wait for the writer, bounded in bytes: when the reader of
//! standard output stops, the conversation stops reading the peer, and nothing else
//! stops. Never writes itself: the writer's thread holds the other end.

use std::future::pending;
use std::io;

use client::Incoming;
use tokio::sync::{mpsc, oneshot, watch};

use super::sanitize::push_escaped;

/// Bytes of lines that may wait before the peer is read no further.
pub(super) const ROOM: usize = 64 * 1024;

/// How a message is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `TOPIC:TEXT`, for people; control characters escaped.
    Plain,
    /// One JSON object, for programs.
    Json,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Messages {
    format: Format,
    /// Lines that the writer hasn't got yet.
    waiting: String,
    /// To the writer, which closes it when nothing more can be written.
    to_writer: mpsc::Sender<String>,
    /// From the writer: how it ended.
    outcome: oneshot::Receiver<io::Result<()>>,
    /// Messages that are still to be shown, if there is a limit.
    left: Option<u64>,
    /// Resolves when the reader of standard output has gone.
    gone: Option<oneshot::Receiver<()>>,
    /// The reader has gone.
    is_gone: bool,
    /// Notified of each message.
    heard: watch::Sender<()>,
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Whole lines, any number at a time.
    pub(crate) lines: mpsc::Receiver<String>,
    /// Reports how the writing ended.
    pub(crate) outcome: oneshot::Sender<io::Result<()>>,
    /// Reports that the reader of standard output has gone.
    pub(crate) gone: oneshot::Sender<()>,
}

/// Nothing more can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Messages {
    pub(super) fn new(format: Format, most: Option<u64>) -> (Self, Writer) {
        // One piece on its way and one waiting: more would only be more memory.
        let (to_writer, lines) = mpsc::channel(1);
        let (sender, outcome) = oneshot::channel();
        let (to_gone, gone) = oneshot::channel();
        let messages = Self {
            format,
            waiting: String::new(),
            to_writer,
            outcome,
            left: most,
            gone: Some(gone),
            is_gone: false,
            heard: watch::Sender::new(()),
        };
        let writer = Writer {
            lines,
            outcome: sender,
            gone: to_gone,
        };
        (messages, writer)
    }

    /// Changes with each message.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.heard.subscribe()
    }

    /// More may be added without waiting.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < ROOM
    }

    /// Adds one message, in one line.
    pub(super) fn push(&mut self, incoming: &Incoming) {
        if self.is_done() {
            return;
        }
        self.left = self.left.map(|left| left - 1);
        self.heard.send_replace(());
        match self.format {
            Format::Plain => {
                push_escaped(&mut self.waiting, &incoming.topic);
                self.waiting.push(':');
                push_escaped(&mut self.waiting, &incoming.text);
            }
            // JSON allows characters that steer a terminal. They are escaped as JSON does
            // it, so that it is still the same text.
            Format::Json => push_escaped(&mut self.waiting, &json(incoming)),
        }
        self.waiting.push('\n');
    }

    /// Whether nothing more will be shown: enough messages have come, or the reader has gone.
    pub(super) fn is_done(&self) -> bool {
        self.is_gone || self.left == Some(0)
    }

    pub(super) async fn hand_over(&mut self) -> Result<(), Closed> {
        if self.is_gone {
            self.waiting.clear();
        }
        if self.waiting.is_empty() {
            tokio::select! {
                () = self.to_writer.closed() => return Err(Closed),
                () = told(&mut self.gone) => {
                    self.is_gone = true;
                    return Ok(());
                }
            }
        }
        let place = self.to_writer.reserve().await.map_err(|_| Closed)?;
        place.send(std::mem::take(&mut self.waiting));
        Ok(())
    }

    pub(super) async fn finish(mut self) -> io::Result<()> {
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

/// Waits until the reader has gone; for ever if that can't be detected.
async fn told(gone: &mut Option<oneshot::Receiver<()>>) {
    if let Some(receiver) = gone {
        let result = receiver.await;
        *gone = None;
        if result.is_ok() {
            return;
        }
    }
    pending::<()>().await;
}

/// A message as a JSON object; unknown members are left out.
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
        let (mut messages, _writer) = Messages::new(format, None);
        messages.push(&Incoming {
            topic: "t".into(),
            text: text.into(),
            envelope: envelope.clone(),
            arrival: Arrival::Live,
        });
        messages.waiting
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
            account: None,
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
