//! The report: a Markdown table per workload for people, one JSON document
//! for programs.

use crate::compare::{ContenderResult, Outcome};
use crate::contender::{Contender, Variant};
use crate::measure::Metric;
use crate::stats::Summary;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

impl ContenderResult {
    /// A metric over the rounds.
    pub(crate) fn summary(&self, metric: Metric) -> Option<Summary> {
        let values: Vec<f64> = self
            .samples
            .iter()
            .filter_map(|sample| sample.get(&metric).copied())
            .collect();
        Summary::of(&values)
    }
}

impl Outcome {
    /// Those who took part, with their results and with whose figures theirs are
    /// compared: the first one's, and on disk those of the first one on disk.
    fn rows(&self) -> impl Iterator<Item = (&Contender, &ContenderResult, &ContenderResult)> {
        let is_on_disk = |contender: &Contender| contender.variant == Variant::Disk;
        let first_on_disk = self.contenders.iter().position(is_on_disk).unwrap_or(0);
        self.contenders
            .iter()
            .zip(&self.results)
            .map(move |(contender, result)| {
                let ours = if is_on_disk(contender) {
                    first_on_disk
                } else {
                    0
                };
                (contender, result, &self.results[ours])
            })
    }
}

/// The table of one workload: a line per system; each figure is the median of
/// the rounds with minimum and maximum, `×` is the first system's median
/// divided by this one's.
pub(crate) fn table(outcome: &Outcome) -> String {
    let metrics: BTreeSet<Metric> = outcome
        .results
        .iter()
        .flat_map(|result| &result.samples)
        .flat_map(|sample| sample.keys().copied())
        .collect();
    let mut rows = vec![heading(&metrics)];
    for (contender, result, ours) in outcome.rows() {
        rows.push(row(contender, result, ours, &metrics));
    }
    let mut text = format!(
        "### {}\n\n{}.\n\n",
        outcome.workload.name, outcome.workload.about
    );
    text.push_str(&aligned(&rows));
    for (contender, result, _) in outcome.rows() {
        // What goes wrong in every round is told once.
        for failure in BTreeSet::from_iter(&result.failures) {
            let _ = writeln!(text, "\n**{} FAILED**: {failure}", contender.name);
        }
    }
    text
}

fn heading(metrics: &BTreeSet<Metric>) -> Vec<String> {
    let mut cells = vec!["server".to_owned()];
    for metric in metrics {
        let description = metric.describe();
        cells.push(description.heading.to_owned());
        if description.compared {
            cells.push("×".to_owned());
        }
    }
    cells
}

fn row(
    contender: &Contender,
    result: &ContenderResult,
    ours: &ContenderResult,
    metrics: &BTreeSet<Metric>,
) -> Vec<String> {
    let mut cells = vec![contender.name.clone()];
    for &metric in metrics {
        let summary = result.summary(metric);
        cells.push(summary.map_or_else(String::new, cell));
        if metric.describe().compared {
            let ratio = ratio(ours.summary(metric), summary);
            cells.push(ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")));
        }
    }
    cells
}

/// Our median divided by theirs.
pub(crate) fn ratio(ours: Option<Summary>, theirs: Option<Summary>) -> Option<f64> {
    let (ours, theirs) = (ours?.median, theirs?.median);
    (theirs != 0.0).then(|| ours / theirs)
}

/// A figure over several rounds: the median, and the range.
pub(crate) fn cell(summary: Summary) -> String {
    let Summary { median, min, max } = summary;
    // One round, or no difference between them.
    if min == max {
        return figure(median);
    }
    format!("{} [{}–{}]", figure(median), figure(min), figure(max))
}

/// Three significant digits, thousands separated.
pub(crate) fn figure(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let unit = 10_f64.powi(value.abs().log10().floor() as i32 - 2);
    let rounded = (value / unit).round() * unit;
    if rounded < 1000.0 {
        let decimals = 2 - rounded.abs().log10().floor() as i32;
        return format!("{rounded:.*}", usize::try_from(decimals).unwrap_or(0));
    }
    let digits = format!("{rounded:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The cells as a Markdown table whose columns are aligned as text, too.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = if column == 0 {
                write!(text, "| {cell:<width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let end = if column == 0 { '-' } else { ':' };
                let _ = write!(text, "| {}{end} ", "-".repeat(width.saturating_sub(1)));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Every figure of every round.
pub(crate) fn json(outcomes: &[Outcome]) -> Value {
    let workloads: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            let servers: Vec<Value> = outcome
                .rows()
                .map(|(contender, result, ours)| server_json(contender, result, ours))
                .collect();
            json!({
                "workload": outcome.workload.name,
                "about": outcome.workload.about,
                "servers": servers,
            })
        })
        .collect();
    json!({ "machine": crate::proc::machine(), "workloads": workloads })
}

fn server_json(contender: &Contender, result: &ContenderResult, ours: &ContenderResult) -> Value {
    let metrics: BTreeSet<Metric> = result
        .samples
        .iter()
        .flat_map(|sample| sample.keys().copied())
        .collect();
    let mut figures = Map::new();
    for metric in metrics {
        let Some(summary) = result.summary(metric) else {
            continue;
        };
        let rounds: Vec<f64> = result
            .samples
            .iter()
            .filter_map(|sample| sample.get(&metric).copied())
            .collect();
        let figure = json!({
            "median": summary.median,
            "min": summary.min,
            "max": summary.max,
            "rounds": rounds,
            "ours_divided_by_this": ratio(ours.summary(metric), Some(summary)),
        });
        figures.insert(metric.describe().key.to_owned(), figure);
    }
    json!({
        "server": contender.name,
        "system": contender.system.name(),
        "figures": figures,
        "failures": result.failures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::System;
    use crate::measure::Sample;
    use crate::workloads::CATALOGUE;

    fn result(values: &[f64]) -> ContenderResult {
        ContenderResult {
            samples: values
                .iter()
                .map(|&value| Sample::from([(Metric::Cpu, value)]))
                .collect(),
            failures: Vec::new(),
        }
    }

    fn contender(system: System) -> Contender {
        Contender::new(system, "x".into())
    }

    fn outcome() -> Outcome {
        let mut failed = result(&[1.0]);
        failed.failures.push("message 3 is missing".to_owned());
        Outcome {
            workload: CATALOGUE[0],
            contenders: [System::Natter, System::Redis].map(contender).to_vec(),
            results: vec![result(&[0.3, 0.5, 0.4]), failed],
        }
    }

    #[test]
    fn a_table_shows_medians_ratios_and_failures() {
        let text = table(&outcome());
        assert!(text.contains("0.400 [0.300–0.500]"), "{text}");
        assert!(text.contains("| 0.40 |"), "{text}");
        assert!(text.contains("|                1.00 |"), "{text}");
        assert!(
            text.contains("**redis FAILED**: message 3 is missing"),
            "{text}"
        );
    }

    #[test]
    fn servers_on_disk_are_compared_with_ours_on_disk() {
        let systems = [System::Natter, System::Redis];
        let mut outcome = outcome();
        outcome
            .contenders
            .extend(systems.map(|system| contender(system).used_as(Variant::Disk).unwrap()));
        outcome.results.extend([result(&[8.0]), result(&[16.0])]);
        let text = table(&outcome);
        let line = text.lines().find(|line| line.contains("redis on disk"));
        assert!(line.unwrap().contains("| 0.50 |"), "{text}");
    }

    #[test]
    fn the_json_keeps_every_round() {
        let json = json(&[outcome()]);
        let servers = &json["workloads"][0]["servers"];
        assert_eq!(servers[0]["figures"]["cpu_us"]["rounds"][1], 0.5);
        assert_eq!(servers[1]["figures"]["cpu_us"]["ours_divided_by_this"], 0.4);
        assert_eq!(servers[1]["failures"][0], "message 3 is missing");
    }

    #[test]
    fn figures_have_three_digits_and_separated_thousands() {
        let shown = [1_234_567.0, 1234.0, 999.9, 12.345, 0.030_49, 0.0].map(figure);
        assert_eq!(
            shown,
            ["1,230,000", "1,230", "1,000", "12.3", "0.0305", "0"]
        );
    }
}
