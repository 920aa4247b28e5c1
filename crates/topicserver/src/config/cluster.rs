//! The options of a cluster: several servers that share one log.

use std::path::PathBuf;

use clap::Args;

use super::Config;
use super::nats_url::NatsUrl;
use super::parse::up_to;

/// The settings of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The NATS servers; at least one.
    pub servers: Vec<NatsUrl>,
    /// The cluster's name: that of its streams and subjects in NATS.
    pub name: String,
    /// This server's name in the cluster; `None`: made of the host's name and the port.
    pub node: Option<String>,
    /// Where clients reach this server; `None`: at the host's name and the port.
    pub advertise: Option<String>,
    /// What an acknowledgement promises.
    pub durability: ClusterDurability,
    /// The monitoring addresses of all NATS servers.
    pub monitors: Vec<MonitorUrl>,
    /// A file with what this server shows NATS of itself.
    pub credentials: Option<PathBuf>,
    /// The authorities that NATS's certificates are checked against; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// The number of streams; fixed when they are made.
    pub shards: usize,
    /// On how many NATS servers each record is; `None`: on all, and on three at most.
    pub replicas: Option<usize>,
}

impl ClusterConfig {
    /// The name of the cluster unless another one is given.
    pub const DEFAULT_NAME: &str = "natter";
    /// Each stream has one leader, so this many streams keep all NATS servers at work, and a
    /// leader's death stops a part of the topics only.
    pub const DEFAULT_SHARDS: usize = 16;
    /// Two digits in a stream's name.
    const MOST_SHARDS: u64 = 100;
    /// What JetStream allows.
    const MOST_REPLICAS: u64 = 5;

    /// The settings of a cluster on these NATS servers.
    pub fn new(servers: Vec<NatsUrl>) -> Self {
        Self {
            servers,
            name: Self::DEFAULT_NAME.to_owned(),
            node: None,
            advertise: None,
            durability: ClusterDurability::Flushed,
            monitors: Vec::new(),
            credentials: None,
            ca: None,
            shards: Self::DEFAULT_SHARDS,
            replicas: None,
        }
    }

    /// This server's name in the cluster: letters, digits and hyphens.
    pub fn node_name(&self, host: Option<&str>, port: u16) -> String {
        if let Some(name) = &self.node {
            return name.clone();
        }
        let allowed = |letter: char| match letter.to_ascii_lowercase() {
            letter @ ('a'..='z' | '0'..='9') => letter,
            _ => '-',
        };
        let host: String = host.unwrap_or("node").chars().map(allowed).collect();
        // The longest name of a host is longer than that of a node.
        let host: String = host.chars().take(LONGEST_NAME - "-65535".len()).collect();
        format!("{host}-{port}")
    }
}

/// What an acknowledgement of a cluster promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ClusterDurability {
    /// The message is on the disks of most NATS servers.
    Flushed,
    /// The message is in the memory of most NATS servers; when all lose their power at once, the
    /// messages of the last seconds are lost.
    Replicated,
}

/// The monitoring address of a NATS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorUrl(String);

impl MonitorUrl {
    /// Host and port.
    pub fn authority(&self) -> &str {
        &self.0
    }
}

/// Why something isn't a name in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {LONGEST_NAME} lower-case letters, digits and hyphens, as in web-1")]
struct NameError;

/// Why something isn't the address of a NATS server's monitor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is http, a host and a port, as in http://10.0.0.1:8222")]
pub struct MonitorUrlError;

/// Why something isn't an address at which clients reach a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is a host and a port, as in chat.example:20000")]
struct AddressError;

/// The longest name of a cluster or of a node.
const LONGEST_NAME: usize = 64;

fn name(text: &str) -> Result<String, NameError> {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    match (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_allowed) {
        true => Ok(text.to_owned()),
        false => Err(NameError),
    }
}

/// Whether it is a host, a colon and a port.
fn is_authority(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_host = |byte: u8| byte.is_ascii_graphic() && !b"/@?#,".contains(&byte);
    let in_brackets = host.starts_with('[') && host.ends_with(']');
    let is_plain = !host.contains([':', '[', ']']);
    !host.is_empty()
        && host.bytes().all(is_host)
        && (in_brackets || is_plain)
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn address(text: &str) -> Result<String, AddressError> {
    match is_authority(text) {
        true => Ok(text.to_owned()),
        false => Err(AddressError),
    }
}

impl std::str::FromStr for MonitorUrl {
    type Err = MonitorUrlError;

    fn from_str(text: &str) -> Result<Self, MonitorUrlError> {
        let authority = text.strip_prefix("http://").unwrap_or(text);
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        match is_authority(authority) {
            true => Ok(Self(authority.to_owned())),
            false => Err(MonitorUrlError),
        }
    }
}

// No doc comment: clap would show it as the program's description.
#[derive(Clone, Debug, Args)]
pub(super) struct ClusterOptions {
    /// Be one of several servers that share their topics through these NATS servers with
    /// JetStream, as in nats://10.0.0.1,nats://10.0.0.2
    #[arg(
        long,
        value_name = "URLS",
        value_delimiter = ',',
        conflicts_with = "data"
    )]
    cluster: Vec<NatsUrl>,

    /// Name of the cluster, if several share the NATS servers
    #[arg(long, value_name = "NAME", default_value = ClusterConfig::DEFAULT_NAME,
          value_parser = name)]
    cluster_name: String,

    /// Name of this server in the cluster [default: host name and port]
    #[arg(long, value_name = "NAME", value_parser = name, requires = "cluster")]
    node: Option<String>,

    /// Where clients reach this server, for those that another server sends here [default: host
    /// name and port]
    #[arg(long, value_name = "HOST:PORT", value_parser = address, requires = "cluster")]
    advertise: Option<String>,

    /// What an acknowledgement promises. flushed: the message is on the disks of most NATS
    /// servers; that they flush is checked, see --nats-monitor. replicated: it is in the memory of
    /// most
    #[arg(
        long,
        value_name = "PROMISE",
        default_value = "flushed",
        hide_possible_values = true
    )]
    cluster_durability: ClusterDurability,

    /// Monitoring addresses of all NATS servers, as in http://10.0.0.1:8222
    #[arg(long, value_name = "URLS", value_delimiter = ',', requires = "cluster")]
    nats_monitor: Vec<MonitorUrl>,

    /// How to log in to NATS: a file of credentials as NATS makes it, or a line with
    /// USER:PASSWORD, or with a token
    #[arg(long, value_name = "FILE", requires = "cluster")]
    cluster_credentials: Option<PathBuf>,

    /// Authorities for NATS's certificates: a PEM file [default: those of the system]
    #[arg(long, value_name = "FILE", requires = "cluster")]
    cluster_ca: Option<PathBuf>,

    /// Streams to spread the topics over. It can't be changed later
    #[arg(long, value_name = "COUNT", default_value_t = ClusterConfig::DEFAULT_SHARDS,
          value_parser = up_to(1, ClusterConfig::MOST_SHARDS))]
    cluster_shards: usize,

    /// NATS servers to keep each message on [default: all, at most 3]
    #[arg(long, value_name = "COUNT", requires = "cluster",
          value_parser = up_to(1, ClusterConfig::MOST_REPLICAS))]
    cluster_replicas: Option<usize>,
}

impl ClusterOptions {
    pub(super) fn apply(&self, config: &mut Config) {
        if self.cluster.is_empty() {
            return;
        }
        config.cluster = Some(ClusterConfig {
            servers: self.cluster.clone(),
            name: self.cluster_name.clone(),
            node: self.node.clone(),
            advertise: self.advertise.clone(),
            durability: self.cluster_durability,
            monitors: self.nats_monitor.clone(),
            credentials: self.cluster_credentials.clone(),
            ca: self.cluster_ca.clone(),
            shards: self.cluster_shards,
            replicas: self.cluster_replicas,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_a_name_is_called_after_its_host_and_port() {
        let mut config = ClusterConfig::new(Vec::new());
        assert_eq!(
            config.node_name(Some("Web_1.example"), 7),
            "web-1-example-7"
        );
        assert_eq!(config.node_name(None, 20000), "node-20000");
        let longest = config.node_name(Some(&"x".repeat(255)), 65535);
        assert_eq!(name(&longest), Ok(longest.clone()));
        config.node = Some("left".to_owned());
        assert_eq!(config.node_name(Some("web"), 7), "left");
    }

    #[test]
    fn names_and_addresses_are_checked() {
        for wrong in ["", "a b", "A", "a.b", &"x".repeat(65)] {
            assert_eq!(name(wrong), Err(NameError), "{wrong:?}");
        }
        for right in ["a:1", "10.0.0.1:20000", "[::1]:65535", "chat.example:443"] {
            assert_eq!(address(right), Ok(right.to_owned()));
            let monitor: MonitorUrl = format!("http://{right}/").parse().unwrap();
            assert_eq!(monitor.authority(), right);
        }
        for wrong in ["a", "a:", "a:0", ":1", "::1:5", "a:70000", "u@a:1", "a/b:1"] {
            assert_eq!(address(wrong), Err(AddressError), "{wrong}");
            assert_eq!(wrong.parse::<MonitorUrl>(), Err(MonitorUrlError), "{wrong}");
        }
        assert!("https://a:1".parse::<MonitorUrl>().is_err());
    }
}
