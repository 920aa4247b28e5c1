//! Completion of the word before the cursor with Tab.

use super::commands;
use crate::output::people::People;

/// What a word can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Completion {
    /// Where the word begins.
    pub(super) start: usize,
    /// What it can become, in order.
    pub(super) candidates: Vec<String>,
    /// Which of them is shown; none yet.
    pub(super) shown: Option<usize>,
}

/// Finds what the word at the end of `before` can become.
pub(super) fn complete(before: &str, people: &People, topics: &[String]) -> Completion {
    let start = before.rfind(char::is_whitespace).map_or(0, |at| {
        at + before[at..].chars().next().map_or(1, char::len_utf8)
    });
    let word = &before[start..];
    let names = |word: &str| people.beginning_with(word);
    let candidates = match before.split_once(' ') {
        None if word.starts_with('/') => commands::beginning_with(word),
        Some((command, _)) if commands::takes_topic(command) => topics
            .iter()
            .filter(|name| name.starts_with(word))
            .cloned()
            .collect(),
        Some((command, _)) if commands::takes_name(command) => names(word),
        _ if word.is_empty() => Vec::new(),
        _ => match word.strip_prefix('@') {
            Some(name) => names(name)
                .into_iter()
                .map(|name| format!("@{name} "))
                .collect(),
            // At the beginning of a line, as people address others.
            None if start == 0 => names(word).into_iter().map(|name| name + ": ").collect(),
            None => names(word),
        },
    };
    Completion {
        start,
        candidates,
        shown: None,
    }
}

impl Completion {
    /// What to show next: what all have in common, then each of them.
    pub(super) fn next(&mut self, word: &str) -> Option<String> {
        if self.shown.is_none() && self.candidates.len() > 1 {
            let common = self.common();
            if common.len() > word.len() {
                return Some(common);
            }
        }
        let next = self
            .shown
            .map_or(0, |shown| (shown + 1) % self.candidates.len());
        self.shown = Some(next);
        self.candidates.get(next).cloned()
    }

    fn common(&self) -> String {
        let Some(first) = self.candidates.first() else {
            return String::new();
        };
        let is_common = |end: &usize| {
            let start = &first[..*end];
            self.candidates.iter().all(|one| one.starts_with(start))
        };
        let ends = first.char_indices().map(|(at, c)| at + c.len_utf8());
        let end = ends.take_while(is_common).last().unwrap_or(0);
        first[..end].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(before: &str) -> Vec<String> {
        let people = People::default();
        people.add_names(&["bob", "bobby", "carol"]);
        complete(before, &people, &["lunch".into(), "lab".into()]).candidates
    }

    #[test]
    fn commands_topics_and_names_are_completed_where_they_can_stand() {
        assert_eq!(candidates("/topi"), ["/topic ", "/topics"]);
        assert_eq!(candidates("/topic l"), ["lunch", "lab"]);
        assert_eq!(candidates("/call c"), ["carol"]);
        assert_eq!(candidates("c"), ["carol: "]);
        assert_eq!(candidates("CAR"), ["carol: "]);
        assert_eq!(candidates("ask c"), ["carol"]);
        assert_eq!(candidates("ask @c"), ["@carol "]);
        assert!(candidates("").is_empty() && candidates("x ").is_empty());
    }

    #[test]
    fn what_all_have_in_common_comes_first_then_each() {
        let people = People::default();
        people.add_names(&["bob", "bobby"]);
        let mut completion = complete("hi b", &people, &[]);
        let shown: Vec<_> = ["b", "bob", "bob", "bobby"]
            .iter()
            .map(|word| completion.next(word))
            .collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            shown,
            [some("bob"), some("bob"), some("bobby"), some("bob")]
        );
    }
}
