//! What a person asks of the program beside sending a line.
//!
//! Made by the terminal's commands, performed by the conversation. A pipe has none.

use client::Request;
use wire::{Address, UserName};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask the server.
    Request(Request),
    /// Look this user up, and call them directly.
    Call(UserName),
    /// Do this about a call.
    CallAction(CallAction),
}

/// What a person does about a direct call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallAction {
    /// Call somebody who was looked up.
    Dial {
        /// Whom.
        name: String,
        /// Where.
        address: Address,
    },
    /// Answer the caller.
    Accept,
    /// Refuse the caller.
    Decline,
    /// End the call.
    HangUp,
    /// Say something to the other side.
    Say(String),
}
