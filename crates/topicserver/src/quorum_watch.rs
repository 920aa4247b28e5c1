//! Tells clients when the cluster's log can't be used, and when it can again.

use std::time::Duration;

use wire::Event;

use crate::cluster::quorum::{notice, refusal};
use crate::state::ServerState;

/// How long clients wait for the log before they are asked to go to another server.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time over which they go.
const SPREAD: Duration = Duration::from_secs(5);

/// Watches the log, for ever.
pub(crate) async fn run(state: &ServerState) {
    let Some(part) = state.cluster() else {
        return std::future::pending().await;
    };
    let mut quorum = part.quorum().watch();
    loop {
        let is_there = *quorum.borrow_and_update();
        let patience = match is_there {
            true => Duration::MAX,
            false => PATIENCE,
        };
        match tokio::time::timeout(patience, quorum.changed()).await {
            Ok(Ok(())) => {
                let is_there = *quorum.borrow();
                tell(state, is_there).await;
            }
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => {
                let servers = state.other_servers();
                state.connections().ask_to_reconnect(SPREAD, &servers).await;
            }
        }
    }
}

async fn tell(state: &ServerState, is_there: bool) {
    let notice = notice(is_there);
    match is_there {
        true => tracing::info!("{}", notice.text),
        false => tracing::error!("{}", notice.text),
    }
    let event = Event::Notice(notice);
    state.connections().tell(&event, refusal(is_there)).await;
}
