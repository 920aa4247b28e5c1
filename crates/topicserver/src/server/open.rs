//! What a server opens before it serves.

use super::{Inherited, StartError};
use crate::access::locality::Locality;
use crate::access::{Access, Audit};
use crate::admin::AdminListener;
use crate::clock::Clock;
use crate::config::Config;
use crate::listener::{self, Listeners, LocalListener};
use crate::state;
use crate::store::Store;

pub(super) fn listeners(config: &Config, inherited: Inherited) -> Result<Listeners, StartError> {
    let tcp = match inherited.tcp {
        Some(listener) => Some(listener::adopt(listener)),
        None if config.unix_only => None,
        None => Some(listener::bind(config.bind, config.port)),
    };
    let tcp = tcp.transpose().map_err(|cause| StartError::Bind {
        address: config.bind,
        port: config.port,
        cause,
    })?;
    let unix = match (inherited.unix, &config.unix) {
        (Some(listener), _) => Some(LocalListener::adopt(listener)),
        (None, Some(path)) => Some(LocalListener::bind(path)),
        (None, None) => None,
    };
    let unix = unix.transpose().map_err(|cause| StartError::Socket {
        path: config.unix.clone().unwrap_or_default(),
        cause,
    })?;
    Ok(Listeners { tcp, unix })
}

pub(super) fn admin(config: &Config) -> Result<Option<AdminListener>, StartError> {
    let Some(address) = &config.admin else {
        return Ok(None);
    };
    let listener = AdminListener::bind(address).map_err(|cause| StartError::Admin {
        address: address.clone(),
        cause,
    })?;
    if listener.is_exposed() {
        tracing::warn!(
            "whoever reaches {address} can read the metrics and end the server: use an address of \
             this machine alone, such as 127.0.0.1, or a UNIX socket"
        );
    }
    Ok(Some(listener))
}

/// Opens the policy and the audit log.
pub(super) fn access(config: &Config) -> Result<Access, StartError> {
    let file = config.audit_log.as_deref().map(Audit::open).transpose();
    let file = file.map_err(|cause| StartError::AuditLog {
        path: config.audit_log.clone().unwrap_or_default(),
        cause,
    })?;
    let audit = Audit::to_file(file);
    let lifetimes = state::lifetimes(config);
    Ok(match &config.auth {
        Some(path) => Access::from_file(path, audit, lifetimes)?,
        None if config.open_to_all => Access::open(None, audit),
        None => Access::open(Some(Locality::default()), audit),
    })
}

pub(super) fn store(config: &Config, clock: &Clock) -> Result<Option<Store>, StartError> {
    let Some(directory) = &config.data else {
        return Ok(None);
    };
    let store = Store::open(
        directory,
        state::retention(config),
        config.id_window,
        config.storage_timeout,
        clock,
    );
    store.map(Some).map_err(StartError::Store)
}
