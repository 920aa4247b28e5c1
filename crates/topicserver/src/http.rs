//! HTTP on the same port: topics are paths, and the page lives here too.
//!
//! A connection's requests come here one after another. A stream or a WebSocket leaves
//! the HTTP library when its request is known, and becomes a session straight on the
//! socket, with the outbox and the rules of every other one: nothing in here knows how
//! messages are delivered.

mod accept;
mod answer;
mod assets;
mod connection;
mod context;
mod guard;
mod info;
mod problem;
mod publish;
mod query;
mod router;
mod serve;
mod stream;
mod takeover;
mod websocket;

pub(crate) use serve::HttpService;
