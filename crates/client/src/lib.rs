//! Publish to topics of a `topicserver` and subscribe to them, over connections that may
//! be lost.
mod backoff;
mod client;
mod connection;
pub mod deadline;
pub mod dial;
mod error;
mod event;
pub mod frame;
pub mod link;
pub mod queue;
mod reconnect;
mod secret;
pub mod session;

pub use client::{Client, Ended, Events, Options, Permit, SendError};
pub use error::{ClientError, Disconnect, Refusal, ServerError, SessionError, Undelivered};
pub use event::{Arrival, Closing, Event, Finished, Incoming, Outcome, RequestRefused, Topic};
pub use queue::Line;
pub use secret::NoRandomness;
pub use session::{History, Name, Presence, Protocol, Request};
