//! What a service of systemd says to it, and gets from it. Without systemd, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use topicserver::{Inherited, Vitals};

/// This part of the watchdog's period lies between two signs of life, and as much may pass
/// until all parts have answered: two of three may come late.
const PART: u32 = 3;

/// Whether something waits for what is said here.
pub(crate) fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The sockets that systemd has opened for the server, if it has: one for TCP, one UNIX socket,
/// or both, in any order.
pub(crate) fn inherited() -> std::io::Result<Inherited> {
    let mut sockets = listenfd::ListenFd::from_env();
    let mut inherited = Inherited::default();
    for index in 0..sockets.len() {
        let is_second = match sockets.take_unix_listener(index) {
            Ok(unix) => std::mem::replace(&mut inherited.unix, unix).is_some(),
            Err(_) => {
                let tcp = sockets.take_tcp_listener(index)?;
                std::mem::replace(&mut inherited.tcp, tcp).is_some()
            }
        };
        if is_second {
            let text = "the server listens on one TCP socket and one UNIX socket at most; give \
                        it fewer ListenStream= lines";
            return Err(std::io::Error::other(text));
        }
    }
    Ok(inherited)
}

/// The server serves.
pub(crate) fn say_ready() {
    say(&[NotifyState::Ready]);
}

/// The server reads its files again, and serves meanwhile. It is ready afterwards.
pub(crate) fn say_reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        say(&[NotifyState::Reloading, now]);
    }
}

/// The server is ending.
pub(crate) fn say_stopping() {
    say(&[NotifyState::Stopping]);
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd can't be told how the server is");
    }
}

/// Gives signs of life for ever, if systemd wants them: each only when all parts of the server
/// have answered in time.
pub(crate) async fn feed_watchdog(mut vitals: Vitals) {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let part: Duration = period / PART;
    loop {
        match tokio::time::timeout(part, vitals.check()).await {
            Ok(Ok(())) => say(&[NotifyState::Watchdog]),
            Ok(Err(unwell)) => tracing::error!("no sign of life for systemd: {unwell}"),
            Err(_) => tracing::error!("no sign of life for systemd: a part doesn't answer"),
        }
        tokio::time::sleep(part).await;
    }
}
