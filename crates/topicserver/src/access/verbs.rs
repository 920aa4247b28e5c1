//! What can be allowed in a topic, as bits.

use std::fmt;

/// A set of permissions for a topic.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verbs(u8);

/// The verbs as rules write them.
const WORDS: [(&str, Verbs); 7] = [
    ("read", Verbs::READ),
    ("live", Verbs::LIVE),
    ("write", Verbs::WRITE),
    ("who", Verbs::WHO),
    ("list", Verbs::LIST),
    ("admin", Verbs::ADMIN),
    ("metrics", Verbs::METRICS),
];

impl Verbs {
    pub(crate) const NONE: Self = Self(0);
    /// To receive messages as they come.
    pub(crate) const LIVE: Self = Self(1);
    /// To receive those that came before.
    pub(crate) const HISTORY: Self = Self(2);
    /// Both.
    pub(crate) const READ: Self = Self(1 | 2);
    /// To publish.
    pub(crate) const WRITE: Self = Self(4);
    /// To see who is in the topic, joins and leaves.
    pub(crate) const WHO: Self = Self(8);
    /// To see that the topic exists.
    pub(crate) const LIST: Self = Self(16);
    /// To manage the topic. Nothing uses it yet.
    pub(crate) const ADMIN: Self = Self(32);
    /// To see the server's metrics, which are of all topics together.
    pub(crate) const METRICS: Self = Self(64);
    pub(crate) const ALL: Self = Self(127);

    /// The verb of this name in a rule.
    pub(super) fn named(word: &str) -> Option<Self> {
        let known = WORDS.iter().find(|(known, _)| *known == word);
        known.map(|(_, verbs)| *verbs)
    }

    /// Whether all of `others` are in this set.
    pub(crate) fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether some of `others` are in this set.
    pub(crate) fn intersects(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    pub(crate) fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    pub(crate) fn or(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(crate) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

impl fmt::Display for Verbs {
    /// As rules write them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_said = |word: &str| word != "live" || !self.contains(Self::READ);
        let said = WORDS
            .iter()
            .filter(|(word, verbs)| self.contains(*verbs) && is_said(word));
        let words: Vec<_> = said.map(|(word, _)| *word).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Debug for Verbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({self})")
    }
}
