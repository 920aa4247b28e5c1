//! What the line editor asks for while a line is edited: how to show the prompt, and how
//! to complete a word.
//!
//! The editor asks for the prompt whenever it draws, which tells [`Tty`] that it has.

#![expect(
    clippy::disallowed_types,
    reason = "the lock is taken in one function, which ignores poisoning: what it guards is always whole"
)]

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use wire::TopicName;

use super::commands;
use super::tty::Tty;
use crate::output::people::People;

/// The topics that a person takes part in, for completion.
pub(super) type Topics = Arc<Mutex<Vec<TopicName>>>;

/// See the module.
pub(super) struct LineHelper {
    pub(super) tty: Arc<Tty>,
    pub(super) people: People,
    pub(super) topics: Topics,
    pub(super) is_colored: bool,
}

impl Helper for LineHelper {}
impl Validator for LineHelper {}
impl Hinter for LineHelper {
    type Hint = String;
}

impl Highlighter for LineHelper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _default: bool,
    ) -> Cow<'b, str> {
        self.tty.drawn();
        match self.is_colored {
            true => Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m")),
            false => Cow::Borrowed(prompt),
        }
    }

    fn highlight_char(&self, _line: &str, _pos: usize, _kind: CmdKind) -> bool {
        self.tty.key();
        // So that it is drawn, and nothing else is taken for that.
        true
    }
}

impl Completer for LineHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..pos];
        let start = before.rfind(' ').map_or(0, |space| space + 1);
        let word = &before[start..];
        let candidates = match before.split_once(' ') {
            None if word.starts_with('/') => commands::beginning_with(word),
            None => self
                .people
                .beginning_with(word)
                .into_iter()
                .map(address)
                .collect(),
            Some((command, _)) if commands::takes_topic(command) => self.topics(word),
            Some((command, _)) if command.starts_with('/') || !word.is_empty() => {
                self.people.beginning_with(word)
            }
            Some(_) => Vec::new(),
        };
        let pair = |text: String| Pair {
            display: text.trim_end().into(),
            replacement: text,
        };
        Ok((start, candidates.into_iter().map(pair).collect()))
    }
}

impl LineHelper {
    fn topics(&self, word: &str) -> Vec<String> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let names = topics.iter().map(ToString::to_string);
        names.filter(|name| name.starts_with(word)).collect()
    }
}

/// A name at the beginning of a line, as people address others.
fn address(name: String) -> String {
    name + ": "
}
