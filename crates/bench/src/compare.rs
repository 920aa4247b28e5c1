//! The comparison: every workload against every system in interleaved rounds
//! (A B C A B C …), so that a slow minute of the machine falls on all alike.
//! Each run has a fresh server process.

use crate::contender::Contender;
use crate::measure::Sample;
use crate::servers::Server;
use crate::workloads::{Bounds, Target, Workload};
use anyhow::{Context, Result};

/// What is run.
pub(crate) struct Plan {
    /// The workloads, in this order.
    pub(crate) workloads: Vec<Workload>,
    /// The systems; ratios are those of the first to each other one.
    pub(crate) contenders: Vec<Contender>,
    /// Runs of each workload against each system.
    pub(crate) rounds: usize,
    /// Time and messages of one run.
    pub(crate) bounds: Bounds,
}

/// All rounds of one workload.
pub(crate) struct Outcome {
    /// Which workload.
    pub(crate) workload: Workload,
    /// By contender, in the plan's order.
    pub(crate) results: Vec<ContenderResult>,
}

/// All rounds of one workload against one system.
#[derive(Default)]
pub(crate) struct ContenderResult {
    /// One sample a round that succeeded.
    pub(crate) samples: Vec<Sample>,
    /// What went wrong, once for each round that didn't.
    pub(crate) failures: Vec<String>,
}

impl Plan {
    /// Runs one workload's rounds.
    pub(crate) fn run(&self, workload: Workload) -> Outcome {
        let mut results: Vec<ContenderResult> = Vec::new();
        results.resize_with(self.contenders.len(), Default::default);
        for round in 1..=self.rounds {
            for (contender, result) in self.contenders.iter().zip(&mut results) {
                let name = &contender.name;
                eprintln!(
                    "{}: round {round} of {}: {name}",
                    workload.name, self.rounds
                );
                match run_once(contender, workload, self.bounds) {
                    Ok(sample) => result.samples.push(sample),
                    Err(error) => {
                        eprintln!("{}: {name} FAILED: {error:#}", workload.name);
                        result.failures.push(format!("{error:#}"));
                    }
                }
            }
        }
        Outcome { workload, results }
    }
}

/// One workload against one fresh server.
pub(crate) fn run_once(
    contender: &Contender,
    workload: Workload,
    bounds: Bounds,
) -> Result<Sample> {
    let mut servers = Vec::new();
    for _ in 0..workload.servers() {
        servers.push(Server::start(contender, workload.group())?);
    }
    let targets: Vec<Target> = servers
        .iter()
        .map(|server| Target {
            codec: contender.system.codec(),
            address: server.address,
            pid: Some(server.pid()),
        })
        .collect();
    workload.run(&targets, bounds).with_context(|| {
        let logs: Vec<String> = servers.iter().map(Server::log).collect();
        format!("{} ({})", contender.name, logs.join("; "))
    })
}
