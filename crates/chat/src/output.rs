//! The output: messages and notices, and how they look.
//!
//! Everything here makes text and hands it on. Only the threads of the pipe,
//! the terminal and the writer of notices write.

pub(crate) mod item;
pub(crate) mod mention;
pub(crate) mod messages;
pub(crate) mod notice;
pub(crate) mod people;
pub(crate) mod person;
pub(crate) mod plural;
pub(crate) mod sanitize;
pub(crate) mod screen;
pub(crate) mod shell;
