//! What the measurements of a cluster give, and how it is shown: a table for each, with the
//! ratios that are aimed at below it.

use crate::report::{aligned, cell, figure};
use crate::stats::Summary;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// A figure's name with its unit.
pub(super) type Column = &'static str;

/// The figures of one run, in the order in which they are shown.
pub(super) type Figures = Vec<(Column, f64)>;

/// One measurement.
pub(super) struct Table {
    /// Its name.
    pub(super) name: String,
    /// What is done, in a line.
    pub(super) about: String,
    /// Those that are compared.
    pub(super) rows: Vec<Row>,
    /// What is aimed at.
    pub(super) aims: Vec<Aim>,
}

/// All runs of one that is compared.
pub(super) struct Row {
    /// Its name.
    pub(super) name: String,
    /// One for each round.
    pub(super) runs: Vec<Figures>,
}

/// What a figure is to be.
pub(super) struct Aim {
    pub(super) column: Column,
    pub(super) measure: Measure,
    pub(super) bound: Bound,
}

/// Which value is looked at.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    /// The first row's median divided by that of the second.
    Ratio,
    /// The first row's greatest value.
    Greatest,
}

/// Where it is to be.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Table {
    /// A measurement of these, without runs.
    pub(super) fn new(name: &str, about: &str, rows: &[&str], aims: Vec<Aim>) -> Self {
        let row = |name: &&str| Row {
            name: (*name).to_owned(),
            runs: Vec::new(),
        };
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            rows: rows.iter().map(row).collect(),
            aims,
        }
    }

    /// As Markdown.
    pub(super) fn text(&self) -> String {
        let mut columns: Vec<Column> = Vec::new();
        for (column, _) in self.rows.iter().flat_map(|row| &row.runs).flatten() {
            if !columns.contains(column) {
                columns.push(column);
            }
        }
        let mut cells = vec![vec!["servers".to_owned()]];
        cells[0].extend(columns.iter().map(|&column| column.to_owned()));
        for row in &self.rows {
            let figures = columns.iter().map(|column| row.summary(column));
            let figures = figures.map(|summary| summary.map_or_else(String::new, cell));
            cells.push(std::iter::once(row.name.clone()).chain(figures).collect());
        }
        let mut text = format!(
            "### {}\n\n{}.\n\n{}",
            self.name,
            self.about,
            aligned(&cells)
        );
        for aim in &self.aims {
            if let Some(line) = self.judged(aim) {
                let _ = write!(text, "\n{line}\n");
            }
        }
        text
    }

    fn judged(&self, aim: &Aim) -> Option<String> {
        let summary = |row: usize| self.rows.get(row)?.summary(aim.column);
        let (what, value) = match aim.measure {
            Measure::Ratio => {
                let (ours, theirs) = (summary(0)?.median, summary(1)?.median);
                (
                    format!("divided by that of {}", self.rows[1].name),
                    ours / theirs,
                )
            }
            Measure::Greatest => ("at most".to_owned(), summary(0)?.max),
        };
        let (sign, bound, is_kept) = match aim.bound {
            Bound::AtLeast(bound) => ('≥', bound, value >= bound),
            Bound::AtMost(bound) => ('≤', bound, value <= bound),
        };
        let verdict = if is_kept { "kept" } else { "not kept" };
        let (name, value) = (&self.rows[0].name, figure(value));
        Some(format!(
            "{}, {name}, {what}: {value}; aim {sign} {bound}: {verdict}.",
            aim.column
        ))
    }

    /// Every figure of every run.
    pub(super) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let runs = row.runs.iter().map(|figures| {
                let named = figures.iter();
                let named = named.map(|&(column, value)| (column.to_owned(), json!(value)));
                Value::Object(named.collect::<Map<_, _>>())
            });
            json!({ "servers": row.name, "runs": runs.collect::<Vec<_>>() })
        });
        json!({
            "name": self.name,
            "about": self.about,
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}

impl Row {
    fn summary(&self, column: Column) -> Option<Summary> {
        let all = self.runs.iter().flatten();
        let values: Vec<f64> = all
            .filter(|(name, _)| *name == column)
            .map(|&(_, value)| value)
            .collect();
        Summary::of(&values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let aim = |measure, bound| Aim {
            column: "acks/s",
            measure,
            bound,
        };
        let aims = vec![
            aim(Measure::Ratio, Bound::AtLeast(3.0)),
            aim(Measure::Greatest, Bound::AtMost(800.0)),
        ];
        let mut table = Table::new("acks", "64 publishers", &["natter", "JetStream"], aims);
        table.rows[0].runs = vec![vec![("acks/s", 500.0)], vec![("acks/s", 900.0)]];
        table.rows[1].runs = vec![vec![("acks/s", 100.0), ("p50 ms", 2.0)]];
        table
    }

    #[test]
    fn a_table_shows_what_each_has_and_whether_the_aims_are_kept() {
        let text = table().text();
        assert!(text.contains("700 [500–900]"), "{text}");
        assert!(text.contains("| JetStream |"), "{text}");
        let ratio = "acks/s, natter, divided by that of JetStream: 7.00; aim ≥ 3: kept.";
        assert!(text.contains(ratio), "{text}");
        let greatest = "acks/s, natter, at most: 900; aim ≤ 800: not kept.";
        assert!(text.contains(greatest), "{text}");
    }

    #[test]
    fn an_aim_of_what_was_not_measured_is_left_out() {
        let mut table = table();
        table.rows[1].runs.clear();
        assert!(!table.text().contains("divided by"), "{}", table.text());
    }

    #[test]
    fn the_json_keeps_every_run() {
        let json = table().json();
        assert_eq!(json["rows"][0]["runs"][1]["acks/s"], 900.0);
        assert_eq!(json["rows"][1]["runs"][0]["p50 ms"], 2.0);
    }
}
