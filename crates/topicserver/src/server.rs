//! A server from its port to its end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use wire::ErrorCode;

use crate::config::Config;
use crate::listener;
use crate::shared::Shared;

/// A server that has its port and serves once it is [run](Self::run).
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everyone got what was queued for them.
    Drained,
    /// So many connections hadn't taken what was queued when the time was up.
    CutOff(usize),
}

/// The port can't be had.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on port {port} of {}: {source}", Where(*.address))]
pub struct BindError {
    address: Option<IpAddr>,
    port: u16,
    source: io::Error,
}

/// An address, or all of them, in words.
struct Where(Option<IpAddr>);

impl std::fmt::Display for Where {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("all addresses"),
        }
    }
}

impl Server {
    /// Takes the port. Must be called within a tokio runtime.
    pub fn bind(config: Config) -> Result<Self, BindError> {
        let (address, port) = (config.bind, config.port);
        let bound = listener::bind(address, port)
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((local_addr, listener)) => Ok(Self {
                listener,
                local_addr,
                shared: Shared::new(config),
            }),
            Err(source) => Err(BindError {
                address,
                port,
                source,
            }),
        }
    }

    /// The address it listens on, with the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown` resolves, and then lets everyone have what is
    /// queued for them, for as long as the configuration allows.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Ended {
        tokio::select! {
            () = listener::accept_all(self.listener, self.shared.clone()) => {}
            () = self.shared.registry().keep_to_budget() => {}
            () = shutdown => {}
        }
        let connections = self.shared.connections();
        let drain = async {
            self.shared.registry().settle().await;
            connections.close_all(ErrorCode::ShuttingDown, "the server is ending");
            connections.emptied().await;
        };
        match tokio::time::timeout(self.shared.config().drain_timeout, drain).await {
            Ok(()) => Ended::Drained,
            Err(_) => match connections.count_waiting() {
                0 => Ended::Drained,
                waiting => Ended::CutOff(waiting),
            },
        }
    }
}
