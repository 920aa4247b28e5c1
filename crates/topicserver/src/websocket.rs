//! WebSocket's frames (RFC 6455), sans-IO: no socket, no task, no clock.

pub(crate) mod close;
pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod reader;
mod utf8;
