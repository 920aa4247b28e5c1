//! What keys mean at the moment: text, an answer, a search.

use super::super::completion::Completion;
use super::super::keys::{Code, Key};
use super::super::text::columns;
use super::{Effect, Ui};
use crate::words::shortened;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::terminal) enum Mode {
    /// They are text.
    Typing,
    /// They choose what a word becomes.
    Completing(Completion),
    /// They answer what to do with a pasted block.
    AskPaste,
    /// They answer whether to leave without what was not sent.
    AskQuit,
    /// They walk through what was found.
    Search(Search),
    /// They look for an earlier line.
    Recall(Recall),
}

/// What is searched for among the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::terminal) struct Search {
    pub(in crate::terminal) text: String,
    /// The entry where it was found.
    pub(in crate::terminal) at: i64,
}

/// An earlier line that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::terminal) struct Recall {
    pub(in crate::terminal) text: String,
    /// The line that was found.
    pub(in crate::terminal) at: Option<usize>,
    /// What was typed before.
    typed: String,
}

impl Ui {
    /// What the person is asked or told, if anything: in fewer words where there is little
    /// room, so that every answer is named.
    pub(in crate::terminal) fn question(&self) -> Option<String> {
        let [long, short] = self.questions()?;
        match columns(&long) <= usize::from(self.size.0) {
            true => Some(long),
            false => Some(short),
        }
    }

    /// The same, in more words and in fewer.
    fn questions(&self) -> Option<[String; 2]> {
        let one = |words: String| Some([words.clone(), words]);
        match &self.mode {
            Mode::AskPaste => {
                let count = self.editor.text().lines().count();
                Some([
                    format!(
                        "send these {count} lines? y: each as a message, o: all as one, n: not yet"
                    ),
                    format!("{count} lines: y each, o as one, n not yet"),
                ])
            }
            Mode::AskQuit => {
                let pending = || self.views.iter().flat_map(|view| &view.pending);
                let count = pending().count();
                let first = pending().next().map(|line| shortened(line));
                let lines = crate::output::plural::counted(
                    u64::try_from(count).unwrap_or(u64::MAX),
                    "line is",
                    "lines are",
                );
                let first = first.unwrap_or_default();
                Some([
                    format!("{lines} not sent: {first}. Leave without sending? y: leave, n: stay"),
                    format!("leave? y or n: {lines} not sent: {first}"),
                ])
            }
            Mode::Search(search) => {
                let view = self.view()?;
                let (at, count) = view.count_found(&search.text, search.at);
                let found = format!("{:?}: {at} of {count}", search.text);
                Some([
                    format!("{found} · n: older, N: newer, Esc: back"),
                    format!("{found} · n, N, Esc"),
                ])
            }
            Mode::Recall(recall) => one(match recall.at {
                None if !recall.text.is_empty() => {
                    format!("no earlier line with {:?}", recall.text)
                }
                _ => format!("earlier line with {:?} · Ctrl-R: further back", recall.text),
            }),
            Mode::Completing(completion) => {
                let shown = completion.candidates.iter().map(|one| one.trim_end());
                one(shown.collect::<Vec<_>>().join("  "))
            }
            Mode::Typing => self.hint.clone().and_then(one),
        }
    }

    /// A key that isn't text at the moment. True if that is all it does.
    pub(super) fn mode_key(&mut self, key: Key) -> bool {
        match &self.mode {
            Mode::Typing => false,
            Mode::Completing(_) => {
                if key == Key::plain(Code::Tab) {
                    self.complete_next();
                    return true;
                }
                self.mode = Mode::Typing;
                key.code == Code::Escape
            }
            Mode::AskPaste => {
                self.answer_paste(key);
                true
            }
            Mode::AskQuit => {
                self.answer_quit(key);
                true
            }
            Mode::Search(search) => {
                let search = search.clone();
                self.search_key(key, search)
            }
            Mode::Recall(recall) => {
                let recall = recall.clone();
                self.recall_key(key, recall)
            }
        }
    }

    fn answer_paste(&mut self, key: Key) {
        match key.code {
            Code::Char('y' | 'Y') if !key.ctrl => {
                self.mode = Mode::Typing;
                let text = self.take_text();
                let lines: Vec<String> = text.lines().map(Into::into).collect();
                lines.into_iter().for_each(|line| self.say(line));
            }
            Code::Char('o' | 'O') if !key.ctrl => {
                self.mode = Mode::Typing;
                let text = self.take_text();
                self.say(text.trim_end_matches('\n').into());
            }
            Code::Char('n' | 'N' | 'c' | 'g') | Code::Escape => {
                self.mode = Mode::Typing;
                self.hint = Some("nothing was sent: change it, or press Enter again".into());
            }
            // Anything else is no answer.
            _ => {}
        }
    }

    fn answer_quit(&mut self, key: Key) {
        match key.code {
            Code::Char('y' | 'Y') => {
                let mut pending = self.views.iter().flat_map(|view| &view.pending);
                let first = pending.next().cloned().unwrap_or_default();
                let count = 1 + pending.count();
                self.effects.push(Effect::Abandon { count, first });
            }
            Code::Char('n' | 'N' | 'c' | 'g') | Code::Escape => self.mode = Mode::Typing,
            _ => {}
        }
    }

    /// Looks for a text among the messages of the view.
    pub(super) fn search(&mut self, text: String) {
        let newest = self.view().map_or(0, |view| view.ids().end - 1);
        let found = self.view().and_then(|view| view.find(&text, newest, -1));
        match found {
            None => self.hint = Some(format!("no message with {text:?}")),
            Some(at) => {
                self.mode = Mode::Search(Search { text, at });
                self.show_entry(at);
            }
        }
    }

    fn search_key(&mut self, key: Key, search: Search) -> bool {
        let step = match key.code {
            Code::Char('n') | Code::Up if !key.ctrl => -1,
            Code::Char('N' | 'p') | Code::Down if !key.ctrl => 1,
            Code::Escape | Code::Enter | Code::Char('q') => {
                self.mode = Mode::Typing;
                return true;
            }
            _ => {
                self.mode = Mode::Typing;
                return false;
            }
        };
        let found = self
            .view()
            .and_then(|view| view.find(&search.text, search.at + step, step));
        if let Some(at) = found {
            self.mode = Mode::Search(Search { at, ..search });
            self.show_entry(at);
        }
        true
    }

    /// Begins to look for an earlier line.
    pub(super) fn recall(&mut self) {
        self.mode = Mode::Recall(Recall {
            text: String::new(),
            at: None,
            typed: self.editor.text().into(),
        });
    }

    fn recall_key(&mut self, key: Key, mut recall: Recall) -> bool {
        let newest = self.history.len();
        let before = match key.code {
            Code::Char('r') if key.ctrl => recall.at.unwrap_or(newest),
            Code::Char('g' | 'c') if key.ctrl => return self.end_recall(&recall),
            Code::Escape => return self.end_recall(&recall),
            Code::Char(c) if !key.ctrl && !key.alt => {
                recall.text.push(c);
                recall.at.map_or(newest, |at| at + 1)
            }
            Code::Backspace => {
                recall.text.pop();
                newest
            }
            // It is edited on, or sent.
            _ => {
                self.mode = Mode::Typing;
                return false;
            }
        };
        if let Some((at, text)) = self.history.find(&recall.text, before) {
            recall.at = Some(at);
            let text = text.to_owned();
            self.is_pasted = false;
            self.editor.set(&text);
        }
        self.mode = Mode::Recall(recall);
        true
    }

    fn end_recall(&mut self, recall: &Recall) -> bool {
        self.editor.set(&recall.typed);
        self.mode = Mode::Typing;
        true
    }
}
