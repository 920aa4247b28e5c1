//! The bytes that a terminal sends, as keys. Sans-IO: no terminal, no clock.
//!
//! Bytes may come in any pieces, with pauses in between. What isn't UTF-8 becomes U+FFFD.
//! An escape sequence that isn't known is swallowed whole, so that none of it is taken for
//! text; one that never ends is given up when [`KeyParser::give_up`] is called.

/// What stands between bracketed paste's marks ends with this.
const PASTE_END: &[u8] = b"\x1b[201~";

/// A key with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) code: Code,
    pub(super) ctrl: bool,
    pub(super) alt: bool,
    pub(super) shift: bool,
}

/// Which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Char(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Escape,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
}

/// What comes from a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Key(Key),
    /// Some of a paste, its line breaks as `\n`.
    Paste(String),
    /// The paste has ended.
    PasteEnd,
    /// The wheel was turned, up or down.
    Wheel(Wheel),
    /// The window is, or isn't, the one that is typed into.
    Focus(Focus),
}

/// Which way the wheel was turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wheel {
    Up,
    Down,
}

/// Whether the window is the one that is typed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    Gained,
    Lost,
}

impl Key {
    /// A key alone.
    pub(super) fn plain(code: Code) -> Self {
        Self {
            code,
            ctrl: false,
            alt: false,
            shift: false,
        }
    }

    /// A letter with Ctrl.
    pub(super) fn ctrl(letter: char) -> Self {
        Self {
            ctrl: true,
            ..Self::plain(Code::Char(letter))
        }
    }

    /// With Alt.
    pub(super) fn with_alt(self) -> Self {
        Self { alt: true, ..self }
    }
}

/// Where in a sequence the parser is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// In none. `held` may be the beginning of a character.
    #[default]
    Ground,
    /// After an escape character.
    Escape,
    /// After one that was taken for the key, because nothing followed for a while. The rest of
    /// the most usual sequences may still come.
    LateEscape,
    /// After `ESC [`: parameters up to a final byte, which are held.
    Csi,
    /// After `ESC [ [`, as the Linux console has it: one more byte.
    LinuxFunction,
    /// After `ESC [ M`: so many bytes of a mouse report are still to come.
    OldMouse(u8),
    /// After `ESC O`.
    Ss3,
    /// In a string that ends with BEL or `ESC \`.
    Text,
    /// In one, after an escape character.
    TextEscape,
    /// In a bracketed paste. What may be its end is held.
    Paste,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct KeyParser {
    state: State,
    held: Vec<u8>,
    /// The last byte was a carriage return: a line feed right after it belongs to it.
    after_return: bool,
}

/// The longest sequence of parameters: mouse reports and the like are much shorter.
const LONGEST_CSI: usize = 64;

impl KeyParser {
    /// Takes bytes; what they are goes to `out`.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<Input>) {
        for byte in bytes {
            self.byte(*byte, out);
        }
        if self.state == State::Paste {
            self.flush_paste(out);
        }
    }

    /// Something has begun, and its end has not come.
    pub(super) fn is_waiting(&self) -> bool {
        self.state != State::Ground || !self.held.is_empty()
    }

    /// Nothing has followed an escape character so far.
    pub(super) fn is_at_escape(&self) -> bool {
        self.state == State::Escape
    }

    /// Takes it for the key: a terminal sends the rest of a sequence sooner.
    pub(super) fn take_escape(&mut self, out: &mut Vec<Input>) {
        if self.is_at_escape() {
            self.state = State::LateEscape;
            out.push(Input::Key(Key::plain(Code::Escape)));
        }
    }

    /// The rest of what has begun won't come any more.
    pub(super) fn give_up(&mut self, out: &mut Vec<Input>) {
        match std::mem::take(&mut self.state) {
            State::Escape => out.push(Input::Key(Key::plain(Code::Escape))),
            State::Ground if !self.held.is_empty() => push_char(out, char::REPLACEMENT_CHARACTER),
            State::Paste => {
                let rest = String::from_utf8_lossy(&self.held).into_owned();
                self.push_paste(&rest, out);
                out.push(Input::PasteEnd);
            }
            _ => {}
        }
        self.held.clear();
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<Input>) {
        match self.state {
            State::Ground => self.ground(byte, out),
            State::Escape => self.escape(byte, out),
            State::LateEscape => {
                self.state = State::Ground;
                match byte {
                    b'[' => self.escape(byte, out),
                    _ => self.ground(byte, out),
                }
            }
            State::Csi => self.csi(byte, out),
            State::LinuxFunction => self.state = State::Ground,
            State::OldMouse(left) => {
                self.state = match left {
                    0 | 1 => State::Ground,
                    left => State::OldMouse(left - 1),
                };
            }
            State::Ss3 => {
                self.state = State::Ground;
                if let Some(code) = named(byte) {
                    out.push(Input::Key(Key::plain(code)));
                }
            }
            State::Text => match byte {
                0x07 | 0x18 | 0x1a => self.state = State::Ground,
                0x1b => self.state = State::TextEscape,
                _ => {}
            },
            State::TextEscape => {
                self.state = State::Ground;
                if byte != b'\\' {
                    self.escape(byte, out);
                }
            }
            State::Paste => {
                self.held.push(byte);
                if self.held.ends_with(PASTE_END) {
                    self.held.truncate(self.held.len() - PASTE_END.len());
                    self.state = State::Ground;
                    let rest = String::from_utf8_lossy(&self.held).into_owned();
                    self.held.clear();
                    self.push_paste(&rest, out);
                    out.push(Input::PasteEnd);
                }
            }
        }
    }

    fn ground(&mut self, byte: u8, out: &mut Vec<Input>) {
        let after_return = std::mem::take(&mut self.after_return);
        if self.held.is_empty() && byte < 0x80 {
            match byte {
                0x1b => self.state = State::Escape,
                b'\n' if after_return => {}
                b'\r' => {
                    self.after_return = true;
                    out.push(Input::Key(Key::plain(Code::Enter)));
                }
                _ => out.push(Input::Key(control_or_char(byte))),
            }
            return;
        }
        self.held.push(byte);
        match std::str::from_utf8(&self.held) {
            Ok(text) => {
                text.chars().for_each(|c| push_char(out, c));
                self.held.clear();
            }
            Err(error) if error.error_len().is_none() => {}
            Err(_) => {
                push_char(out, char::REPLACEMENT_CHARACTER);
                let is_next = self.held.len() > 1;
                self.held.clear();
                // The byte that doesn't fit may begin something else.
                if is_next {
                    self.ground(byte, out);
                }
            }
        }
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<Input>) {
        self.state = State::Ground;
        match byte {
            b'[' => self.state = State::Csi,
            b'O' => self.state = State::Ss3,
            b']' | b'P' | b'_' | b'^' | b'X' => self.state = State::Text,
            0x1b => self.state = State::Escape,
            b'\r' | b'\n' => out.push(Input::Key(Key::plain(Code::Enter).with_alt())),
            0x80.. => self.ground(byte, out),
            _ => out.push(Input::Key(control_or_char(byte).with_alt())),
        }
    }

    fn csi(&mut self, byte: u8, out: &mut Vec<Input>) {
        match byte {
            b'[' if self.held.is_empty() => self.state = State::LinuxFunction,
            b'M' if self.held.is_empty() => self.state = State::OldMouse(3),
            0x40..=0x7e => {
                self.state = State::Ground;
                let parameters = std::mem::take(&mut self.held);
                self.finish_csi(&parameters, byte, out);
            }
            0x20..=0x3f if self.held.len() < LONGEST_CSI => self.held.push(byte),
            0x20..=0x3f => {}
            0x1b => {
                self.held.clear();
                self.state = State::Escape;
            }
            // A control character ends what can't go on.
            _ => {
                self.held.clear();
                self.state = State::Ground;
                self.ground(byte, out);
            }
        }
    }

    fn finish_csi(&mut self, parameters: &[u8], last: u8, out: &mut Vec<Input>) {
        if let Some(report) = parameters.strip_prefix(b"<") {
            match (last, numbers(report).first()) {
                (b'M', Some(64)) => out.push(Input::Wheel(Wheel::Up)),
                (b'M', Some(65)) => out.push(Input::Wheel(Wheel::Down)),
                _ => {}
            }
            return;
        }
        if parameters
            .first()
            .is_some_and(|first| !first.is_ascii_digit())
        {
            return;
        }
        let numbers = numbers(parameters);
        let first = numbers.first().copied().unwrap_or(1);
        let code = match (last, first) {
            (b'~', 200) => {
                self.state = State::Paste;
                self.after_return = false;
                return;
            }
            (b'I', _) if parameters.is_empty() => return out.push(Input::Focus(Focus::Gained)),
            (b'O', _) if parameters.is_empty() => return out.push(Input::Focus(Focus::Lost)),
            (b'Z', _) => Some(Code::Tab),
            (b'~', 1 | 7) => Some(Code::Home),
            (b'~', 3) => Some(Code::Delete),
            (b'~', 4 | 8) => Some(Code::End),
            (b'~', 5) => Some(Code::PageUp),
            (b'~', 6) => Some(Code::PageDown),
            (b'~', 27) => numbers.get(2).and_then(|code| unicode_key(*code)),
            (b'u', code) => unicode_key(code),
            _ => named(last),
        };
        let Some(code) = code else { return };
        let modifiers = numbers.get(1).copied().unwrap_or(1).saturating_sub(1);
        out.push(Input::Key(Key {
            code,
            shift: modifiers & 1 != 0 || last == b'Z',
            alt: modifiers & 2 != 0,
            ctrl: modifiers & 4 != 0,
        }));
    }

    /// Hands on what is surely no part of the paste's end, and whole characters.
    fn flush_paste(&mut self, out: &mut Vec<Input>) {
        let may_be_end = (1..PASTE_END.len())
            .rev()
            .find(|length| self.held.ends_with(&PASTE_END[..*length]));
        let mut keep = self.held.len() - may_be_end.unwrap_or(0);
        if let Err(error) = std::str::from_utf8(&self.held[..keep]) {
            // Only what may be a character that is cut off waits.
            let is_cut = keep - error.valid_up_to() < 4 && error.error_len().is_none();
            if is_cut {
                keep = error.valid_up_to();
            }
        }
        let rest = self.held.split_off(keep);
        let bytes = std::mem::replace(&mut self.held, rest);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.push_paste(&text, out);
    }

    fn push_paste(&mut self, text: &str, out: &mut Vec<Input>) {
        let mut clean = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\n' if self.after_return => {}
                '\r' | '\n' => clean.push('\n'),
                c => clean.push(c),
            }
            self.after_return = c == '\r';
        }
        if !clean.is_empty() {
            out.push(Input::Paste(clean));
        }
    }
}

fn push_char(out: &mut Vec<Input>, c: char) {
    out.push(Input::Key(Key::plain(Code::Char(c))));
}

fn control_or_char(byte: u8) -> Key {
    match byte {
        b'\t' => Key::plain(Code::Tab),
        b'\n' => Key::plain(Code::Enter),
        0x7f | 0x08 => Key::plain(Code::Backspace),
        0 => Key::ctrl(' '),
        1..=26 => Key::ctrl(char::from(byte - 1 + b'a')),
        28..=31 => Key::ctrl(char::from(byte - 28 + b'4')),
        _ => Key::plain(Code::Char(char::from(byte))),
    }
}

/// The keys that end a sequence with a letter.
fn named(last: u8) -> Option<Code> {
    Some(match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'F' => Code::End,
        b'H' => Code::Home,
        // The keypad's.
        b'M' => Code::Enter,
        _ => return None,
    })
}

/// A key that is reported by its character's number.
fn unicode_key(number: u32) -> Option<Code> {
    match number {
        9 => Some(Code::Tab),
        13 | 57414 => Some(Code::Enter),
        27 => Some(Code::Escape),
        127 => Some(Code::Backspace),
        // What else is reported so has no character of its own.
        57344..=63743 | 0..=31 => None,
        other => char::from_u32(other).map(Code::Char),
    }
}

fn numbers(parameters: &[u8]) -> Vec<u32> {
    let text = String::from_utf8_lossy(parameters);
    let number = |part: &str| part.split(':').next().and_then(|part| part.parse().ok());
    text.split(';')
        .map(|part| number(part).unwrap_or(1))
        .collect()
}

#[cfg(test)]
mod tests;
