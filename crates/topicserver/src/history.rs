//! What a topic remembers: messages for those who come later or were away, and
//! ids, so that what is sent again isn't delivered again.

pub(crate) mod budget;
pub(crate) mod dedup;
pub(crate) mod entry;
pub(crate) mod memory;
