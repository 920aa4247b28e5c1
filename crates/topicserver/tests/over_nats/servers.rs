//! Three servers on three NATS servers, each a process.

use crate::common::Process;
use crate::nats::Nats;

/// How many of each there are.
pub const COUNT: usize = 3;

/// Streams over which the topics are spread: each has a leader of its own.
const SHARDS: usize = 3;

/// A cluster that is killed when it is dropped.
pub struct Cluster {
    pub nats: Nats,
    options: Vec<String>,
    /// `None` while it isn't there.
    servers: Vec<Option<Process>>,
}

impl Cluster {
    /// Servers with these options; `None`, with a word, if there is no NATS.
    pub fn start(options: &[&str]) -> Option<Self> {
        let nats = Nats::start(COUNT)?;
        let shards = SHARDS.to_string();
        let (urls, monitors) = (nats.urls(), nats.monitors());
        let own = ["--cluster", &urls, "--nats-monitor", &monitors];
        let all = [&own, &["--cluster-shards", &shards][..], options].concat();
        let mut cluster = Self {
            nats,
            options: all.into_iter().map(str::to_owned).collect(),
            servers: (0..COUNT).map(|_| None).collect(),
        };
        (0..COUNT).for_each(|number| cluster.start_server(number));
        Some(cluster)
    }

    /// Starts a server, or starts it again.
    pub fn start_server(&mut self, number: usize) {
        let node = format!("s{number}");
        let options = self.options.iter().map(String::as_str);
        let options: Vec<_> = options.chain(["--node", &node]).collect();
        self.servers[number] = Some(Process::start(&options));
    }

    pub fn server(&self, number: usize) -> &Process {
        self.servers[number].as_ref().unwrap()
    }

    /// Takes a server out, to end it.
    pub fn take_server(&mut self, number: usize) -> Process {
        self.servers[number].take().unwrap()
    }

    /// The NATS server that leads a stream.
    pub fn leader(&self, shard: usize) -> usize {
        self.nats.leader(&format!("NATTER_{:02}", shard % SHARDS))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (number, server) in self.servers.iter().enumerate() {
            let log = server.as_ref().map(Process::log).unwrap_or_default();
            let from = log.len().saturating_sub(30);
            println!("the log of server {number}: {:#?}", &log[from..]);
        }
    }
}
