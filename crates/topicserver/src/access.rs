//! Authentication and permissions: who a client is, and what it may do.
//!
//! [`Policy`] is the parsed file `--auth`: for a [`Principal`] and a topic it gives [`Verbs`].
//! [`Access`] holds the policy in force. Nothing here knows of connections, topics or HTTP:
//! `gate.rs` asks.

mod audit;
mod checker;
mod control;
mod edit;
mod file;
mod guessing;
mod jwt;
mod limiter;
pub(crate) mod locality;
mod login;
mod login_error;
mod mistake;
mod password;
mod pattern;
mod policy;
mod principal;
pub(crate) mod proxy;
mod rate;
mod rules;
mod sealed;
mod tickets;
mod token;
mod verbs;

pub(crate) use audit::Audit;
pub(crate) use control::{Access, Changed, Grant, Lifetimes};
pub use edit::EditError;
pub(crate) use edit::{Change, Edit, NewToken, Subject};
pub(crate) use file::seconds;
pub use jwt::JwtKeyError;
pub(crate) use limiter::{ConnectionPermit, Exceeded, Meter};
pub(crate) use login::Login;
pub(crate) use login_error::LoginError;
pub use mistake::{AuthFileError, Mistake};
pub use password::PasswordHashError;
pub(crate) use policy::Denied;
pub(crate) use principal::Principal;
pub use rate::RateError;
pub use rules::RuleError;
pub use token::TokenError;
pub(crate) use verbs::Verbs;

#[cfg(test)]
mod tests;
