//! Who is connected: what the server knows of a client, and which names are taken.

mod client;
pub(crate) mod names;

pub use client::NoRandomness;
pub(crate) use client::{Hashes, Identity};
