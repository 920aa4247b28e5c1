//! `chat`, the terminal client: two people directly, or any number by topic.
//!
//! The command line becomes a [`cli::Config`], and [`run`] carries it out. Standard output
//! carries messages and nothing else; notices go to standard error. Nothing here ends the
//! process or reads the environment: only `main.rs` does.

mod access;
mod app;
mod calls;
pub mod cli;
mod conversation;
mod discovery;
mod environment;
mod error;
mod input;
mod modes;
mod output;
mod pipe;
mod system;
mod terminal;
mod words;

pub use app::{Exit, is_interactive, run};
pub use environment::Environment;
pub use system::login_name;
