//! Who may come in, as whom, and what they may do.
//!
//! [`Policy`] is the file `--auth` as it was understood, and answers without looking
//! anything up: a [`Visitor`] and a topic give [`Verbs`]. [`Access`] holds the policy of
//! the moment. Nothing here knows of connections, topics or HTTP: `gate.rs` asks.

mod audit;
mod checker;
mod civil;
mod control;
mod edit;
mod file;
mod guessing;
mod jwt;
mod limiter;
pub(crate) mod locality;
mod login;
mod mistake;
mod password;
mod pattern;
mod policy;
pub(crate) mod proxy;
mod rate;
mod rules;
mod token;
mod verbs;
mod visitor;

pub(crate) use audit::Audit;
pub(crate) use control::{Access, Changed, Grant};
pub use edit::EditError;
pub(crate) use edit::{Change, Edit, NewToken, Subject};
pub(crate) use file::seconds;
pub use jwt::JwtKeyError;
pub(crate) use limiter::{ConnectionPlace, Exceeded, Meter};
pub(crate) use login::Login;
pub use mistake::{AuthFileError, Mistake};
pub use password::PasswordHashError;
pub(crate) use policy::{Denied, LoginError};
pub use rate::RateError;
pub use rules::RuleError;
pub use token::TokenError;
pub(crate) use verbs::Verbs;
pub(crate) use visitor::Visitor;

#[cfg(test)]
mod tests;
