//! What a person sees and does, without a terminal: keys and what happens go in, a picture
//! and what is to be done come out.
//!
//! Holds the views and the text that is being typed. Reads no clock: it is told the time.

mod arrive;
mod mode;
mod perform;
mod typing;

use std::collections::VecDeque;

use jiff::tz::TimeZone;
use wire::TopicName;

use super::burst::BurstEvent;
use super::editor::Editor;
use super::history::History;
use super::keys::{Focus, Input, Wheel};
use super::layout::Formatter;
use super::view::{Target, View};
use super::{Notify, Server};
use crate::input::lines::Typed;
use crate::output::item::Connection;
use crate::output::people::People;
use mode::Mode;

/// Rows that one step of the wheel scrolls.
const WHEEL_ROWS: i64 = 3;

/// How things look and behave, as the person wants it.
#[derive(Clone, Debug)]
pub(super) struct Taste {
    pub(super) has_colors: bool,
    /// Members and topics stand at the sides where there is room.
    pub(super) has_sides: bool,
    /// The topic isn't named in its own view.
    pub(super) hides_topic: bool,
    /// A mention or a call rings.
    pub(super) rings: bool,
    /// How the desktop is told of a mention or a call.
    pub(super) notify: Notify,
}

/// What a person's screen begins with.
pub(super) struct UiOptions {
    pub(super) topics: Vec<TopicName>,
    pub(super) server: Server,
    /// The server's address, or what else there is to say of where we are.
    pub(super) place: String,
    pub(super) people: People,
    pub(super) history: History,
    pub(super) zone: TimeZone,
    pub(super) taste: Taste,
    /// The longest frame of a line, in bytes.
    pub(super) max_line_frame: usize,
}

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Ring.
    Bell,
    /// Tell the desktop.
    Notify(Notify, String),
    /// Draw everything anew.
    Redraw,
    /// Stop until we are told to go on.
    Suspend,
    /// End as Ctrl-C does.
    Interrupt,
    /// End without what was not sent: how many lines, and the first.
    Abandon { count: usize, first: String },
}

/// See the module.
pub(super) struct Ui {
    pub(super) views: Vec<View>,
    pub(super) current: usize,
    pub(super) editor: Editor,
    /// What is edited was pasted, so that it is asked about.
    is_pasted: bool,
    history: History,
    pub(super) mode: Mode,
    /// What the person should know now; the next key takes it away.
    pub(super) hint: Option<String>,
    people: People,
    server: Server,
    pub(super) place: String,
    pub(super) connection: Connection,
    /// The person has ended the input: what was typed is being delivered.
    pub(super) has_ended: bool,
    /// Ctrl-C ends it now.
    is_armed: bool,
    has_focus: bool,
    pub(super) size: (u16, u16),
    zone: TimeZone,
    pub(super) taste: Taste,
    max_line_frame: usize,
    /// What waits to be handed to the conversation.
    outgoing: VecDeque<Typed>,
    effects: Vec<Effect>,
    /// Milliseconds since 1970.
    now: u64,
}

impl Ui {
    pub(super) fn new(options: UiOptions, size: (u16, u16), now: u64) -> Self {
        let view = |topic: TopicName| View::new(Target::Topic(topic));
        Self {
            views: options.topics.into_iter().map(view).collect(),
            current: 0,
            editor: Editor::default(),
            is_pasted: false,
            history: options.history,
            mode: Mode::Typing,
            hint: None,
            people: options.people,
            connection: match options.server {
                Server::Topics => Connection::Connecting,
                Server::None => Connection::Up,
            },
            server: options.server,
            place: options.place,
            has_ended: false,
            is_armed: false,
            has_focus: true,
            size,
            zone: options.zone,
            taste: options.taste,
            max_line_frame: options.max_line_frame,
            outgoing: VecDeque::new(),
            effects: Vec::new(),
            now,
        }
    }

    /// The time is this, in milliseconds since 1970.
    pub(super) fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    /// What is to be done, once.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Something waits to be handed to the conversation.
    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Takes all of it.
    pub(super) fn take_outgoing(&mut self) -> Vec<Typed> {
        self.outgoing.drain(..).collect()
    }

    /// Nothing more will be typed, and all that was typed is handed over.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended && self.outgoing.is_empty()
    }

    /// The window has another size.
    pub(super) fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
    }

    pub(super) fn view(&self) -> Option<&View> {
        self.views.get(self.current)
    }

    fn view_mut(&mut self) -> Option<&mut View> {
        self.views.get_mut(self.current)
    }

    /// All lines that have not arrived.
    pub(super) fn unsent(&self) -> usize {
        self.views.iter().map(|view| view.pending.len()).sum()
    }

    /// The rest of an input that won't go on.
    pub(super) fn take_step(&mut self, step: BurstEvent) {
        match step {
            BurstEvent::Input(Input::Key(key)) => self.key(key),
            BurstEvent::Input(Input::Paste(text)) | BurstEvent::Burst(text) => self.paste(&text),
            BurstEvent::Input(Input::PasteEnd) => self.paste_ended(),
            BurstEvent::BurstEnd { entered } => self.burst_ended(entered),
            BurstEvent::Input(Input::Wheel(Wheel::Up)) => self.scroll(-WHEEL_ROWS),
            BurstEvent::Input(Input::Wheel(Wheel::Down)) => self.scroll(WHEEL_ROWS),
            BurstEvent::Input(Input::Focus(focus)) => self.focus(focus),
        }
    }

    fn focus(&mut self, focus: Focus) {
        self.has_focus = focus == Focus::Gained;
        match (focus, self.view_mut()) {
            (Focus::Gained, Some(view)) => view.look_at(),
            (Focus::Lost, Some(view)) => view.look_away(),
            (_, None) => {}
        }
    }

    /// How the current view looks, in a window of that width.
    pub(super) fn look(&self, width: usize) -> Formatter<'_> {
        Formatter {
            width,
            zone: &self.zone,
            has_colors: self.taste.has_colors,
            hides_topic: self.taste.hides_topic,
            found: match &self.mode {
                Mode::Search(search) => Some((&search.text, search.at)),
                _ => None,
            },
        }
    }

    /// Scrolls by rows, up if negative; past the top, older messages are asked for.
    pub(super) fn scroll(&mut self, by: i64) {
        let area = self.areas().messages;
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let Some(mut view) = self.lift() else { return };
        let is_top = self.look(width).scroll(&mut view, height, by);
        self.put_down(view);
        if is_top && by < 0 {
            self.ask_older(self.current, 0);
        }
    }

    /// Takes the current view out, so that it can be changed while the rest is looked at.
    fn lift(&mut self) -> Option<View> {
        let empty = View::new(Target::Call(String::new()));
        let current = self.current;
        self.views
            .get_mut(current)
            .map(|view| std::mem::replace(view, empty))
    }

    fn put_down(&mut self, view: View) {
        if let Some(place) = self.views.get_mut(self.current) {
            *place = view;
        }
    }

    /// Shows that row of that entry at a third of the window.
    fn show_entry(&mut self, id: i64) {
        let area = self.areas().messages;
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let Some(mut view) = self.lift() else { return };
        let look = self.look(width);
        look.place(&mut view, height, id, 0);
        if view.position != super::view::Position::End {
            let above = i64::try_from(height / 3).unwrap_or(0);
            look.scroll(&mut view, height, -above);
        }
        self.put_down(view);
    }

    /// Shows another view.
    pub(super) fn switch(&mut self, to: usize) {
        if to >= self.views.len() || to == self.current {
            return;
        }
        let draft = self.editor.take();
        if let Some(view) = self.view_mut() {
            view.draft = draft;
            view.look_away();
        }
        self.show(to);
    }

    /// Shows a view, where nothing has to be kept of the last one.
    fn show(&mut self, to: usize) {
        self.current = to;
        self.mode = Mode::Typing;
        let Some(view) = self.view_mut() else { return };
        let draft = std::mem::take(&mut view.draft);
        view.look_at();
        self.is_pasted = draft.text.contains('\n');
        self.editor.restore(draft);
        self.history.leave();
    }

    /// The view of a topic.
    fn find(&self, topic: &str) -> Option<usize> {
        let is_it =
            |view: &View| matches!(&view.target, Target::Topic(name) if name.as_str() == topic);
        self.views.iter().position(is_it)
    }

    /// The view of the direct call.
    fn find_call(&self) -> Option<usize> {
        let is_call = |view: &View| matches!(view.target, Target::Call(_));
        self.views.iter().position(is_call)
    }
}

#[cfg(test)]
mod tests;
