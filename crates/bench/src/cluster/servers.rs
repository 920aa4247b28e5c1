//! Three topicservers on three NATS servers, on loopback, each with its own folder and its own
//! guard: whatever ends topicbench ends them, too.

use super::http::{self, metric};
use crate::contender::Contender;
use crate::servers::{Server, free_port};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Servers of each kind.
pub(super) const COUNT: usize = 3;

/// Time for servers to start, and to elect leaders.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Topics that are published to before anything is measured: some in each of the streams.
const FIRST_TOPICS: usize = 64;

/// A cluster; dropping it ends the topicservers, and then NATS.
pub(super) struct Cluster {
    /// `None` while it isn't there.
    nodes: Vec<Option<Node>>,
    nats: Vec<Nats>,
    topicserver: Contender,
}

/// A topicserver.
struct Node {
    server: Server,
    /// Where it tells its metrics.
    admin: SocketAddr,
}

/// A NATS server.
struct Nats {
    server: Server,
    monitor: SocketAddr,
}

/// What the topicservers have counted together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Records that were appended to the log.
    pub(super) appends: f64,
    /// Seconds that those took in all.
    pub(super) append_seconds: f64,
}

impl Cluster {
    /// Starts all of them, and returns when they are ready.
    pub(super) fn start(topicserver: Contender, nats: &Path) -> Result<Self> {
        let mut cluster = Self {
            nodes: (0..COUNT).map(|_| None).collect(),
            nats: start_nats(nats)?,
            topicserver,
        };
        for number in 0..COUNT {
            cluster.start_node(number)?;
        }
        for number in 0..COUNT {
            cluster.wait_for_node(number)?;
        }
        cluster.wait_for_streams()?;
        Ok(cluster)
    }

    /// Starts a topicserver, or starts it again.
    pub(super) fn start_node(&mut self, number: usize) -> Result<()> {
        let (port, admin) = (free_port()?, loopback(free_port()?));
        let listed = |scheme: &str, addresses: Vec<SocketAddr>| {
            let urls = addresses.iter().map(|one| format!("{scheme}://{one}"));
            urls.collect::<Vec<_>>().join(",")
        };
        let urls = listed("nats", self.nats_addresses());
        let monitors = self.nats.iter().map(|nats| nats.monitor).collect();
        let monitors = listed("http", monitors);
        let server = Server::run(port, |_| {
            let mut command = Command::new(&self.topicserver.program);
            command.args([&port.to_string(), "--bind", "127.0.0.1", "--log", "warn"]);
            command.args(["--cluster", &urls, "--nats-monitor", &monitors]);
            command.args(["--node", &format!("s{number}")]);
            command.args(["--advertise", &loopback(port).to_string()]);
            command.args(["--admin", &admin.to_string()]);
            command.args(&self.topicserver.options);
            Ok(command)
        });
        let server = server.with_context(|| format!("starting topicserver {number}"))?;
        self.nodes[number] = Some(Node { server, admin });
        Ok(())
    }

    /// Waits until a topicserver takes clients.
    pub(super) fn wait_for_node(&self, number: usize) -> Result<()> {
        let server = &self.node(number)?.server;
        let is_ready = || http::get(server.address(), "/-/ready").is_ok();
        server
            .wait_until(START_LIMIT, is_ready)
            .with_context(|| format!("starting topicserver {number}"))
    }

    /// Waits until all streams have leaders, and know it: servers are ready before.
    fn wait_for_streams(&self) -> Result<()> {
        for node in self.nodes.iter().flatten() {
            let takes = |number| {
                let topic = format!("first-{number}");
                http::publish(node.server.address(), &topic, "are you there?").is_ok()
            };
            node.server
                .wait_until(START_LIMIT, || (0..FIRST_TOPICS).all(takes))
                .context("publishing first messages")?;
        }
        Ok(())
    }

    /// Takes a topicserver out: dropping it kills it.
    pub(super) fn take_node(&mut self, number: usize) -> Result<Server> {
        let node = self.nodes[number].take();
        let node = node.with_context(|| format!("topicserver {number} isn't there"))?;
        Ok(node.server)
    }

    fn node(&self, number: usize) -> Result<&Node> {
        self.nodes[number]
            .as_ref()
            .with_context(|| format!("topicserver {number} isn't there"))
    }

    /// Where the topicservers that run listen, all but `without`.
    pub(super) fn addresses(&self, without: Option<usize>) -> Vec<SocketAddr> {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .filter(|(number, _)| Some(*number) != without)
            .filter_map(|(_, node)| Some(node.as_ref()?.server.address()))
            .collect()
    }

    /// Where NATS listens.
    pub(super) fn nats_addresses(&self) -> Vec<SocketAddr> {
        self.nats.iter().map(|nats| nats.server.address()).collect()
    }

    /// The processes of the topicservers that run.
    pub(super) fn pids(&self) -> Vec<u32> {
        let nodes = self.nodes.iter().flatten();
        nodes.map(|node| node.server.pid()).collect()
    }

    /// The processes of NATS.
    pub(super) fn nats_pids(&self) -> Vec<u32> {
        self.nats.iter().map(|nats| nats.server.pid()).collect()
    }

    /// Bytes that each NATS server takes up on disk.
    pub(super) fn nats_bytes_on_disk(&self) -> Option<Vec<u64>> {
        let each = self.nats.iter().map(|nats| nats.server.bytes_on_disk());
        each.collect()
    }

    /// What they have counted up to now.
    pub(super) fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        for node in self.nodes.iter().flatten() {
            let text = http::get(node.admin, "/metrics")?;
            counts.appends += metric(&text, "natter_cluster_append_seconds_count")?;
            counts.append_seconds += metric(&text, "natter_cluster_append_seconds_sum")?;
        }
        Ok(counts)
    }

    /// The first topics among the candidates that this topicserver owns: what is published there
    /// to them it hands over to nobody.
    pub(super) fn owned_by(
        &self,
        number: usize,
        candidates: impl Iterator<Item = String>,
        wanted: usize,
    ) -> Result<Vec<String>> {
        let node = self.node(number)?;
        let handed_over = || {
            let text = http::get(node.admin, "/metrics")?;
            metric(&text, "natter_cluster_forwarded_total")
        };
        let (mut owned, mut before) = (Vec::new(), handed_over()?);
        for topic in candidates {
            if owned.len() == wanted {
                break;
            }
            http::publish(node.server.address(), &topic, "whose are you?")?;
            let now = handed_over()?;
            if now == before {
                owned.push(topic);
            }
            before = now;
        }
        let count = owned.len();
        ensure!(
            count == wanted,
            "topicserver {number} owns {count} of the topics that were tried, not {wanted}"
        );
        Ok(owned)
    }

    /// What the topicservers and NATS have logged last.
    pub(super) fn logs(&self) -> String {
        let nodes = self.nodes.iter().flatten().map(|node| &node.server);
        let all = nodes.chain(self.nats.iter().map(|nats| &nats.server));
        all.map(Server::log).collect::<Vec<_>>().join("; ")
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Starts the NATS servers, which flush what they acknowledge.
fn start_nats(program: &Path) -> Result<Vec<Nats>> {
    let routes = [free_port()?, free_port()?, free_port()?];
    let mut all = Vec::new();
    for number in 0..COUNT {
        let (port, monitor) = (free_port()?, loopback(free_port()?));
        let server = Server::run(port, |folder| {
            let file = folder.join("nats.conf");
            let text = configuration(number, port, monitor, routes, folder);
            fs::write(&file, text).context("writing the configuration of NATS")?;
            let mut command = Command::new(program);
            command.arg("-c").arg(file);
            Ok(command)
        });
        let server = server.with_context(|| format!("starting NATS {number} ({program:?})"))?;
        all.push(Nats { server, monitor });
    }
    for (number, nats) in all.iter().enumerate() {
        let is_ready = || {
            // It is asked seldom enough by a connection that is refused.
            TcpStream::connect(nats.monitor).is_ok() && http::get(nats.monitor, "/healthz").is_ok()
        };
        nats.server
            .wait_until(START_LIMIT, is_ready)
            .with_context(|| format!("starting NATS {number} ({program:?})"))?;
    }
    Ok(all)
}

fn configuration(
    number: usize,
    port: u16,
    monitor: SocketAddr,
    routes: [u16; COUNT],
    folder: &Path,
) -> String {
    let others = routes.map(|route| format!("nats://127.0.0.1:{route}"));
    format!(
        "server_name: n{number}\nlisten: \"127.0.0.1:{port}\"\nhttp: \"{monitor}\"\n\
         jetstream {{ store_dir: \"{}\", sync_interval: always }}\n\
         cluster {{ name: topicbench, listen: \"127.0.0.1:{}\", routes: [{}] }}\n",
        folder.join("store").display(),
        routes[number],
        others.join(", ")
    )
}
