//! What a topic remembers: messages, for subscribers that join later or were away, and ids, so
//! that a message sent again isn't delivered again.

pub(crate) mod budget;
pub(crate) mod dedup;
pub(crate) mod entry;
pub(crate) mod memory;
