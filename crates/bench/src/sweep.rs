//! How the server's cost of a delivery grows with receivers, topics,
//! connections and message size: one axis at a time, all else as in
//! `fanout-100-single`.

use crate::contender::{Contender, Setup};
use crate::crowd::{Crowd, Layout};
use crate::measure::{Metric, Sample};
use crate::output::note;
use crate::report::aligned;
use crate::servers::Server;
use crate::stats::Summary;
use crate::workloads::{Bounds, MESSAGE, measure_closed};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// What grows.
pub(crate) struct Axis {
    /// What the number on the axis counts.
    pub(crate) label: &'static str,
    /// What stays the same.
    pub(crate) about: &'static str,
    points: Vec<Point>,
}

/// One place on an axis.
struct Point {
    /// The number on the axis.
    x: usize,
    /// Who talks and listens.
    layout: Layout,
    /// Silent topics of as many connections besides.
    bystanders: usize,
}

/// What was measured along an axis.
pub(crate) struct Curves {
    /// What the number on the axis counts.
    pub(crate) label: &'static str,
    /// What stays the same.
    pub(crate) about: &'static str,
    /// By place: the number on the axis, and a summary of processor time per
    /// delivery by contender.
    pub(crate) points: Vec<(usize, Vec<Option<Summary>>)>,
}

const BASE: Layout = Layout {
    topics: 1,
    publishers: 1,
    receivers: 100,
    size: MESSAGE,
};

/// The axes of these names; all when none is named.
pub(crate) fn chosen(names: &[String], quick: bool) -> Result<Vec<Axis>> {
    let mut all = axes(quick);
    for name in names {
        ensure!(
            all.iter().any(|axis| axis.label == name),
            "there is no axis {name:?}: receivers, topics, connections and bytes are there"
        );
    }
    all.retain(|axis| names.is_empty() || names.iter().any(|name| name == axis.label));
    Ok(all)
}

/// A point without bystanders.
fn point(x: usize, layout: Layout) -> Point {
    Point {
        x,
        layout,
        bystanders: 0,
    }
}

/// The four axes; `quick` keeps two small places of each.
fn axes(quick: bool) -> Vec<Axis> {
    let with_receivers = |receivers| Layout { receivers, ..BASE };
    let with_topics = |topics| Layout {
        topics,
        receivers: 4,
        ..BASE
    };
    let receivers = |x| point(x, with_receivers(x));
    let topics = |x| point(x, with_topics(x));
    let size = |x| point(x, Layout { size: x, ..BASE });
    let bystanders = |topics: usize| Point {
        x: (topics + 1) * BASE.group(),
        layout: BASE,
        bystanders: topics,
    };
    let mut axes = vec![
        Axis {
            label: "receivers",
            about: "1 topic, 1 publisher, one message of 220 bytes at a time",
            points: [1, 3, 10, 30, 100, 300, 1000, 3000].map(receivers).into(),
        },
        Axis {
            label: "topics",
            about: "each with 1 publisher and 4 receivers, one message of 220 bytes at a time",
            points: [1, 3, 10, 30, 100, 300, 1000].map(topics).into(),
        },
        Axis {
            label: "connections",
            about: "1 publisher and 100 receivers talk, the others are silent in other topics",
            points: [0, 4, 19, 49, 98].map(bystanders).into(),
        },
        Axis {
            label: "bytes",
            about: "1 publisher to 100 receivers, one message of this size at a time",
            points: [220, 1024, 4096, 16_384, 65_536].map(size).into(),
        },
    ];
    if quick {
        for axis in &mut axes {
            axis.points.truncate(2);
        }
    }
    axes
}

/// Measures an axis, its places and contenders interleaved.
pub(crate) fn run(
    axis: &Axis,
    contenders: &[Contender],
    rounds: usize,
    bounds: Bounds,
) -> Result<Curves> {
    let mut points = Vec::new();
    for point in &axis.points {
        let mut values = vec![Vec::new(); contenders.len()];
        for round in 1..=rounds {
            for (contender, values) in contenders.iter().zip(&mut values) {
                let (label, x, name) = (axis.label, point.x, &contender.name);
                note(format_args!(
                    "{x} {label}: round {round} of {rounds}: {name}"
                ));
                let sample = measure(contender, point, bounds)
                    .with_context(|| format!("{name} with {x} {label}"))?;
                values.extend(sample.get(&Metric::Cpu).copied());
            }
        }
        points.push((point.x, values.iter().map(|all| Summary::of(all)).collect()));
    }
    Ok(Curves {
        label: axis.label,
        about: axis.about,
        points,
    })
}

fn measure(contender: &Contender, point: &Point, bounds: Bounds) -> Result<Sample> {
    let setup = Setup {
        group: point.layout.group(),
        ..Setup::default()
    };
    let server = Server::start(contender, setup)?;
    let target = server.target(contender);
    let mut crowd = target.gather(point.layout)?;
    let silent = Layout {
        topics: point.bystanders,
        ..point.layout
    };
    let _bystanders = Crowd::gather(target.codec, target.address, silent, "silent")?;
    measure_closed(&mut crowd, target.pid, 1, bounds).with_context(|| server.log())
}

/// A line per place, a column per contender.
pub(crate) fn table(curves: &Curves, contenders: &[Contender]) -> String {
    let mut rows = vec![vec![curves.label.to_owned()]];
    rows[0].extend(contenders.iter().map(|contender| contender.name.clone()));
    for (x, summaries) in &curves.points {
        let mut row = vec![x.to_string()];
        row.extend(summaries.iter().map(|summary| {
            summary.map_or_else(String::new, |summary| format!("{:.2}", summary.median))
        }));
        rows.push(row);
    }
    format!(
        "### Server CPU in µs per delivery, by {}\n\n{}.\n\n{}",
        curves.label,
        curves.about,
        aligned(&rows)
    )
}

/// Every figure as a document.
pub(crate) fn json(curves: &[Curves], contenders: &[Contender]) -> Value {
    let axes: Vec<Value> = curves
        .iter()
        .map(|curves| {
            let points: Vec<Value> = curves
                .points
                .iter()
                .map(|(x, summaries)| {
                    let servers: serde_json::Map<String, Value> = contenders
                        .iter()
                        .zip(summaries)
                        .map(|(contender, summary)| {
                            (contender.name.clone(), json!(summary.map(|all| all.median)))
                        })
                        .collect();
                    json!({ "x": x, "cpu_us": servers })
                })
                .collect();
            json!({ "axis": curves.label, "about": curves.about, "points": points })
        })
        .collect();
    json!({ "sweep": axes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::System;

    #[test]
    fn every_axis_grows_and_its_connections_are_counted() {
        for axis in axes(false) {
            let growing = axis.points.windows(2).all(|pair| pair[0].x < pair[1].x);
            assert!(growing, "{}", axis.label);
        }
        let axes = axes(true);
        assert_eq!(axes[2].points[1].x, 505);
        assert!(axes.iter().all(|axis| axis.points.len() == 2));
    }

    #[test]
    fn axes_are_chosen_by_name_and_unknown_ones_explained() {
        let labels = |names: &[&str]| -> Result<Vec<&str>> {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            Ok(chosen(&names, true)?
                .iter()
                .map(|axis| axis.label)
                .collect())
        };
        assert_eq!(labels(&[]).unwrap().len(), 4);
        assert_eq!(labels(&["bytes"]).unwrap(), ["bytes"]);
        assert!(
            labels(&["depth"])
                .unwrap_err()
                .to_string()
                .contains("connections")
        );
    }

    #[test]
    fn a_table_has_a_line_per_place_and_gaps_where_nothing_was_measured() {
        let curves = Curves {
            label: "topics",
            about: "each alone",
            points: vec![(1, vec![Summary::of(&[2.0])]), (10, vec![None])],
        };
        let contender = Contender::new(System::Redis, "x".into());
        let text = table(&curves, &[contender]);
        assert!(text.contains("| 1      |  2.00 |"), "{text}");
        assert!(text.contains("| 10     |       |"), "{text}");
    }
}
