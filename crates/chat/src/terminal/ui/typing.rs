//! Keys that edit, move and scroll.

use super::super::commands;
use super::super::completion::complete;
use super::super::editor::{Direction, Unit};
use super::super::keys::{Code, Key};
use super::mode::Mode;
use super::{Effect, Ui};
use crate::output::item::Connection;

use Direction::{Back, Forward};

impl Ui {
    /// A key was pressed.
    pub(super) fn key(&mut self, key: Key) {
        let is_ctrl_c = key == Key::ctrl('c');
        let was_armed = std::mem::replace(&mut self.is_armed, is_ctrl_c);
        if self.has_ended {
            return self.finishing_key(key);
        }
        if self.mode_key(key) {
            return;
        }
        self.hint = None;
        if is_ctrl_c {
            return self.interrupt(was_armed);
        }
        match (key.code, key.ctrl, key.alt) {
            (Code::Char(c), true, false) => self.ctrl_key(c),
            (Code::Char(c), false, true) => self.alt_key(c),
            (Code::Char(c), false, false) => self.editor.insert(c.encode_utf8(&mut [0; 4])),
            (Code::Enter, false, false) if !key.shift => self.enter(),
            (Code::Enter, ..) => self.editor.insert("\n"),
            (Code::Tab, ..) if !key.shift => self.tab(),
            (Code::Backspace, false, false) => self.editor.delete(Back, Unit::Character),
            (Code::Backspace, ..) => self.editor.cut(Back, Unit::Word),
            (Code::Delete, false, false) => self.editor.delete(Forward, Unit::Character),
            (Code::Delete, ..) => self.editor.cut(Forward, Unit::Word),
            (code, ctrl, alt) => self.motion_key(code, ctrl || alt),
        }
    }

    fn motion_key(&mut self, code: Code, is_far: bool) {
        let height = i64::from(self.areas().messages.height).max(2) - 1;
        match code {
            Code::Left if is_far => self.editor.go(Back, Unit::Word),
            Code::Right if is_far => self.editor.go(Forward, Unit::Word),
            Code::Left => self.editor.go(Back, Unit::Character),
            Code::Right => self.editor.go(Forward, Unit::Character),
            Code::Up if is_far => self.scroll(-1),
            Code::Down if is_far => self.scroll(1),
            Code::Up => self.up(),
            Code::Down => self.down(),
            Code::PageUp => self.scroll(-height),
            Code::PageDown => self.scroll(height),
            Code::Home if is_far || self.editor.is_empty() => self.scroll(i64::from(i32::MIN)),
            Code::End if is_far || self.editor.is_empty() => self.go_to_end(),
            Code::Home => self.editor.go(Back, Unit::Line),
            Code::End => self.editor.go(Forward, Unit::Line),
            Code::Escape => self.go_to_end(),
            _ => {}
        }
    }

    fn ctrl_key(&mut self, c: char) {
        match c {
            'a' => self.editor.go(Back, Unit::Line),
            'e' => self.editor.go(Forward, Unit::Line),
            'b' => self.editor.go(Back, Unit::Character),
            'f' => self.editor.go(Forward, Unit::Character),
            'd' if self.editor.is_empty() => self.quit(),
            'd' => self.editor.delete(Forward, Unit::Character),
            'k' => self.editor.cut(Forward, Unit::Line),
            'u' => self.editor.cut(Back, Unit::Line),
            'w' => self.editor.cut(Back, Unit::Blank),
            'y' => self.editor.yank(),
            't' => self.editor.transpose(),
            'l' => self.effects.push(Effect::Redraw),
            'n' => self.turn(1),
            'p' => self.turn(self.views.len().saturating_sub(1)),
            'r' => self.recall(),
            'z' => self.effects.push(Effect::Suspend),
            // Ctrl-_, which is the same as Ctrl-7.
            '7' | '_' => self.editor.undo(),
            _ => {}
        }
    }

    fn alt_key(&mut self, c: char) {
        match c {
            '1'..='9' => {
                let number = c.to_digit(10).unwrap_or(1);
                self.switch(usize::try_from(number).unwrap_or(1) - 1);
            }
            'a' => self.go_to_news(),
            'b' => self.editor.go(Back, Unit::Word),
            'f' => self.editor.go(Forward, Unit::Word),
            'd' => self.editor.cut(Forward, Unit::Word),
            's' => self.taste.has_sides = !self.taste.has_sides,
            '_' => self.editor.redo(),
            '/' if !self.editor.is_empty() => self.editor.redo(),
            '<' => self.scroll(i64::from(i32::MIN)),
            '>' => self.go_to_end(),
            // Nobody means a key that there isn't: it was Escape, and then this, in haste.
            _ => {
                self.go_to_end();
                self.editor.insert(c.encode_utf8(&mut [0; 4]));
            }
        }
    }

    /// The view so many places further.
    fn turn(&mut self, by: usize) {
        let count = self.views.len().max(1);
        self.switch((self.current + by) % count);
    }

    /// The next view with a mention, or with anything new.
    fn go_to_news(&mut self) {
        let count = self.views.len();
        let others = || (1..count).map(|step| (self.current + step) % count);
        let mentioned = others().find(|at| self.views[*at].mentions > 0);
        let news = mentioned.or_else(|| others().find(|at| self.views[*at].unread > 0));
        match news {
            Some(at) => self.switch(at),
            None => self.hint = Some("nothing new elsewhere".into()),
        }
    }

    /// Follows what comes.
    pub(in crate::terminal) fn go_to_end(&mut self) {
        if let Some(view) = self.view_mut() {
            view.go_to_end();
        }
    }

    fn up(&mut self) {
        let width = self.box_width();
        if self.editor.go_row(Back, width) {
            return;
        }
        if let Some(text) = self.history.back(self.editor.text()) {
            let text = text.to_owned();
            self.recalled(&text);
        }
    }

    fn down(&mut self) {
        let width = self.box_width();
        if self.editor.go_row(Forward, width) {
            return;
        }
        if let Some(text) = self.history.forward() {
            let text = text.to_owned();
            self.recalled(&text);
        }
    }

    /// Shows an earlier line.
    fn recalled(&mut self, text: &str) {
        self.is_pasted = false;
        self.editor.set(text);
    }

    fn tab(&mut self) {
        let topics: Vec<String> = self.views.iter().map(|view| view.target.label()).collect();
        let completion = complete(self.editor.before(), &self.people, &topics);
        if completion.candidates.is_empty() {
            // A tab that completes nothing is one.
            return self.editor.insert("\t");
        }
        self.mode = Mode::Completing(completion);
        self.complete_next();
    }

    pub(super) fn complete_next(&mut self) {
        let Mode::Completing(completion) = &mut self.mode else {
            return;
        };
        let start = completion.start;
        let word = self.editor.before().get(start..).unwrap_or_default();
        if let Some(next) = completion.next(word) {
            self.editor.replace(start, &next);
        }
        if completion.candidates.len() == 1 {
            self.mode = Mode::Typing;
        }
    }

    /// Some of a paste.
    pub(super) fn paste(&mut self, text: &str) {
        if matches!(
            self.mode,
            Mode::Search(_) | Mode::Recall(_) | Mode::Completing(_)
        ) {
            self.mode = Mode::Typing;
        }
        self.hint = None;
        self.is_pasted = true;
        self.editor.insert(text);
    }

    pub(super) fn paste_ended(&mut self) {
        // A line that is copied whole brings its end along.
        if self.editor.before().ends_with('\n') {
            self.editor.delete(Back, Unit::Character);
        }
        let lines = self.editor.text().lines().count();
        if lines > 1 && self.mode == Mode::Typing {
            self.hint = Some(format!("{lines} lines: Enter asks how to send them"));
        }
    }

    /// A paste without marks has ended.
    pub(super) fn burst_ended(&mut self, entered: bool) {
        if entered && self.mode == Mode::Typing {
            self.enter();
        } else {
            self.paste_ended();
        }
    }

    fn enter(&mut self) {
        let text = self.editor.text();
        if text.trim().is_empty() {
            self.editor.take();
            return self.go_to_end();
        }
        if self.is_pasted && text.trim_end().contains('\n') {
            self.mode = Mode::AskPaste;
            return;
        }
        let text = self.take_text();
        match commands::read(&text) {
            Ok(command) => self.perform(command, &text),
            Err(error) => self.refuse(&error, &text),
        }
    }

    /// What was typed, to be sent: the box is empty then.
    pub(super) fn take_text(&mut self) -> String {
        let text = self.editor.take().text;
        self.is_pasted = false;
        self.history.add(text.trim_end_matches('\n'));
        text
    }

    /// Ctrl-C: the second one ends it.
    fn interrupt(&mut self, was_armed: bool) {
        if was_armed {
            return self.effects.push(Effect::Interrupt);
        }
        if self.editor.is_empty() {
            self.hint = Some("Ctrl-C again leaves at once; Ctrl-D leaves when all is sent".into());
        } else {
            self.editor.set("");
            self.is_pasted = false;
            self.hint = Some("Ctrl-_ brings it back; Ctrl-C again leaves".into());
        }
    }

    /// Ctrl-D or `/quit`.
    pub(super) fn quit(&mut self) {
        let is_away = self.connection != Connection::Up;
        if is_away && self.unsent() > 0 {
            self.mode = Mode::AskQuit;
            return;
        }
        self.has_ended = true;
        self.hint = Some("leaving; Ctrl-C doesn't wait".into());
    }

    /// A key while what was typed is being delivered.
    fn finishing_key(&mut self, key: Key) {
        if key.ctrl && matches!(key.code, Code::Char('c' | 'd')) {
            self.effects.push(Effect::Interrupt);
        } else if key == Key::ctrl('z') {
            self.effects.push(Effect::Suspend);
        }
    }
}
