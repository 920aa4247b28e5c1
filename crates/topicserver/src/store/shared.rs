//! What the writer and the readers share.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::database::Tables;
use super::topic::{Bounds, Limits};
use super::types::{StoreError, TopicId};
use crate::clock::Clock;

/// The database, and where each loaded topic begins and ends.
pub(crate) struct Shared {
    /// Readers hold it while they read, and the writer while it opens the
    /// database again. An error: why there is none.
    pub(crate) tables: RwLock<Result<Tables, StoreError>>,
    /// Of the topics that the writer has in memory.
    pub(crate) bounds: Mutex<HashMap<TopicId, Arc<Bounds>>>,
    /// How much of each topic is kept.
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
}
