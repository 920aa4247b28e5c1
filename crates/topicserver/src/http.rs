//! HTTP on the same port: topics are paths, and the page lives here too.
//!
//! A connection's requests come here one after another. What a stream or a WebSocket
//! sends and gets goes through a session of its own, with the outbox and the rules of
//! every other one: nothing in here knows how messages are delivered.

mod accept;
mod assets;
mod connection;
mod context;
mod guard;
mod info;
mod pipe;
mod problem;
mod publish;
mod query;
mod router;
mod serve;
mod sse;
mod stream;
mod websocket;

pub(crate) use serve::HttpService;
