//! From the configuration of a cluster to its engine.

#[cfg(feature = "cluster")]
use std::sync::Arc;
use std::time::Duration;

use super::error::EngineError;
use super::part::Engine;
use crate::config::ClusterConfig;

impl Engine {
    /// Connects to the engine that the configuration names, and sees that it can be relied on.
    /// It keeps records for `keep_age`.
    #[cfg(feature = "cluster")]
    pub async fn connect(config: &ClusterConfig, keep_age: Duration) -> Result<Self, EngineError> {
        let (engine, secret) = super::jetstream::JetStream::open(config, keep_age).await?;
        let engine = Arc::new(engine);
        Ok(Self {
            log: engine.clone(),
            bus: engine,
            secret,
        })
    }

    /// This program has no engine.
    #[cfg(not(feature = "cluster"))]
    pub async fn connect(_: &ClusterConfig, _: Duration) -> Result<Self, EngineError> {
        Err(EngineError::NotBuilt)
    }
}

/// Sees, without connecting, that the files which the configuration names can be used.
#[cfg(feature = "cluster")]
pub(crate) fn look(config: &ClusterConfig) -> Result<(), EngineError> {
    super::jetstream::JetStream::look(config)
}

/// This program has no engine.
#[cfg(not(feature = "cluster"))]
pub(crate) fn look(_: &ClusterConfig) -> Result<(), EngineError> {
    Err(EngineError::NotBuilt)
}
