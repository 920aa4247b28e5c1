//! Dialing a peer or a server, and saying so when it takes long.

use std::pin::pin;
use std::time::Duration;

use client::dial::{DialError, Dialer, SLOW};
use client::link::Link;
use tokio::time::{sleep, timeout};

use crate::output::notice::Notices;
use crate::words;

/// From one attempt to the next.
const PAUSE: Duration = Duration::from_millis(500);

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

/// Makes a connection, however long the other side is in coming.
pub(crate) async fn dial_until(dialer: &Dialer, notices: &Notices, expected: &str) -> Link {
    let mut has_said = false;
    loop {
        match dial(dialer, notices).await {
            Ok(link) => return link,
            Err(error) => {
                if !std::mem::replace(&mut has_said, true) {
                    let why = words::dial_error(&error, expected);
                    notices.say(format_args!("waiting for {}: {why}", dialer.address));
                }
                sleep(PAUSE).await;
            }
        }
    }
}
