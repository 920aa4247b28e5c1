//! Tells lines that a person enters from a block that is pasted without bracketed paste.
//!
//! Nobody types on within milliseconds of Enter. So an Enter is held for a moment: if more
//! text follows at once, it is a line break of a paste, and so is every one after it until
//! there is a pause. Sans-IO: the caller hands in the time.

use std::time::{Duration, Instant};

use super::keys::{Code, Input, Key};

/// What follows an Enter within this time was not typed by a person.
const AT_ONCE: Duration = Duration::from_millis(10);
/// A paste has ended when nothing more comes for this long: it may come over a network.
const PAUSE: Duration = Duration::from_millis(60);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BurstEvent {
    /// An input that isn't part of a paste.
    Input(Input),
    /// Some of a paste that has no marks.
    Burst(String),
    /// The paste has ended: with Enter, or within a line.
    BurstEnd { entered: bool },
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    /// When an Enter came that is held.
    held: Option<Instant>,
    /// When something of the paste came last.
    burst: Option<Instant>,
}

impl Bursts {
    /// Takes what was read at once.
    pub(super) fn push(&mut self, inputs: Vec<Input>, now: Instant, out: &mut Vec<BurstEvent>) {
        self.check(now, out);
        for input in inputs {
            match text_of(&input) {
                Some('\n') => self.enter(now, out),
                Some(c) if self.held.is_some() || self.burst.is_some() => {
                    if self.held.take().is_some() {
                        push_text(out, '\n');
                    }
                    self.burst = Some(now);
                    push_text(out, c);
                }
                _ => {
                    self.flush(out);
                    out.push(BurstEvent::Input(input));
                }
            }
        }
    }

    fn enter(&mut self, now: Instant, out: &mut Vec<BurstEvent>) {
        if self.held.replace(now).is_some() {
            self.burst = Some(now);
            push_text(out, '\n');
        }
        if self.burst.is_some() {
            self.burst = Some(now);
        }
    }

    /// When to call [`check`](Self::check).
    pub(super) fn deadline(&self) -> Option<Instant> {
        match (self.burst, self.held) {
            (Some(last), _) => Some(last + PAUSE),
            (None, Some(entered)) => Some(entered + AT_ONCE),
            (None, None) => None,
        }
    }

    /// Does what is due.
    pub(super) fn check(&mut self, now: Instant, out: &mut Vec<BurstEvent>) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut Vec<BurstEvent>) {
        let entered = self.held.take().is_some();
        if self.burst.take().is_some() {
            out.push(BurstEvent::BurstEnd { entered });
        } else if entered {
            out.push(BurstEvent::Input(Input::Key(Key::plain(Code::Enter))));
        }
    }
}

/// What it would be in a paste.
fn text_of(input: &Input) -> Option<char> {
    match input {
        Input::Key(key) if key.ctrl || key.alt => None,
        Input::Key(key) => match key.code {
            Code::Char(c) => Some(c),
            Code::Enter if !key.shift => Some('\n'),
            Code::Tab if !key.shift => Some('\t'),
            _ => None,
        },
        _ => None,
    }
}

fn push_text(out: &mut Vec<BurstEvent>, c: char) {
    if let Some(BurstEvent::Burst(text)) = out.last_mut() {
        return text.push(c);
    }
    out.push(BurstEvent::Burst(c.into()));
}

#[cfg(test)]
mod tests {
    use super::super::keys::KeyParser;
    use super::*;

    /// What becomes of pieces that come so many milliseconds after the beginning, and of a
    /// long pause.
    fn steps(pieces: &[(u64, &str)]) -> Vec<String> {
        let began = Instant::now();
        let (mut parser, mut bursts, mut out) =
            (KeyParser::default(), Bursts::default(), Vec::new());
        for (at, bytes) in pieces {
            let mut inputs = Vec::new();
            parser.push(bytes.as_bytes(), &mut inputs);
            bursts.push(inputs, began + Duration::from_millis(*at), &mut out);
        }
        while let Some(deadline) = bursts.deadline() {
            bursts.check(deadline, &mut out);
        }
        let mut shown: Vec<String> = Vec::new();
        for step in out {
            let (text, joins) = match step {
                BurstEvent::Input(Input::Key(key)) => match key.code {
                    Code::Char(c) => (c.to_string(), true),
                    other => (format!("{other:?}"), false),
                },
                BurstEvent::Burst(text) => (format!("[{text:?}]"), false),
                BurstEvent::BurstEnd { entered } => (format!("end {entered}"), false),
                other => panic!("{other:?}"),
            };
            match shown
                .last_mut()
                .filter(|last| joins && last.chars().all(char::is_lowercase))
            {
                Some(last) => last.push_str(&text),
                None => shown.push(text),
            }
        }
        shown
    }

    #[test]
    fn a_line_and_then_another_are_typed() {
        assert_eq!(
            steps(&[(0, "one\r"), (200, "two"), (300, "\r")]),
            ["one", "Enter", "two", "Enter"]
        );
        assert_eq!(steps(&[(0, "\r"), (11, "\r")]), ["Enter", "Enter"]);
    }

    #[test]
    fn lines_at_once_are_a_paste() {
        assert_eq!(
            steps(&[(0, "one\rtwo\rthree\r")]),
            ["one", "[\"\\ntwo\\nthree\"]", "end true"]
        );
        assert_eq!(
            steps(&[(0, "one\r\ntwo")]),
            ["one", "[\"\\ntwo\"]", "end false"]
        );
    }

    #[test]
    fn it_goes_on_while_more_comes_and_a_tab_is_a_tab() {
        assert_eq!(
            steps(&[(0, "a\r"), (5, "b\r"), (50, "\tc"), (100, "d")]),
            ["a", "[\"\\nb\\n\\tcd\"]", "end false"]
        );
    }

    #[test]
    fn a_key_ends_it_at_once() {
        assert_eq!(
            steps(&[(0, "a\rb\r\u{3}")]),
            ["a", "[\"\\nb\"]", "end true", "c"]
        );
    }
}
