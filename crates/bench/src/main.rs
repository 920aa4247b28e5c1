//! topicbench: one workload against topicserver and against the systems
//! people would pick instead, in one run on one machine. This file: the
//! arguments, what is printed, and the exit code.

// These panic when standard output is closed; `output` prints instead.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod builds;
mod cli;
mod cluster;
mod compare;
mod contender;
mod crowd;
mod floor;
mod guard;
mod hub;
mod measure;
mod nchan;
mod output;
mod payload;
mod plot;
mod proc;
mod protocols;
mod receipts;
mod relay;
mod report;
mod servers;
mod stats;
mod sweep;
mod targets;
mod tls;
mod verify;
mod workloads;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cli::{Action, Cli, Compare, Run, Sweep};
use output::{Unread, note, say};
use std::path::Path;
use std::process::ExitCode;
use workloads::Bounds;

fn main() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(code) => code,
        Err(error) if error.is::<Unread>() => ExitCode::SUCCESS,
        Err(error) => {
            note(format_args!("topicbench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> Result<ExitCode> {
    // Servers inherit the limit, so it is raised before any is started.
    rlimit::increase_nofile_limit(u64::MAX).context("raising the limit of open files")?;
    match cli.command {
        Action::Compare(options) => compare(&options),
        Action::Sweep(options) => sweep(&options),
        Action::Cluster(options) => cluster(&options),
        Action::Run(options) => run(&options),
        Action::Guard => {
            guard::run()?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Relay(options) => {
            relay::run(options.port, options.group)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn compare(options: &Compare) -> Result<ExitCode> {
    if options.list {
        for workload in workloads::CATALOGUE {
            say(format_args!("{:<28} {}", workload.name, workload.about))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let plan = options.plan(std::env::var_os("PATH").as_deref())?;
    if let Some(machine) = proc::machine() {
        say(format_args!("Machine: {machine}\n"))?;
    }
    let mut outcomes = Vec::new();
    for &workload in &plan.workloads {
        if let Some(outcome) = plan.run(workload) {
            say(report::table(&outcome))?;
            outcomes.push(outcome);
        }
    }
    ensure!(
        !outcomes.is_empty(),
        "no workload has been run: see the lines above"
    );
    if options.choice.quick {
        say("Counts are tiny with --quick: these are no measurements.")?;
    } else if let Some(table) = targets::table(&outcomes) {
        say(table)?;
    }
    if let Some(file) = &options.choice.json {
        write_json(file, &report::json(&outcomes))?;
    }
    let mut results = outcomes.iter().flat_map(|outcome| &outcome.results);
    Ok(if results.any(|result| !result.failures.is_empty()) {
        note("topicbench: some runs FAILED: see above");
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn cluster(options: &cluster::Options) -> Result<ExitCode> {
    let figures = cluster::run(options, std::env::var_os("PATH").as_deref())?;
    if let Some(file) = &options.json {
        write_json(file, &figures)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn sweep(options: &Sweep) -> Result<ExitCode> {
    compare::check_rounds(options.rounds)?;
    let contenders = options
        .choice
        .contenders(std::env::var_os("PATH").as_deref())?;
    let bounds = Bounds::short(options.choice.asked()?);
    let mut curves = Vec::new();
    for axis in &sweep::chosen(&options.axes, options.choice.quick)? {
        let measured = sweep::run(axis, &contenders, options.rounds, bounds)?;
        say(sweep::table(&measured, &contenders))?;
        curves.push(measured);
    }
    if let Some(file) = &options.choice.json {
        write_json(file, &sweep::json(&curves, &contenders))?;
    }
    if let Some(file) = &options.svg {
        plot::draw(file, &curves, &contenders)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run(options: &Run) -> Result<ExitCode> {
    let (workload, asked) = options.checked()?;
    let variant = workload.main_variant();
    let target = workloads::Target::new(options.system, variant, options.address, options.pid);
    let sample = workload.run(&[target], asked)?;
    let figures: Vec<String> = sample
        .iter()
        .map(|(metric, value)| format!("{:<20} {value:.3}", metric.describe().heading))
        .collect();
    let printed = say(figures.join("\n"));
    // A failed run stays failed, even if its output is closed.
    workload.judge(&sample)?;
    printed?;
    Ok(ExitCode::SUCCESS)
}

fn write_json(file: &Path, json: &serde_json::Value) -> Result<()> {
    let text = serde_json::to_string_pretty(json).context("writing the figures as JSON")?;
    std::fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))
}
