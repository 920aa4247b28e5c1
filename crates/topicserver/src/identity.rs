//! The identities of clients, and which names are taken.

mod client;
pub(crate) mod names;

pub use client::NoRandomness;
pub(crate) use client::{Hashes, Identity, is_same_client};
