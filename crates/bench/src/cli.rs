//! The command line: what was typed, and what is meant by it.

use crate::builds;
use crate::compare::{Plan, check_rounds};
use crate::contender::{Contender, System};
use crate::output::note;
use crate::workloads::{Asked, CATALOGUE, Workload};
use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Measures topicserver and the systems people would pick instead, side by side.
#[derive(Debug, Parser)]
#[command(name = "topicbench", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Action,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Start every server in turn, run every workload against it in
    /// interleaved rounds, and print a table per workload
    Compare(Compare),
    /// Measure how cost grows with receivers, topics, connections and message
    /// size, and draw it
    Sweep(Sweep),
    /// Start three servers as one cluster, with three NATS servers, and measure
    /// what that gives and costs
    Cluster(crate::cluster::Options),
    /// Run one workload against a server that is running already
    Run(Run),
    /// Run the bare relay: no parsing, one write per receiver
    Relay(RelayOptions),
    /// Start a server and end it with this program: used by it alone
    #[command(name = crate::guard::ARGUMENT, hide = true)]
    Guard,
}

/// Which servers and how long.
#[derive(Args, Debug)]
pub(crate) struct Choice {
    /// Our server's program, perhaps with options of its own; NAME=PATH to
    /// compare several builds, or one with several sets of options
    /// [default: the topicserver beside this program]
    #[arg(long = "server", value_name = "[NAME=]PATH [OPTIONS]")]
    pub(crate) servers: Vec<String>,
    /// Compare only these
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<System>,
    /// Seconds that one run measures [default: 2, or what the workload needs]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<f64>,
    /// Gigabytes that one run stores, of the workloads that are measured in those
    /// [default: what the workload needs]
    #[arg(long, value_name = "GIGABYTES", conflicts_with = "seconds")]
    pub(crate) gigabytes: Option<f64>,
    /// Tiny counts: shows that everything works and measures nothing
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write every figure of every round to this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Options of `compare`.
#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// Run only this workload (may be repeated)
    #[arg(long = "workload", value_name = "NAME")]
    pub(crate) workloads: Vec<String>,
    /// Show the workloads and exit
    #[arg(long)]
    pub(crate) list: bool,
    /// Runs of each workload against each server
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Servers and time.
    #[command(flatten)]
    pub(crate) choice: Choice,
}

/// Options of `sweep`.
#[derive(Args, Debug)]
pub(crate) struct Sweep {
    /// Measure only along this axis (may be repeated): receivers, topics,
    /// connections, bytes
    #[arg(long = "axis", value_name = "NAME")]
    pub(crate) axes: Vec<String>,
    /// Draw the result into this SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Runs of each point against each server
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: usize,
    /// Servers and time.
    #[command(flatten)]
    pub(crate) choice: Choice,
}

/// Options of `run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// How the server is spoken to
    #[arg(value_enum)]
    pub(crate) system: System,
    /// Its address: loopback only
    pub(crate) address: SocketAddr,
    /// The workload
    #[arg(long, value_name = "NAME")]
    pub(crate) workload: String,
    /// The server's process, to measure its processor time and memory
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Seconds to measure [default: 2, or what the workload needs]
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Gigabytes to store, of the workloads that are measured in those
    /// [default: what the workload needs]
    #[arg(long, conflicts_with = "seconds")]
    pub(crate) gigabytes: Option<f64>,
}

/// Options of `relay`.
#[derive(Args, Debug)]
pub(crate) struct RelayOptions {
    /// Loopback port; 0 for any: the address is printed
    pub(crate) port: u16,
    /// So many consecutive connections hear one another; 0: all do
    #[arg(long, default_value_t = 0)]
    pub(crate) group: usize,
}

/// Longer than this isn't a benchmark run but a mistake.
const LONGEST: f64 = 600.0;
/// And so is more than this.
const MOST_GIGABYTES: f64 = 1000.0;

impl Compare {
    /// The plan that is meant; `path` is where programs are looked for.
    pub(crate) fn plan(&self, path: Option<&OsStr>) -> Result<Plan> {
        check_rounds(self.rounds)?;
        let mut workloads = Vec::new();
        for name in &self.workloads {
            workloads.push(Workload::named(name)?);
        }
        if workloads.is_empty() {
            workloads = CATALOGUE.to_vec();
        }
        if self.choice.quick {
            workloads = workloads.into_iter().map(Workload::quick).collect();
        }
        Ok(Plan {
            workloads,
            contenders: self.choice.contenders(path)?,
            rounds: self.rounds,
            asked: self.choice.asked()?,
        })
    }
}

impl Choice {
    /// How long one run is to be.
    pub(crate) fn asked(&self) -> Result<Asked> {
        if self.quick {
            return Ok(Asked::Quick);
        }
        asked(self.seconds, self.gigabytes)
    }

    /// The contenders that can be found, ours first. The others are named on standard
    /// error.
    pub(crate) fn contenders(&self, path: Option<&OsStr>) -> Result<Vec<Contender>> {
        let systems = [
            System::Natter,
            System::Relay,
            System::Redis,
            System::Valkey,
            System::Nats,
            System::Mosquitto,
            System::Nchan,
        ];
        let mut found = Vec::new();
        for system in systems {
            if !self.only.is_empty() && !self.only.contains(&system) {
                continue;
            }
            if system == System::Natter && !self.servers.is_empty() {
                found.extend(builds::parse(&self.servers)?);
                continue;
            }
            match system.find_program(path) {
                Ok(program) => found.push(Contender::new(system, program)),
                Err(error) => note(format_args!("skipping {}: {error:#}", system.name())),
            }
        }
        ensure!(
            !found.is_empty(),
            "there is no server to measure: see the lines above"
        );
        Ok(found)
    }
}

impl Run {
    /// Checks what `run` was given, and returns its workload and how long it is to be.
    pub(crate) fn checked(&self) -> Result<(Workload, Asked)> {
        ensure!(
            self.address.ip().is_loopback(),
            "{} is not a loopback address: this load belongs on no network",
            self.address
        );
        Ok((
            Workload::named(&self.workload)?,
            asked(self.seconds, self.gigabytes)?,
        ))
    }
}

fn asked(seconds: Option<f64>, gigabytes: Option<f64>) -> Result<Asked> {
    let checked = |option: &str, value: f64, most: f64| {
        ensure!(
            value > 0.0 && value <= most,
            "--{option} {value} is not more than 0 and at most {most}"
        );
        Ok(value)
    };
    if let Some(seconds) = seconds {
        let seconds = checked("seconds", seconds, LONGEST)?;
        return Ok(Asked::Time(Duration::from_secs_f64(seconds)));
    }
    if let Some(gigabytes) = gigabytes {
        let gigabytes = checked("gigabytes", gigabytes, MOST_GIGABYTES)?;
        return Ok(Asked::Bytes((gigabytes * 1e9) as u64));
    }
    Ok(Asked::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(arguments: &[&str]) -> Result<Plan> {
        let line = ["topicbench", "compare"].iter().chain(arguments);
        match Cli::try_parse_from(line)?.command {
            Action::Compare(compare) => compare.plan(None),
            other => panic!("{other:?}"),
        }
    }

    fn complaint(arguments: &[&str]) -> String {
        match compare(arguments) {
            Ok(_) => panic!("{arguments:?} was accepted"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn nothing_typed_means_every_workload_three_times() {
        let plan = compare(&["--only", "relay"]).unwrap();
        assert_eq!(plan.workloads.len(), CATALOGUE.len());
        assert_eq!((plan.rounds, plan.contenders.len()), (3, 1));
        assert_eq!(plan.asked, Asked::Nothing);
    }

    #[test]
    fn seconds_are_asked_of_every_workload_and_quick_goes_before() {
        let asked = |arguments: &[&str]| compare(arguments).unwrap().asked;
        let seconds = ["--only", "relay", "--seconds", "8"];
        assert_eq!(asked(&seconds), Asked::Time(Duration::from_secs(8)));
        let gigabytes = ["--only", "relay", "--gigabytes", "0.5"];
        assert_eq!(asked(&gigabytes), Asked::Bytes(500_000_000));
        let quick = [&seconds[..], &["--quick"]].concat();
        assert_eq!(asked(&quick), Asked::Quick);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        assert!(complaint(&["--workload", "nothing"]).contains("--list"));
        assert!(complaint(&["--rounds", "0"]).contains("between 1 and 100"));
        assert!(complaint(&["--only", "relay", "--seconds", "0"]).contains("more than 0"));
        assert!(complaint(&["--only", "relay", "--seconds", "1e9"]).contains("at most 600"));
        assert!(complaint(&["--only", "relay", "--gigabytes", "2e3"]).contains("at most 1000"));
        assert!(complaint(&["--server", "/nowhere/x"]).contains("no program"));
        assert!(complaint(&["--only", "kafka"]).contains("possible values"));
    }

    #[test]
    fn load_goes_to_loopback_only() {
        let line = [
            "topicbench",
            "run",
            "redis",
            "192.0.2.1:6379",
            "--workload",
            "large-8k",
        ];
        let Action::Run(run) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not run");
        };
        assert!(run.checked().unwrap_err().to_string().contains("loopback"));
    }
}
