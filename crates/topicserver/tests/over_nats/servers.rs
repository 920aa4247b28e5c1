//! Three servers on three NATS servers, each a process.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use crate::common::Process;
use crate::harness::random;
use crate::nats::{Machine, Nats};

/// How many of each there are.
pub const COUNT: usize = 3;

/// Streams over which the topics are spread: each has a leader of its own.
const SHARDS: usize = 3;

/// A port that is free now, and that the system gives nobody who asks for any: a server may go and
/// come back at it.
fn quiet_port() -> u16 {
    loop {
        let port = 10_000 + u16::try_from(random(20_000)).unwrap();
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// A cluster that is killed when it is dropped.
pub struct Cluster {
    pub nats: Nats,
    options: Vec<String>,
    /// Where clients reach each server, whenever it runs.
    ports: [u16; COUNT],
    /// Where each runs, and clients reach it.
    machines: Vec<Machine>,
    /// `None` while it isn't there.
    servers: Vec<Option<Process>>,
}

impl Cluster {
    /// Servers with these options; `None`, with a word, if there is no NATS.
    pub fn start(options: &[&str]) -> Option<Self> {
        Some(Self::on(Nats::start(COUNT)?, options))
    }

    /// The same on NATS servers that run already.
    pub fn on(nats: Nats, options: &[&str]) -> Self {
        let machines = vec![Machine::this(); COUNT];
        Self::on_machines(nats, machines, options)
    }

    /// The same, with each server on one of these machines.
    pub fn on_machines(nats: Nats, machines: Vec<Machine>, options: &[&str]) -> Self {
        let shards = SHARDS.to_string();
        let (urls, monitors) = (nats.urls(), nats.monitors());
        let own = ["--cluster", &urls, "--nats-monitor", &monitors];
        let all = [&own, &["--cluster-shards", &shards][..], options].concat();
        let mut cluster = Self {
            nats,
            options: all.into_iter().map(str::to_owned).collect(),
            ports: std::array::from_fn(|_| quiet_port()),
            machines,
            servers: (0..COUNT).map(|_| None).collect(),
        };
        (0..COUNT).for_each(|number| cluster.start_server(number));
        cluster
    }

    /// Starts a server, or starts it again.
    pub fn start_server(&mut self, number: usize) {
        let node = format!("s{number}");
        let options = self.options.iter().map(String::as_str);
        let (port, address) = (self.ports[number], self.addr(number).to_string());
        let own = ["--node", &node, "--advertise", &address];
        let options: Vec<_> = options.chain(own).collect();
        let program = Path::new(env!("CARGO_BIN_EXE_topicserver"));
        let command = self.machines[number].command(program);
        self.servers[number] = Some(Process::start_by(command, port, &options));
    }

    /// Where clients reach a server.
    pub fn addr(&self, number: usize) -> SocketAddr {
        (self.machines[number].host, self.ports[number]).into()
    }

    /// Where clients reach each.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        (0..COUNT).map(|number| self.addr(number)).collect()
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
