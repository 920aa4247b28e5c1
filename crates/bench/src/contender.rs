//! The systems that are compared: what each is called, how it is spoken to,
//! where its program is, and how it is told to listen on a loopback port and
//! what to keep.

use crate::nchan;
use crate::protocols::browsers::{NatterTransport, NchanTransport, Transport};
use crate::protocols::extended::{Extended, Kept};
use crate::protocols::journal::Journal;
use crate::protocols::natter::{Natter, NatterInTls};
use crate::protocols::streams::Streams;
use crate::protocols::wrapped::WithinWebSocket;
use crate::protocols::{Codec, mqtt::Mqtt, nats::Nats, redis::Redis, relay::Relay};
use crate::tls;
use anyhow::{Context, Result, bail};
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
    /// valkey-server, publish/subscribe.
    Valkey,
    /// nats-server, core NATS.
    Nats,
    /// mosquitto, MQTT 3.1.1 at quality of service 0.
    Mosquitto,
    /// nginx with nchan: Server-Sent Events and WebSocket.
    Nchan,
}

/// How a system is used, where a workload compares several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// As it comes, and nothing on disk.
    Usual,
    /// Whatever it acknowledges has been flushed to disk.
    Disk,
    /// Receivers ask for natter's extended frames.
    Extended,
    /// Receivers read lines over HTTP.
    Lines,
    /// Receivers read Server-Sent Events.
    Events,
    /// Receivers have a WebSocket.
    WebSocket,
    /// All speak TLS.
    Tls,
}

/// A system with the program that runs it.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// What the report calls it.
    pub(crate) name: String,
    /// Which system it is.
    pub(crate) system: System,
    /// How it is used.
    pub(crate) variant: Variant,
    /// Its program.
    pub(crate) program: PathBuf,
    /// Further options of the program, as they were typed.
    pub(crate) options: Vec<String>,
}

/// What a workload needs of the servers that it runs against.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    /// Consecutive connections that hear one another, where the server knows no
    /// topics: this only concerns the relay. 0: all do.
    pub(crate) group: usize,
    /// The server must keep more messages of a topic than it does by itself.
    pub(crate) keeps_much: bool,
}

/// The connection limit for peers that have one: more than any workload opens, and less
/// than common descriptor limits.
const MAX_CLIENTS: &str = "19000";
/// What the peers that have an option for it are given, so that a join storm
/// measures the server and not a default (and what natter sets itself).
const BACKLOG: &str = "4096";
/// natter's option for the messages of a topic that it keeps in memory.
const HISTORY: &str = "--history-messages";
/// What natter is told to keep where a workload reads back much: as many
/// messages as the workload writes, and room for them.
const KEPT_IN_MEMORY: &str = "200000";
const KEPT_BYTES: &str = "268435456";
const KEPT_ON_DISK: &str = "10000000";
const KEPT_BYTES_ON_DISK: &str = "1000000000000";

/// NATS and MQTT as browsers speak them.
const NATS_IN_WEBSOCKET: WithinWebSocket = WithinWebSocket {
    inner: &Nats,
    subprotocol: None,
};
const MQTT_IN_WEBSOCKET: WithinWebSocket = WithinWebSocket {
    inner: &Mqtt,
    subprotocol: Some("mqtt"),
};

impl System {
    /// How it is spoken to.
    pub(crate) fn codec(self, variant: Variant) -> &'static dyn Codec {
        match (self, variant) {
            (Self::Natter, Variant::Lines) => return &NatterTransport(Transport::Lines),
            (Self::Natter, Variant::Events) => return &NatterTransport(Transport::Events),
            (Self::Natter, Variant::Tls) => return &NatterInTls,
            (Self::Natter, Variant::WebSocket) => return &NatterTransport(Transport::WebSocket),
            (Self::Nchan, Variant::WebSocket) => return &NchanTransport(Transport::WebSocket),
            (Self::Nats, Variant::WebSocket) => return &NATS_IN_WEBSOCKET,
            (Self::Mosquitto, Variant::WebSocket) => return &MQTT_IN_WEBSOCKET,
            _ => {}
        }
        match self {
            Self::Natter if variant == Variant::Extended => &Extended,
            Self::Natter => &Natter,
            Self::Relay => &Relay,
            Self::Redis | Self::Valkey => &Redis,
            Self::Nats => &Nats,
            Self::Mosquitto => &Mqtt,
            Self::Nchan => &NchanTransport(Transport::Events),
        }
    }

    /// How it is spoken to about what it keeps, if it keeps anything.
    pub(crate) fn journal(self) -> Option<&'static dyn Journal> {
        match self {
            Self::Natter => Some(&Kept),
            Self::Redis | Self::Valkey => Some(&Streams),
            Self::Relay | Self::Nats | Self::Mosquitto | Self::Nchan => None,
        }
    }

    /// Whether it can be used so.
    fn can(self, variant: Variant) -> bool {
        match variant {
            Variant::Events | Variant::WebSocket if self == Self::Nchan => true,
            Variant::WebSocket if matches!(self, Self::Nats | Self::Mosquitto) => true,
            Variant::Lines | Variant::Events | Variant::WebSocket => self == Self::Natter,
            Variant::Usual => self != Self::Nchan,
            Variant::Disk => self.journal().is_some(),
            Variant::Extended | Variant::Tls => self == Self::Natter,
        }
    }

    /// Its name on the command line and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Natter => "natter",
            Self::Relay => "relay",
            Self::Redis => "redis",
            Self::Valkey => "valkey",
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
            Self::Nchan => "nchan",
        }
    }

    fn program_name(self) -> &'static str {
        match self {
            Self::Natter => "topicserver",
            Self::Relay => "topicbench",
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
            Self::Nats => "nats-server",
            Self::Mosquitto => "mosquitto",
            Self::Nchan => "nginx",
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
            Self::Nchan if !nchan::is_installed() => {
                bail!("nginx has no nchan: install libnginx-mod-nchan to compare")
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
    /// A system in its usual variant, under its own name.
    pub(crate) fn new(system: System, program: PathBuf) -> Self {
        Self {
            name: system.name().to_owned(),
            system,
            variant: Variant::Usual,
            program,
            options: Vec::new(),
        }
    }

    /// The same system used in another way; `None` where it can't be.
    pub(crate) fn used_as(&self, variant: Variant) -> Option<Self> {
        let name = match variant {
            Variant::Usual => self.name.clone(),
            Variant::Disk => format!("{} on disk", self.name),
            Variant::Extended => format!("{} extended", self.name),
            Variant::Lines => format!("{} lines", self.name),
            Variant::Events => format!("{} SSE", self.name),
            Variant::WebSocket => format!("{} WebSocket", self.name),
            Variant::Tls => format!("{} TLS", self.name),
        };
        self.system.can(variant).then(|| Self {
            name,
            variant,
            ..self.clone()
        })
    }

    /// Whether it keeps messages.
    pub(crate) fn keeps(&self) -> bool {
        self.system.journal().is_some() && !self.is_without_history()
    }

    /// Whether it is ours and was told to keep no history.
    pub(crate) fn is_without_history(&self) -> bool {
        self.told(HISTORY) == Some("0")
    }

    /// What its own options set this one to: `--NAME VALUE` or `--NAME=VALUE`.
    fn told(&self, name: &str) -> Option<&str> {
        let mut words = self.options.iter();
        words
            .find_map(|word| match word.strip_prefix(name)? {
                "" => Some(""),
                rest => rest.strip_prefix('='),
            })
            .map(|value| match value {
                "" => words.next().map_or("", String::as_str),
                value => value,
            })
    }

    /// The command that makes it listen on loopback `port`; `scratch` is a
    /// folder of its own.
    pub(crate) fn command(&self, port: u16, scratch: &Path, setup: Setup) -> Result<Command> {
        let mut command = Command::new(&self.program);
        let port = port.to_string();
        match self.system {
            System::Natter => {
                command.args([&port, "--bind", "127.0.0.1", "--log", "warn"]);
                self.natter_options(&mut command, scratch, setup);
                if self.variant == Variant::Tls {
                    let (certificate, key) = tls::write_certificate(scratch)?;
                    command.arg("--tls-cert").arg(certificate);
                    command.arg("--tls-key").arg(key);
                }
            }
            System::Relay => {
                command.args(["relay", &port, "--group", &setup.group.to_string()]);
            }
            System::Redis | System::Valkey => {
                command.args(["--port", &port, "--bind", "127.0.0.1", "--dir"]);
                command.arg(scratch);
                command.args(["--save", "", "--daemonize", "no"]);
                command.args(["--maxclients", MAX_CLIENTS, "--tcp-backlog", BACKLOG]);
                if self.variant == Variant::Disk {
                    command.args(["--appendonly", "yes", "--appendfsync", "always"]);
                } else {
                    command.args(["--appendonly", "no"]);
                }
            }
            System::Nats => self.nats_options(&mut command, &port, scratch)?,
            System::Mosquitto => self.mosquitto_options(&mut command, &port, scratch)?,
            System::Nchan => {
                let file = scratch.join("nginx.conf");
                fs::write(&file, nchan::configuration(&port, scratch))
                    .context("writing nginx's configuration")?;
                command.arg("-p").arg(scratch).arg("-c").arg(file);
            }
        }
        command.args(&self.options);
        Ok(command)
    }

    fn nats_options(&self, command: &mut Command, port: &str, scratch: &Path) -> Result<()> {
        if self.variant != Variant::WebSocket {
            command.args(["-a", "127.0.0.1", "-p", port]);
            return Ok(());
        }
        // The listener for TCP must be somewhere, too.
        let file = scratch.join("nats.conf");
        let text = format!(
            "listen: \"127.0.0.1:-1\"\n\
             websocket {{ listen: \"127.0.0.1:{port}\", no_tls: true }}\n"
        );
        fs::write(&file, text).context("writing the configuration of NATS")?;
        command.arg("-c").arg(file);
        Ok(())
    }

    fn mosquitto_options(&self, command: &mut Command, port: &str, scratch: &Path) -> Result<()> {
        let file = scratch.join("mosquitto.conf");
        let listener = match self.variant {
            // Mosquitto 2.0 doesn't start with a listener for WebSockets alone
            // (eclipse-mosquitto/mosquitto#2284). Started as root, it would become a user who
            // can't write here.
            Variant::WebSocket => format!(
                "user root\nlistener 0 {}\nlistener {port} 127.0.0.1\nprotocol websockets\n",
                scratch.join("mosquitto.socket").display()
            ),
            _ => format!("listener {port} 127.0.0.1\n"),
        };
        let text = format!(
            "{listener}allow_anonymous true\npersistence false\n\
             set_tcp_nodelay true\nlog_type error\n"
        );
        fs::write(&file, text).context("writing mosquitto's configuration")?;
        command.arg("-c").arg(file);
        Ok(())
    }

    fn natter_options(&self, command: &mut Command, scratch: &Path, setup: Setup) {
        let is_on_disk = self.variant == Variant::Disk;
        if is_on_disk {
            command.arg("--data").arg(scratch.join("data"));
        }
        let much: &[(&str, &str)] = match (setup.keeps_much, is_on_disk) {
            (false, _) => &[],
            (true, false) => &[(HISTORY, KEPT_IN_MEMORY), ("--history-bytes", KEPT_BYTES)],
            (true, true) => &[
                ("--keep-messages", KEPT_ON_DISK),
                ("--keep-bytes", KEPT_BYTES_ON_DISK),
            ],
        };
        for (option, value) in much {
            // What was typed wins, and an option may stand only once.
            if self.told(option).is_none() {
                command.args([option, value]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(contender: &Contender, setup: Setup) -> String {
        let command = contender.command(2000, Path::new("scratch"), setup);
        let command = command.unwrap();
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_str().unwrap())
            .collect();
        words.join(" ")
    }

    fn contender(system: System) -> Contender {
        Contender::new(system, "x".into())
    }

    #[test]
    fn a_variant_has_its_own_name_and_options_and_is_only_for_those_who_can() {
        let disk = contender(System::Natter).used_as(Variant::Disk).unwrap();
        assert_eq!(disk.name, "natter on disk");
        assert!(arguments(&disk, Setup::default()).ends_with("--data scratch/data"));
        let disk = contender(System::Redis).used_as(Variant::Disk).unwrap();
        let typed = arguments(&disk, Setup::default());
        assert!(typed.ends_with("--appendonly yes --appendfsync always"));
        assert!(contender(System::Nats).used_as(Variant::Disk).is_none());
        assert!(
            contender(System::Redis)
                .used_as(Variant::Extended)
                .is_none()
        );
    }

    #[test]
    fn who_must_keep_much_is_told_so() {
        let setup = Setup {
            group: 0,
            keeps_much: true,
        };
        let natter = contender(System::Natter);
        assert!(arguments(&natter, setup).contains("--history-messages 200000"));
        let disk = natter.used_as(Variant::Disk).unwrap();
        assert!(arguments(&disk, setup).contains("--keep-messages 10000000 --keep-bytes 1000"));
        assert!(arguments(&contender(System::Redis), setup).ends_with("--appendonly no"));
    }

    #[test]
    fn what_was_typed_is_not_said_twice() {
        let mut natter = contender(System::Natter);
        natter.options = vec!["--history-messages=5".to_owned()];
        let setup = Setup {
            keeps_much: true,
            ..Setup::default()
        };
        let typed = arguments(&natter, setup);
        assert!(!typed.contains("200000") && typed.contains("--history-bytes"));
        assert!(natter.keeps());
    }

    #[test]
    fn own_options_come_last_and_tell_whether_there_is_a_history() {
        let mut bare = contender(System::Natter);
        assert!(!bare.is_without_history());
        bare.options = ["--history-messages", "0"].map(str::to_owned).to_vec();
        assert!(bare.is_without_history() && !bare.keeps());
        assert!(arguments(&bare, Setup::default()).ends_with("warn --history-messages 0"));
    }
}
