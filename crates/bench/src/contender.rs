//! The systems that are compared: what each is called, how it is spoken to,
//! where its program is, and how it is told to listen on a loopback port with
//! nothing kept on disk.

use crate::protocols::{Codec, mqtt::Mqtt, nats::Nats, natter::Natter, redis::Redis, relay::Relay};
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// This project's topicserver.
    Natter,
    /// The built-in bare relay: the limit of one write per receiver.
    Relay,
    /// redis-server, publish/subscribe.
    Redis,
    /// nats-server, core NATS.
    Nats,
    /// mosquitto, MQTT 3.1.1 at quality of service 0.
    Mosquitto,
}

/// A system with the program that runs it.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// What the report calls it.
    pub(crate) name: String,
    /// Which system it is.
    pub(crate) system: System,
    /// Its program.
    pub(crate) program: PathBuf,
}

/// Connections that a peer with a limit of its own is told to accept: more
/// than any workload opens, and less than common descriptor limits.
const MAX_CLIENTS: &str = "19000";
/// What the peers that have an option for it are given, so that a join storm
/// measures the server and not a default (and what natter sets itself).
const BACKLOG: &str = "4096";

impl System {
    /// How it is spoken to.
    pub(crate) fn codec(self) -> &'static dyn Codec {
        match self {
            Self::Natter => &Natter,
            Self::Relay => &Relay,
            Self::Redis => &Redis,
            Self::Nats => &Nats,
            Self::Mosquitto => &Mqtt,
        }
    }

    /// Its name on the command line and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Natter => "natter",
            Self::Relay => "relay",
            Self::Redis => "redis",
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
        }
    }

    fn program_name(self) -> &'static str {
        match self {
            Self::Natter => "topicserver",
            Self::Relay => "topicbench",
            Self::Redis => "redis-server",
            Self::Nats => "nats-server",
            Self::Mosquitto => "mosquitto",
        }
    }

    /// Finds its program: ours beside this one, the peers on the PATH or where
    /// Debian puts them.
    pub(crate) fn find_program(self, path: Option<&std::ffi::OsStr>) -> Result<PathBuf> {
        let own = std::env::current_exe().context("finding this program's own file")?;
        let name = self.program_name();
        match self {
            Self::Relay => Ok(own),
            Self::Natter => {
                let beside = own.with_file_name(name);
                beside.is_file().then_some(beside).with_context(|| {
                    format!(
                        "{name} is not beside topicbench: build it \
                         (cargo build --release -p topicserver) or name it with --server PATH"
                    )
                })
            }
            _ => std::env::split_paths(path.unwrap_or_default())
                .chain([PathBuf::from("/usr/sbin")])
                .map(|folder| folder.join(name))
                .find(|candidate| candidate.is_file())
                .with_context(|| format!("{name} is not on the PATH: install it to compare")),
        }
    }
}

impl Contender {
    /// The command that makes it listen on loopback `port`; `scratch` is a
    /// folder of its own, `group` only concerns the relay.
    pub(crate) fn command(&self, port: u16, scratch: &Path, group: usize) -> Result<Command> {
        let mut command = Command::new(&self.program);
        let port = port.to_string();
        match self.system {
            System::Natter => {
                command.args([&port, "--bind", "127.0.0.1", "--log", "warn"]);
            }
            System::Relay => {
                command.args(["relay", &port, "--group", &group.to_string()]);
            }
            System::Redis => {
                command.args(["--port", &port, "--bind", "127.0.0.1", "--dir"]);
                command.arg(scratch);
                command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
                command.args(["--maxclients", MAX_CLIENTS, "--tcp-backlog", BACKLOG]);
            }
            System::Nats => {
                command.args(["-a", "127.0.0.1", "-p", &port]);
            }
            System::Mosquitto => {
                let file = scratch.join("mosquitto.conf");
                let text = format!(
                    "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
                     set_tcp_nodelay true\nlog_type error\n"
                );
                fs::write(&file, text).context("writing mosquitto's configuration")?;
                command.arg("-c").arg(file);
            }
        }
        Ok(command)
    }
}
