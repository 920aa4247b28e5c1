//! Tools for a history: looking into it, checking it, copying it, and deleting from it. They work
//! on a directory that no server uses. What only reads works on a running server's history as
//! well, in steps.

mod compact;
mod export;
mod facts;
mod import;
mod lines;
mod offline;
mod verify;
mod walk;

pub(crate) use compact::compact;
pub(crate) use export::Ids;
pub(crate) use import::import;
pub use import::{ImportError, LineError};
pub(crate) use lines::End;
pub(crate) use offline::{forget, look};
pub(crate) use walk::{Scope, Step, Walk};

use std::sync::Arc;

use wire::TopicName;

use super::directory::Directory;
use super::error::{OpenError, StoreError};
use super::high_water_marks::HighWaterMarks;
use super::shared::Shared;
use export::{Export, Topics};
use verify::Verify;
use walk::Visitor;

/// What somebody wants to see of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Its topics.
    Topics,
    /// Messages of a topic.
    Messages {
        topic: TopicName,
        /// The first of them; `None` for the newest.
        from: Option<u64>,
        count: u64,
    },
    /// Everything, or a topic, as an export.
    Export { topic: Option<TopicName>, ids: Ids },
    /// What is wrong with it.
    Verify,
}

/// Why a tool can't do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The directory can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The history can't be read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// There is no such topic.
    #[error("there is no topic {:?} in the history", .0.as_str())]
    NoTopic(TopicName),
}

impl Look {
    /// Begins a walk. `lock` is kept as long as it takes.
    pub(super) fn walk(
        self,
        shared: Arc<Shared>,
        marks: HighWaterMarks,
        lock: Option<Directory>,
    ) -> Result<Walk, ToolError> {
        let (scope, visitor): (_, Box<dyn Visitor>) = match self {
            Self::Topics => (Scope::All, Box::new(Topics::default())),
            Self::Messages { topic, from, count } => {
                let scope = Scope::Messages { topic, from, count };
                (scope, Box::new(Export::of_messages()))
            }
            Self::Export { topic, ids } => {
                let scope = topic.map_or(Scope::All, Scope::Topic);
                (scope, Box::new(Export::new(ids)))
            }
            Self::Verify => (Scope::All, Box::new(Verify::default())),
        };
        if let Scope::Topic(topic) | Scope::Messages { topic, .. } = &scope {
            let tables = shared.tables.read();
            let tables = tables.as_ref().map_err(Clone::clone)?;
            if super::catalogue::find_id(tables, topic)?.is_none() {
                return Err(ToolError::NoTopic(topic.clone()));
            }
        }
        Ok(Walk::new(shared, marks, scope, visitor, lock))
    }
}
