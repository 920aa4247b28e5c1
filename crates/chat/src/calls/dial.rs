//! Dialing a peer or a server, and saying so when it takes long.

use std::pin::pin;

use client::dial::{DialError, Dialer, SLOW};
use client::link::Link;
use tokio::time::timeout;

use crate::output::notice::Notices;
use crate::words;

/// The program that takes direct calls beside a topic.
pub(crate) const LISTENER: &str = "chat --listen";

/// Makes a connection.
pub(crate) async fn dial(dialer: &Dialer, notices: &Notices) -> Result<Link, DialError> {
    let mut dialing = pin!(dialer.dial());
    if let Ok(result) = timeout(SLOW, &mut dialing).await {
        return result;
    }
    notices.say(words::still_connecting(&dialer.address));
    dialing.await
}
