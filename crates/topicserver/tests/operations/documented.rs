//! docs/operations.md: its metrics are those that there are, and its commands work.

use std::collections::BTreeSet;
use std::process::Command;

use crate::common::{Directory, Process};
use crate::exposition::{Metrics, admin};

const PAGE: &str = include_str!("../../../../docs/operations.md");
const DASHBOARD: &str = include_str!("../../../../docs/dashboard.json");
const ALERTS: &str = include_str!("../../../../docs/alerts.yml");

/// The names of metrics in a text, without what a histogram adds.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let words = words.filter(|word| word.starts_with("natter_") || word.starts_with("process_"));
    words
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word).to_owned())
        .collect()
}

fn without_cluster(mut names: BTreeSet<String>) -> BTreeSet<String> {
    names.retain(|name| !name.starts_with("natter_cluster_"));
    names
}

#[test]
fn every_metric_is_on_the_page_and_no_other() {
    let directory = Directory::new();
    let server = directory.serve(&["--admin", "127.0.0.1:0", "--tls-self-signed"]);
    let metrics = Metrics::of(&server);
    let there = metrics
        .types
        .iter()
        .map(|(name, kind)| match kind.as_str() {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.clone(),
        });
    let there: BTreeSet<_> = there.collect();
    // Those of a cluster are compared in tests/cluster: this server is in none.
    assert_eq!(without_cluster(names(PAGE)), there);
    for text in [ALERTS, DASHBOARD] {
        let named = without_cluster(names(text));
        let unknown: Vec<_> = named.difference(&there).cloned().collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
    // What isn't shown there, nobody looks at.
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let shown: String = panels
        .iter()
        .map(|panel| panel["targets"].to_string())
        .collect();
    let hidden: Vec<_> = there.difference(&names(&shown)).cloned().collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

#[test]
fn the_commands_of_the_page_work() {
    let mut server = Process::start(&["--admin", "127.0.0.1:0"]);
    let address = admin(&server).to_string();
    let program = env!("CARGO_BIN_EXE_topicserver");
    let mut count = 0;
    // The commands about backups have a test of their own.
    let (page, _) = PAGE
        .split_once("\n## Backup and the store's tools\n")
        .unwrap();
    for line in page.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let Some((name, arguments)) = line.split_once(' ') else {
            continue;
        };
        // The first command is the server that runs already.
        if line.contains("--admin") {
            continue;
        }
        let name = if name == "topicserver" { program } else { name };
        let arguments = arguments.replace("127.0.0.1:20001", &address);
        let output = Command::new(name)
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        count += 1;
    }
    assert_eq!(count, 5);
    assert_eq!(server.wait().code(), Some(0), "the last of them ends it");
}
