//! The lines that were typed, from run to run.
//!
//! One line of the file is one entry, with `\n` for a line break and `\\` for a backslash,
//! after a first line that says so; earlier versions wrote the same. Runs that go on at the
//! same time add to one file.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Entries that are remembered.
const REMEMBERED: usize = 1_000;
/// Longer entries, in bytes, are remembered in this run only.
const LONGEST: usize = 16 * 1024;
/// The first line of the file.
const VERSION: &str = "#V2";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: Vec<String>,
    /// Where they are kept, if anywhere.
    path: Option<PathBuf>,
    /// Which entry is shown; behind the last if none is.
    at: usize,
    /// What was typed before an entry was shown.
    typed: String,
}

impl History {
    /// Reads the file. Entries that can't be read are dropped.
    pub(super) fn load(path: Option<PathBuf>) -> Self {
        let text = path.as_ref().and_then(|path| std::fs::read(path).ok());
        let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
        let mut entries: Vec<String> = text
            .lines()
            .filter(|line| !line.is_empty() && *line != VERSION)
            .map(unescaped)
            .collect();
        let surplus = entries.len().saturating_sub(REMEMBERED);
        entries.drain(..surplus);
        let history = Self {
            at: entries.len(),
            entries,
            path,
            typed: String::new(),
        };
        if surplus > REMEMBERED
            && let Some(path) = &history.path
        {
            // The next run tries again.
            let _ = history.rewrite(path);
        }
        history
    }

    fn rewrite(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = private(&new)?;
        let lines: String = self.entries.iter().map(|entry| escaped(entry)).collect();
        file.write_all(format!("{VERSION}\n{lines}").as_bytes())?;
        std::fs::rename(new, path)
    }

    /// Remembers a line, and shows none.
    pub(super) fn add(&mut self, text: &str) {
        if self.entries.last().is_none_or(|last| last != text) {
            self.entries.push(text.into());
            // A line that can't be written to the file is still sent.
            let _ = self.append(text);
        }
        self.leave();
    }

    fn append(&self, text: &str) -> io::Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| text.len() <= LONGEST) else {
            return Ok(());
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = private(path)?;
        let is_new = file.metadata()?.len() == 0;
        let head = if is_new { "#V2\n" } else { "" };
        file.write_all(format!("{head}{}", escaped(text)).as_bytes())
    }

    /// No entry is shown any more.
    pub(super) fn leave(&mut self) {
        self.at = self.entries.len();
        self.typed.clear();
    }

    /// The entry before the one that is shown. `typed` is kept.
    pub(super) fn back(&mut self, typed: &str) -> Option<&str> {
        let before = self.at.checked_sub(1)?;
        if self.at == self.entries.len() {
            self.typed = typed.into();
        }
        self.at = before;
        self.entries.get(before).map(String::as_str)
    }

    /// The entry after it, or what was typed.
    pub(super) fn forward(&mut self) -> Option<&str> {
        if self.at >= self.entries.len() {
            return None;
        }
        self.at += 1;
        let entry = self.entries.get(self.at).unwrap_or(&self.typed);
        Some(entry.as_str())
    }

    /// The newest entry before `before` that holds a text, and its place.
    pub(super) fn find(&self, text: &str, before: usize) -> Option<(usize, &str)> {
        let entries = self.entries.iter().enumerate();
        let mut earlier = entries.take(before).rev();
        earlier
            .find(|(_, entry)| entry.contains(text))
            .map(|(at, entry)| (at, entry.as_str()))
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// A file to be appended to that only the person can read.
fn private(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n") + "\n"
}

fn unescaped(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_passed_back_and_forward_and_what_was_typed_is_kept() {
        let mut history = History::default();
        for text in ["one", "two", "two"] {
            history.add(text);
        }
        assert_eq!(history.back("half"), Some("two"));
        assert_eq!(history.back("two"), Some("one"));
        assert_eq!(history.back("one"), None);
        assert_eq!(history.forward(), Some("two"));
        assert_eq!(history.forward(), Some("half"));
        assert_eq!(history.forward(), None);
        assert_eq!(history.find("o", 1), Some((0, "one")));
    }

    #[test]
    fn the_next_run_has_them_whatever_is_in_them() {
        let folder = std::env::temp_dir().join(format!("natter-history-{}", std::process::id()));
        let path = folder.join("deeper").join("history");
        let mut history = History::load(Some(path.clone()));
        let texts = ["two\nlines", r"C:\new", "é 騒ぎ"];
        texts.iter().for_each(|text| history.add(text));
        history.add(&"x".repeat(LONGEST + 1));
        assert_eq!(History::load(Some(path.clone())).entries, texts);
        for number in 0..2 * REMEMBERED + 10 {
            history.add(&number.to_string());
        }
        assert_eq!(History::load(Some(path.clone())).len(), REMEMBERED);
        let size = std::fs::metadata(&path).expect("a file").len();
        assert_eq!(History::load(Some(path.clone())).len(), REMEMBERED);
        assert_eq!(std::fs::metadata(&path).expect("a file").len(), size);
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
