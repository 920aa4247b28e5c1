//! Who may come in, as whom, and what they may do.
//!
//! [`Policy`] is the file `--auth` as it was understood, and answers without looking
//! anything up: a [`Visitor`] and a topic give [`Verbs`]. [`Access`] holds the policy of
//! the moment. Nothing here knows of connections, topics or HTTP: `gate.rs` asks.

mod audit;
mod control;
mod file;
pub(crate) mod locality;
mod mistake;
mod pattern;
mod policy;
pub(crate) mod proxy;
mod rules;
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "the commands that make tokens come next")
)]
mod token;
mod verbs;
mod visitor;

pub(crate) use audit::Audit;
pub(crate) use control::{Access, Changed, Grant};
pub use mistake::{AuthFileError, Mistake, Place};
pub(crate) use policy::{Denied, LoginError};
pub use rules::RuleError;
pub use token::TokenError;
pub(crate) use verbs::Verbs;
pub(crate) use visitor::Visitor;

#[cfg(test)]
mod tests;
