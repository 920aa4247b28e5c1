//! What a topic remembers of its messages.

pub(crate) mod entry;
