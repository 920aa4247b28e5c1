//! What was typed and nobody has taken yet.
//!
//! Checks each line, and hands lines and actions on in the order in which they were
//! typed. While something waits here, the keyboard isn't read, so nothing is dropped:
//! a full queue behind it slows the typing down. Knows no socket.

use std::collections::VecDeque;

use client::Line;
use tokio::sync::mpsc;
use wire::TopicName;

use super::action::Action;
use super::lines::Typed;
use crate::output::notice::Notices;

/// Something that was typed, and is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A line to send.
    Line(Line),
    /// Something to do.
    Action(Action),
}

/// Where lines and actions come from.
#[derive(Debug)]
pub(crate) struct Input {
    keyboard: mpsc::Receiver<Vec<Typed>>,
    /// The topic of a line that names none.
    topic: TopicName,
    limits: FrameLimits,
    notices: Notices,
    entries: VecDeque<Entry>,
    ended: bool,
    /// Lines typed so far, the refused ones included.
    count: u64,
    /// Something that was typed couldn't be read or doesn't fit into a frame.
    refused: bool,
    /// That some of the input isn't UTF-8 has been said.
    said_not_utf8: bool,
}

/// How long a line may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameLimits {
    /// The longest frame, in bytes, as the person knows it.
    pub(crate) max_frame: usize,
    /// How long a line's own frame may be: less, if an id is sent with it.
    pub(crate) max_line_frame: usize,
}

impl Input {
    pub(crate) fn new(
        keyboard: mpsc::Receiver<Vec<Typed>>,
        topic: TopicName,
        limits: FrameLimits,
        notices: Notices,
    ) -> Self {
        Self {
            keyboard,
            topic,
            limits,
            notices,
            entries: VecDeque::new(),
            ended: false,
            count: 0,
            refused: false,
            said_not_utf8: false,
        }
    }

    /// The keyboard may be read: all that was typed has been taken.
    pub(crate) fn wants_more(&self) -> bool {
        !self.ended && self.entries.is_empty()
    }

    /// Reads what was typed next, or learns that nothing more will be.
    ///
    /// Cancel safe: nothing is read before it can be kept.
    pub(crate) async fn receive(&mut self) {
        match self.keyboard.recv().await {
            Some(typed) => typed.into_iter().for_each(|typed| self.accept(typed)),
            None => self.ended = true,
        }
    }

    /// Nothing more will be typed. Something may still have to be taken.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Something that was typed will never be sent, which has been said.
    pub(crate) fn has_refused(&self) -> bool {
        self.refused
    }

    /// What was typed first and has not been taken.
    pub(crate) fn first(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// Takes it.
    pub(crate) fn take(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// Puts something back, to be taken first.
    pub(crate) fn put_back(&mut self, entry: Entry) {
        self.entries.push_front(entry);
    }

    /// Takes the lines up to the next action.
    pub(crate) fn take_lines(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(Entry::Line(line)) = self
            .entries
            .pop_front_if(|entry| matches!(entry, Entry::Line(_)))
        {
            lines.push(line);
        }
        lines
    }

    fn accept(&mut self, typed: Typed) {
        self.count += 1;
        match typed {
            Typed::Line { text, replaced } => {
                if replaced && !std::mem::replace(&mut self.said_not_utf8, true) {
                    self.say_not_utf8();
                }
                let topic = self.topic.clone();
                self.accept_line(Line { topic, text });
            }
            Typed::Addressed(line) => self.accept_line(line),
            Typed::Action(action) => self.entries.push_back(Entry::Action(action)),
            Typed::TooLong => self.refuse_line(),
            Typed::Failed(error) => {
                self.refused = true;
                let notice = format_args!("can't read standard input any further: {error}");
                self.notices.say(notice);
            }
        }
    }

    fn accept_line(&mut self, line: Line) {
        if line.fits(self.limits.max_line_frame) {
            self.entries.push_back(Entry::Line(line));
        } else {
            self.refuse_line();
        }
    }

    fn say_not_utf8(&self) {
        self.notices.say(format_args!(
            "line {} isn't UTF-8: bytes that can't be read are sent as U+FFFD, here and from now on",
            self.count
        ));
    }

    fn refuse_line(&mut self) {
        self.refused = true;
        self.notices.say(format_args!(
            "line {} was not sent: it doesn't fit into a frame of {} bytes (--max-frame)",
            self.count, self.limits.max_frame
        ));
    }
}
