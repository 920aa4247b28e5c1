//! What a service of systemd says to it, and gets from it. Without systemd, nothing happens.

use std::net::TcpListener;
use std::time::Duration;

use sd_notify::NotifyState;
use topicserver::Vitals;

/// This part of the watchdog's period lies between two signs of life, and as much may pass
/// until all parts have answered: two of three may come late.
const PART: u32 = 3;

/// Whether something waits for what is said here.
pub(crate) fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The socket that systemd has opened for the server, if it has.
pub(crate) fn inherited_listener() -> std::io::Result<Option<TcpListener>> {
    listenfd::ListenFd::from_env().take_tcp_listener(0)
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
