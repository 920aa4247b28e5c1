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
    /// The systems; who takes part in which workload, and how, the workload says.
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
    /// Who took part.
    pub(crate) contenders: Vec<Contender>,
    /// By contender.
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
    /// Runs one workload's rounds; `None` when nobody can take part in it.
    pub(crate) fn run(&self, workload: Workload) -> Option<Outcome> {
        let contenders = workload.entrants(&self.contenders);
        if contenders.is_empty() {
            eprintln!("skipping {}: no server at hand can do it", workload.name);
            return None;
        }
        let mut results: Vec<ContenderResult> = Vec::new();
        results.resize_with(contenders.len(), Default::default);
        for round in 1..=self.rounds {
            for (contender, result) in contenders.iter().zip(&mut results) {
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
        Some(Outcome {
            workload,
            contenders,
            results,
        })
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
        servers.push(Server::start(contender, workload.setup())?);
    }
    let targets: Vec<Target> = servers
        .iter()
        .map(|server| server.target(contender))
        .collect();
    workload.run(&targets, bounds).with_context(|| {
        let logs: Vec<String> = servers.iter().map(Server::log).collect();
        format!("{} ({})", contender.name, logs.join("; "))
    })
}
