//! What the log of a cluster has answered to commands that wait.

/// How far the log reaches, and what else it was asked.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The newest message's number, as the log's leader knows it, if it answers.
    newest: Option<u64>,
    /// The first messages since times, as far as they were found; `u64::MAX`: none.
    since: Vec<(u64, u64)>,
    /// Who answered leads the log, as most of its servers confirm.
    is_confirmed: bool,
}

impl Looked {
    pub(crate) fn new(newest: Option<u64>) -> Self {
        Self {
            newest,
            since: Vec::new(),
            is_confirmed: false,
        }
    }

    /// The same if whoever answered leads the log.
    pub(crate) fn confirmed(self, is_confirmed: bool) -> Self {
        Self {
            is_confirmed,
            ..self
        }
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// The first message since a time was found; `None`: there is none.
    pub(crate) fn add(&mut self, time: u64, first: Option<u64>) {
        self.since.push((time, first.unwrap_or(u64::MAX)));
    }

    pub(crate) fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// The first message since a time, `u64::MAX` if there is none; `None` if that wasn't found
    /// out.
    pub(crate) fn first_since(&self, time: u64) -> Option<u64> {
        let found = self.since.iter().find(|(known, _)| *known == time);
        found.map(|(_, first)| *first)
    }
}
