//! Watches the policy: a change of its file, and the expiry of a login, reach open connections
//! within a second.

use std::sync::Arc;
use std::time::Duration;

use crate::access::Changed;
use crate::state::ServerState;

/// How often the file is checked. Connections are ended within a second, also on a busy machine.
const INTERVAL: Duration = Duration::from_millis(400);

/// Checks periodically; never ends.
pub(crate) async fn run(state: &Arc<ServerState>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        check_now(state).await;
    }
}

/// Checks once.
pub(crate) async fn check_now(state: &Arc<ServerState>) {
    if check(state).await {
        state.connections().recheck_all();
    }
}

/// Whether open connections have to be checked again.
async fn check(state: &Arc<ServerState>) -> bool {
    let now = state.clock().read().stamp;
    let has_expired = state.access().has_expired(now);
    if state.access().path().is_none() {
        return false;
    }
    let reading = {
        let state = state.clone();
        tokio::task::spawn_blocking(move || state.access().reload())
    };
    match reading.await {
        Ok(Ok(Changed::Policy)) => {
            if let Some(path) = state.access().path() {
                state.access().audit().change(path, now);
            }
            return true;
        }
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::error!("the accounts stay as they were, because the file is broken: {error}");
        }
        Err(error) => tracing::error!(%error, "the file of accounts can't be looked at"),
    }
    has_expired == Changed::Expiry
}
