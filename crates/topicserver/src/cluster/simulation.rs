//! A cluster's log and bus within one process, with every fault that can be thought of.
//!
//! All that happens is an event at a time, and the events of one time have an order. Chance comes
//! from a seed. So on a runtime of one thread whose time is paused, the same seed gives the same
//! run, if nothing else there leaves something to chance: `select!` does, unless it is `biased`.
//!
//! A request to the log is under way as soon as it is polled. Nobody takes it back by dropping
//! it.

mod bus;
mod chance;
mod faults;
mod feeds;
mod listeners;
mod log;
mod network;
mod plan;
mod records;
mod state;
mod world;

#[cfg(test)]
pub(crate) use chance::Chance;
pub use faults::{Fate, Faults};
pub use plan::{Misfortune, Plan};
pub use world::World;

#[cfg(test)]
mod tests;
