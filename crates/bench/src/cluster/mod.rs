//! `topicbench cluster`: three topicservers on three NATS servers, all on this machine: how fast
//! they acknowledge beside bare JetStream, what a delivery costs beside one server, how long the
//! death of a server is felt, and what very many topics take.

mod acks;
mod failover;
mod fanout;
mod figures;
mod http;
mod programs;
mod servers;
mod stream;
mod topics;

use crate::compare::check_rounds;
use crate::contender::Contender;
use crate::output::say;
use crate::proc;
use crate::workloads::Asked;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::json;
use servers::Cluster;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

/// Options of `cluster`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Our server's program, built with the feature "cluster", perhaps with options of
    /// its own [default: the topicserver beside this program]
    #[arg(long, value_name = "PATH [OPTIONS]")]
    server: Option<String>,
    /// A NATS server's program, 2.11 or newer
    /// [default: nats-server on the PATH, or what scripts/cluster has installed]
    #[arg(long, value_name = "PATH")]
    nats: Option<PathBuf>,
    /// Measure only these
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Runs of each
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds that one run of acks or fanout measures
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    seconds: f64,
    /// Topics that are made to measure what very many take
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    topics: usize,
    /// Tiny counts: shows that everything works and measures nothing
    #[arg(long)]
    quick: bool,
    /// Write every figure of every round to this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Acknowledgements, beside bare JetStream
    Acks,
    /// Deliveries at three servers, beside one
    Fanout,
    /// The pause when a topicserver is killed
    Failover,
    /// Memory of very many topics, and how soon they are served when their server is killed
    Topics,
}

/// All of them, in this order.
const PARTS: [Part; 4] = [Part::Acks, Part::Fanout, Part::Failover, Part::Topics];

/// More can't be meant: a run would take an hour.
const LONGEST: f64 = 600.0;
const MOST_TOPICS: usize = 1_000_000;
/// Enough for a third of them to be some of each server.
const LEAST_TOPICS: usize = 300;

/// What is measured.
struct Plan {
    topicserver: Contender,
    rounds: usize,
    asked: Asked,
    topics: usize,
    is_quick: bool,
}

impl Options {
    fn plan(&self) -> Result<Plan> {
        check_rounds(self.rounds)?;
        ensure!(
            self.seconds > 0.0 && self.seconds <= LONGEST,
            "--seconds {} is not more than 0 and at most {LONGEST}",
            self.seconds
        );
        ensure!(
            (LEAST_TOPICS..=MOST_TOPICS).contains(&self.topics),
            "--topics {} is not between {LEAST_TOPICS} and {MOST_TOPICS}",
            self.topics
        );
        let time = Asked::Time(Duration::from_secs_f64(self.seconds));
        Ok(Plan {
            topicserver: programs::topicserver(self.server.as_deref())?,
            rounds: if self.quick { 1 } else { self.rounds },
            asked: if self.quick { Asked::Quick } else { time },
            topics: if self.quick {
                LEAST_TOPICS
            } else {
                self.topics
            },
            is_quick: self.quick,
        })
    }
}

/// Measures, prints a table for each measurement, and returns all as JSON.
pub(crate) fn run(options: &Options, path: Option<&OsStr>) -> Result<serde_json::Value> {
    let plan = options.plan()?;
    let nats = programs::nats(options.nats.as_deref(), path)?;
    let machine = proc::machine();
    if let Some(machine) = &machine {
        say(format_args!("Machine: {machine}\n"))?;
    }
    let mut cluster = Cluster::start(plan.topicserver.clone(), &nats)?;
    let mut measured = Vec::new();
    let is_wanted = |part: &&Part| options.only.is_empty() || options.only.contains(part);
    for part in PARTS.iter().filter(is_wanted) {
        let tables = match part {
            Part::Acks => acks::measure(&cluster, &plan),
            Part::Fanout => fanout::measure(&cluster, &plan),
            Part::Failover => failover::measure(&mut cluster, &plan),
            Part::Topics => topics::measure(&mut cluster, &plan),
        };
        for table in tables.with_context(|| cluster.logs())? {
            say(table.text())?;
            measured.push(table.json());
        }
    }
    if plan.is_quick {
        say("Counts are tiny with --quick: these are no measurements.")?;
    }
    Ok(json!({ "machine": machine, "measurements": measured }))
}
