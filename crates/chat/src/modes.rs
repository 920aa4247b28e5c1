//! The two ways to chat.

pub(crate) mod direct;
pub(crate) mod topic;
