//! Several servers as one service.
//!
//! The servers share one log. Each topic's records have one order there, because a record is
//! appended only behind the one that it names. Which server appends to a topic, its owner, is a
//! mere matter of speed: if two try, the log takes one of them, and the other one reads on.
//!
//! ```text
//! topic's task ─▶ sender ─▶ owner's sequencer ─▶ log ─▶ follower ─▶ topic's task
//! ```
//!
//! Each server delivers what it reads in the log, and nothing else. `Log` and `Bus` are all that is
//! asked of the engine.

mod again;
pub(crate) mod bus;
pub(crate) mod chain;
pub(crate) mod connect;
pub(crate) mod directory;
pub(crate) mod error;
pub(crate) mod find;
pub(crate) mod follower;
pub(crate) mod forward;
pub(crate) mod heads;
pub(crate) mod history;
#[cfg(feature = "cluster")]
mod jetstream;
pub(crate) mod keep;
pub(crate) mod log;
pub(crate) mod names;
pub(crate) mod nodes;
pub(crate) mod numbering;
pub(crate) mod part;
pub(crate) mod presence;
pub(crate) mod quorum;
pub(crate) mod record;
pub(crate) mod sender;
pub(crate) mod sequencer;
pub(crate) mod shared;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
pub(crate) mod tail;
pub(crate) mod text;
pub(crate) mod trimmer;

pub use error::EngineError;
pub use part::Engine;
