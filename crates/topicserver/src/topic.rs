//! Topics. Each has a task, which alone owns its order and its subscribers, and a handle by which
//! sessions reach the task.

mod acks;
pub(crate) mod busiest;
mod clustered;
mod connections;
mod expiring;
pub(crate) mod handle;
mod list;
mod listing;
mod log;
mod looked;
pub(crate) mod mailbox;
mod members;
pub(crate) mod page;
mod people;
mod place;
pub(crate) mod presence;
pub(crate) mod publication;
mod put_off;
pub(crate) mod range;
mod recorded;
pub(crate) mod registration;
pub(crate) mod registry;
mod render;
mod settings;
mod spare;
mod subscriber;
mod task;
#[cfg(test)]
mod tests;
mod unanswered;
