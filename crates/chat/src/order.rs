//! What a person asks of the program beside saying something.
//!
//! Made by the terminal's commands, carried out by the conversation. In a pipe
//! there are none.

use wire::{TopicName, UserName};

use crate::calls::Step;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Take part in a topic too.
    Join(TopicName),
    /// Take part in it no longer.
    Leave(TopicName),
    /// Show the last messages of a topic again.
    Last {
        /// Of which.
        topic: TopicName,
        /// How many.
        count: u64,
    },
    /// Who is in a topic?
    Who(TopicName),
    /// What topics are there?
    Topics,
    /// Where is this user?
    Lookup(UserName),
    /// Call this user directly.
    Call(UserName),
    /// Do this about a call.
    Line(Step),
    /// What of all that was shown holds this text?
    Search(String),
}
