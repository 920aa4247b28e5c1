//! One page of a list of names: bounded in entries and in bytes.

use wire::Page;

/// Bytes of the entries on a page: it should fit into a frame of the default size, even if JSON
/// escapes make the names longer.
const NAMES_BYTES: usize = 40 * 1024;

/// Entries on a page: as many as fit if their names are short.
pub(crate) const MAX_ENTRIES: usize = 500;

/// What an entry takes beside its name, roughly.
const ENTRY_COST: usize = 64;

/// What the answer to a request for a page counts in the outbox while it is being made.
pub(crate) const REPLY_BYTES: usize = NAMES_BYTES;

/// The room that is left on a page.
pub(crate) struct PageRoom {
    entries: usize,
    bytes: usize,
}

impl PageRoom {
    pub(crate) fn of(page: &Page) -> Self {
        Self {
            entries: max_entries(page),
            bytes: NAMES_BYTES,
        }
    }

    /// Takes the room for an entry with this name, if there is enough. The first entry always
    /// gets its room: names are short.
    pub(crate) fn take(&mut self, name: &str) -> bool {
        let bytes = ENTRY_COST + name.len();
        if self.entries == 0 || self.bytes < bytes {
            return false;
        }
        self.entries -= 1;
        self.bytes -= bytes;
        true
    }
}

/// The largest number of entries on a page.
pub(crate) fn max_entries(page: &Page) -> usize {
    let wanted = page.limit.map_or(u32::MAX, std::num::NonZeroU32::get);
    usize::try_from(wanted).map_or(MAX_ENTRIES, |wanted| wanted.min(MAX_ENTRIES))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// How many names of that length go on a page.
    fn count(limit: Option<u32>, length: usize) -> usize {
        let limit = limit.and_then(NonZeroU32::new);
        let mut room = PageRoom::of(&Page { after: None, limit });
        let name = "n".repeat(length);
        std::iter::from_fn(|| room.take(&name).then_some(())).count()
    }

    #[test]
    fn a_page_is_bounded_in_entries_and_bytes() {
        assert_eq!(count(None, 1), MAX_ENTRIES);
        assert_eq!(count(Some(7), 1), 7);
        assert_eq!(count(Some(u32::MAX), 1), MAX_ENTRIES);
        assert_eq!(count(None, 255), NAMES_BYTES / (255 + ENTRY_COST));
        assert_eq!(count(Some(1), 255), 1);
    }
}
