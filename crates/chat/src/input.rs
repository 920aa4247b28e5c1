//! What was typed and has not been sent yet.
//!
//! Owns the lines between the keyboard and the connection, bounded in bytes:
//! when it is full, the keyboard isn't read, so nothing is ever dropped. A line
//! leaves only when it has been handed to the connection whole. Knows no socket.

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::mpsc;
use wire::{Endpoint, Message};

use crate::lines::Typed;
use crate::notice::Notices;
use crate::order::Order;

/// Bytes of text that are kept before the keyboard is read no further: some
/// thousand lines typed while nobody is connected.
const ROOM: usize = 256 * 1024;
/// What a line costs beside its text, so that empty ones are bounded too.
const LINE_COST: usize = size_of::<Line>();
/// A character that JSON escapes takes up to six bytes: `\u001b`.
const LONGEST_ESCAPE: usize = 6;

/// Orders that wait to be carried out. They are taken at once, whoever is connected.
const ORDERS: usize = 64;

/// A line on its way to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) topic: Arc<str>,
    pub(crate) text: String,
}

/// The lines that wait to be sent, and where more come from.
#[derive(Debug)]
pub(crate) struct Input {
    keyboard: mpsc::Receiver<Vec<Typed>>,
    /// Where a line goes that doesn't say where.
    topic: Arc<str>,
    /// The longest frame, in bytes.
    max_frame: usize,
    /// Of which so many are kept free, for what is sent with a line.
    reserved: usize,
    notices: Notices,
    waiting: VecDeque<Line>,
    /// What a person asks for beside saying something.
    orders: VecDeque<Order>,
    /// What `waiting` costs, in bytes.
    cost: usize,
    ended: bool,
    /// Lines typed so far, the refused ones included.
    count: u64,
    /// Something that was typed couldn't be read or doesn't fit into a frame.
    refused: bool,
    /// That some of the input isn't UTF-8 has been said.
    said_not_utf8: bool,
}

impl Input {
    pub(crate) fn new(
        keyboard: mpsc::Receiver<Vec<Typed>>,
        topic: &str,
        max_frame: usize,
        reserved: usize,
        notices: Notices,
    ) -> Self {
        Self {
            keyboard,
            topic: topic.into(),
            max_frame,
            reserved,
            notices,
            waiting: VecDeque::new(),
            orders: VecDeque::new(),
            cost: 0,
            ended: false,
            count: 0,
            refused: false,
            said_not_utf8: false,
        }
    }

    /// There may be more to read, and room for it.
    pub(crate) fn wants_more(&self) -> bool {
        !self.ended && self.cost < ROOM && self.orders.len() < ORDERS
    }

    /// Takes what was typed next, or learns that nothing more will be.
    ///
    /// Cancel safe: nothing is taken before it can be kept.
    pub(crate) async fn receive(&mut self) {
        match self.keyboard.recv().await {
            Some(lines) => lines.into_iter().for_each(|typed| self.take(typed)),
            None => self.ended = true,
        }
    }

    /// Nothing more will be typed.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Something that was typed won't ever be sent, which has been said.
    pub(crate) fn has_refused(&self) -> bool {
        self.refused
    }

    /// The number of lines that have not been sent.
    pub(crate) fn unsent(&self) -> usize {
        self.waiting.len()
    }

    /// The next line to send.
    pub(crate) fn first(&self) -> Option<&Line> {
        self.waiting.front()
    }

    /// Lines that were typed last, `count` of them.
    pub(crate) fn newest(&self, count: usize) -> impl Iterator<Item = &Line> {
        self.waiting
            .range(self.waiting.len().saturating_sub(count)..)
    }

    /// What a person asked for next.
    pub(crate) fn order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// The next line as a message.
    pub(crate) fn message(&self, source: Endpoint, destination: Endpoint) -> Option<Message<'_>> {
        Some(self.first()?.message(source, destination))
    }

    /// The next line's frame was handed to the connection whole: the line.
    pub(crate) fn sent(&mut self) -> Option<Line> {
        let line = self.waiting.pop_front()?;
        self.cost -= line.text.len() + LINE_COST;
        Some(line)
    }

    fn take(&mut self, typed: Typed) {
        self.count += 1;
        match typed {
            Typed::Line { text, replaced } => {
                if replaced && !std::mem::replace(&mut self.said_not_utf8, true) {
                    self.say_not_utf8();
                }
                let topic = Arc::clone(&self.topic);
                self.take_line(Line { topic, text });
            }
            Typed::Addressed(line) => self.take_line(line),
            Typed::Order(order) => self.orders.push_back(order),
            Typed::TooLong => self.refuse_line(),
            Typed::Failed(error) => {
                self.refused = true;
                let notice = format_args!("can't read standard input any further: {error}");
                self.notices.say(notice);
            }
        }
    }

    fn take_line(&mut self, line: Line) {
        if self.fits(&line) {
            self.cost += line.text.len() + LINE_COST;
            self.waiting.push_back(line);
        } else {
            self.refuse_line();
        }
    }

    fn say_not_utf8(&self) {
        self.notices.say(format_args!(
            "line {} isn't UTF-8: what can't be read is sent as U+FFFD, here and from now on",
            self.count
        ));
    }

    fn refuse_line(&mut self) {
        self.refused = true;
        self.notices.say(format_args!(
            "line {} was not sent: it doesn't fit into a frame of {} bytes (--max-frame)",
            self.count, self.max_frame
        ));
    }

    /// Whether a line can be sent doesn't depend on who is connected: the
    /// longest addresses are assumed.
    fn fits(&self, line: &Line) -> bool {
        let longest = SocketAddr::from((Ipv6Addr::from([0xffff; 8]), u16::MAX)).into();
        let frame = |text| line.with(text, longest, longest).to_line();
        let room = self.max_frame - self.reserved;
        // Most lines are far from the limit, and needn't be written to know it.
        let most = line.text.len() * LONGEST_ESCAPE + frame("").len();
        most <= room || frame(&line.text).trim_ascii_end().len() <= room
    }
}

impl Line {
    /// The line as a message.
    pub(crate) fn message(&self, source: Endpoint, destination: Endpoint) -> Message<'_> {
        self.with(&self.text, source, destination)
    }

    fn with<'a>(&'a self, text: &'a str, source: Endpoint, destination: Endpoint) -> Message<'a> {
        let topic = &self.topic;
        Message {
            source,
            destination,
            topic,
            text,
        }
    }
}
