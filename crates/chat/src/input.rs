//! What a person or a pipe types, from bytes to lines and actions.

pub(crate) mod action;
pub(crate) mod keyboard;
pub(crate) mod lines;
