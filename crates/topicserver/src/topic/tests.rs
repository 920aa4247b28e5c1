//! What topics promise together, over a cluster.

#[allow(
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    reason = "what a test receives is bounded, and complaints are texts"
)]
mod conversations;
