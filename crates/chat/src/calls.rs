//! Direct calls: listening for them, dialing, and the calls beside a topic.

pub(crate) mod dial;
pub(crate) mod listen;
pub(crate) mod manager;
