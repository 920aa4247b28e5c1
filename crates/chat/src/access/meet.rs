//! Dials several servers to see their keys.

use std::collections::BTreeMap;
use std::time::Duration;

use client::dial::{DialError, Dialer};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// How long the others are waited for when one server has answered.
const OTHERS: Duration = Duration::from_secs(2);

/// Dials all of them, and says what came of it, by their addresses. What takes too long, while
/// another server has answered, is left out: it may be met another time.
pub(super) async fn all(dialers: Vec<Dialer>) -> BTreeMap<String, Result<(), DialError>> {
    let mut dialing = JoinSet::new();
    for dialer in dialers {
        let address = dialer.address.to_string();
        dialing.spawn(async move { (address, dialer.dial().await.map(drop)) });
    }
    let mut met = BTreeMap::new();
    let mut until: Option<Instant> = None;
    loop {
        let is_late = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            one = dialing.join_next() => match one {
                Some(Ok((address, result))) => {
                    // It is there, also if its key is new.
                    let is_there = !matches!(
                        result,
                        Err(DialError::NotFound { .. }
                            | DialError::Refused { .. }
                            | DialError::Timeout { .. }
                            | DialError::Failed { .. })
                    );
                    if is_there {
                        until.get_or_insert_with(|| Instant::now() + OTHERS);
                    }
                    met.insert(address, result);
                }
                // The tasks are never cancelled.
                Some(Err(_)) => {}
                None => return met,
            },
            () = is_late => return met,
        }
    }
}
