//! What the writer and the readers share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use wire::ErrorCode;

use super::database::Tables;
use super::error::StoreError;
use super::topic::{Bounds, RetentionLimits};
use super::types::TopicId;
use crate::clock::Clock;

/// The database, and where each loaded topic begins and ends.
pub(crate) struct Shared {
    /// The database, or the reason why there is none. Readers hold the lock while they
    /// read, and the writer while it opens the database again.
    pub(crate) tables: RwLock<Result<Tables, StoreError>>,
    /// The bounds of the topics that the writer has in memory.
    pub(crate) bounds: Mutex<HashMap<TopicId, Arc<Bounds>>>,
    /// How much of each topic is kept.
    pub(crate) limits: RwLock<RetentionLimits>,
    pub(crate) clock: Clock,
    /// The file of the high-water marks.
    pub(crate) marks: PathBuf,
    /// Why nothing can be written now.
    pub(crate) trouble: Mutex<Option<ErrorCode>>,
}
