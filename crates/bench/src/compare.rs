//! The comparison: every workload against every system in interleaved rounds
//! (A B C A B C …), so that a slow minute of the machine falls on all alike.
//! Each run has a fresh server process.

use crate::contender::{Contender, Variant};
use crate::measure::{Metric, Sample};
use crate::output::note;
use crate::servers::Server;
use crate::workloads::{Asked, Target, Workload};
use anyhow::{Context, Result, ensure};

/// More rounds than this aren't meant.
const MOST_ROUNDS: usize = 100;

/// What is run.
pub(crate) struct Plan {
    /// The workloads, in this order.
    pub(crate) workloads: Vec<Workload>,
    /// The systems; who takes part in which workload, and how, the workload says.
    pub(crate) contenders: Vec<Contender>,
    /// Runs of each workload against each system.
    pub(crate) rounds: usize,
    /// How long one run is to be.
    pub(crate) asked: Asked,
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

impl ContenderResult {
    /// Enters a run's figures, and what is wrong with them: a run that stood still
    /// has failed, and its figures say how long.
    fn enter(&mut self, sample: Sample, workload: Workload) {
        if let Err(error) = workload.judge(&sample) {
            self.failures.push(format!("{error:#}"));
        }
        self.samples.push(sample);
    }
}

impl Plan {
    /// Runs one workload's rounds; `None` when no contender can take part.
    pub(crate) fn run(&self, workload: Workload) -> Option<Outcome> {
        let contenders = workload.entrants(&self.contenders);
        if contenders.is_empty() {
            note(format_args!(
                "skipping {}: no server at hand can do it",
                workload.name
            ));
            return None;
        }
        let mut results: Vec<ContenderResult> = Vec::new();
        results.resize_with(contenders.len(), Default::default);
        for round in 1..=self.rounds {
            for (contender, result) in contenders.iter().zip(&mut results) {
                let (name, known) = (&contender.name, result.failures.len());
                note(format_args!(
                    "{}: round {round} of {}: {name}",
                    workload.name, self.rounds
                ));
                match run_once(contender, workload, self.asked) {
                    Ok(sample) => result.enter(sample, workload),
                    Err(error) => result.failures.push(format!("{error:#}")),
                }
                if let Some(failure) = result.failures.get(known) {
                    note(format_args!("{}: {name} FAILED: {failure}", workload.name));
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

/// Refuses a number of rounds that can't be meant.
pub(crate) fn check_rounds(rounds: usize) -> Result<()> {
    ensure!(
        (1..=MOST_ROUNDS).contains(&rounds),
        "--rounds {rounds} is not between 1 and {MOST_ROUNDS}"
    );
    Ok(())
}

/// One workload against one fresh server.
pub(crate) fn run_once(contender: &Contender, workload: Workload, asked: Asked) -> Result<Sample> {
    let mut servers = Vec::new();
    for _ in 0..workload.servers() {
        servers.push(Server::start(contender, workload.setup())?);
    }
    let targets: Vec<Target> = servers
        .iter()
        .map(|server| server.target(contender))
        .collect();
    let mut sample = workload.run(&targets, asked).with_context(|| {
        let logs: Vec<String> = servers.iter().map(Server::log).collect();
        format!("{} ({})", contender.name, logs.join("; "))
    })?;
    if contender.variant == Variant::Disk {
        let sizes = servers.iter().map(Server::bytes_on_disk);
        let bytes = sizes.sum::<Option<u64>>();
        sample.extend(bytes.map(|bytes| (Metric::Disk, bytes as f64 / 1e6)));
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_stood_still_has_failed_and_keeps_its_figures() {
        let workload = Workload::named("publish-ack-64-sustained").unwrap();
        let mut result = ContenderResult::default();
        result.enter(Sample::from([(Metric::LongestPause, 999.0)]), workload);
        assert!(result.failures.is_empty());
        result.enter(Sample::from([(Metric::LongestPause, 1001.0)]), workload);
        assert_eq!((result.failures.len(), result.samples.len()), (1, 2));
        let failure = &result.failures[0];
        assert!(failure.contains("1001 ms") && failure.contains("1000 ms"));
    }
}
