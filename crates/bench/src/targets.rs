//! What this project promises of its speed, each as a ratio within one run,
//! and whether the run at hand keeps it.

use crate::compare::Outcome;
use crate::contender::{Contender, System, Variant};
use crate::measure::Metric;
use crate::report::{aligned, figure};

/// What a figure of ours is divided by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Against {
    /// Nothing: the figure itself is promised.
    Itself,
    /// The same figure of this system.
    One(System),
    /// The same figure of ours with extended receivers over TCP.
    Extended,
    /// The same figure of ours without TLS.
    Plain,
    /// The same figure of ours when it is told to keep no history.
    WithoutHistory,
    /// The same figure of whichever of Redis, NATS and Mosquitto has the best.
    BestPeer,
}

/// What is promised of the ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Promise {
    AtMost(f64),
    AtLeast(f64),
}

/// One promise.
struct Target {
    workload: &'static str,
    /// How both are used.
    variant: Variant,
    metric: Metric,
    against: Against,
    promise: Promise,
}

/// The workloads whose processor time is compared, and what it may be in
/// parts of Redis's.
const CPU: [(&str, f64); 6] = [
    ("fanout-100-burst", 0.6),
    ("fanout-100-single", 0.85),
    ("fanout-1000", 0.75),
    ("topics-500x4", 0.8),
    ("one-to-one-burst", 0.8),
    ("one-to-one-single", 0.8),
];
/// The workloads that may cost no more than with the best of the peers.
const LEVEL: [(&str, System); 3] = [
    ("one-to-one-burst", System::Valkey),
    ("one-to-one-single", System::Valkey),
    ("publishers-16", System::Redis),
];
/// What it may be in parts of the bare relay's.
const CPU_OF_RELAY: f64 = 1.15;
/// What a delivery through another transport may be in parts of nchan's, and of an extended one's
/// over TCP.
const CPU_OF_NCHAN: f64 = 0.7;
const CPU_OF_TRANSPORT: f64 = 1.15;
/// What a delivery within TLS may be in parts of one without.
const CPU_OF_PLAIN: [(&str, f64); 2] = [("tls-100-burst", 1.5), ("tls-1000", 1.3)];
/// Bytes of an idle connection within TLS.
const IDLE_TLS: f64 = 5000.0;
/// Bytes of an idle connection over another transport.
const IDLE_TRANSPORT: f64 = 2500.0;
/// What a stalled one may take in parts of one over TCP.
const STALLED_TRANSPORT: f64 = 2.0;
/// What keeping a history may cost, in parts of a delivery's time without it.
const CPU_WITH_HISTORY: f64 = 1.05;
/// The workloads in which that is measured.
const FAN_OUTS: [&str; 3] = ["fanout-100-burst", "fanout-100-single", "fanout-1000"];
/// The workloads of a store under a load that doesn't end.
const SUSTAINED: [&str; 2] = ["publish-ack-64-sustained", "publish-ack-64x16-sustained"];
/// The 99th percentile of an acknowledgement there, in parts of Redis's.
const SUSTAINED_P99: f64 = 2.0;
/// Megabytes that a store may take in memory, whatever it keeps.
const STORE_MEMORY: f64 = 400.0;
/// Milliseconds in which a store may acknowledge nothing.
const STORE_PAUSE: f64 = 1000.0;
/// Megabytes that a server without a store may take, whatever topics there are: the
/// history's budget by default, 256 MiB, a quarter of it, and 100 MB for all else.
const TOPICS_MEMORY: f64 = 268.435_456 * 1.25 + 100.0;
const PEERS: [System; 3] = [System::Redis, System::Nats, System::Mosquitto];

fn targets() -> Vec<Target> {
    let mut all = delivery_targets();
    all.extend(door_targets());
    all.extend(history_targets());
    all
}

/// What is promised of a workload in its usual variant.
fn target(workload: &'static str, metric: Metric, against: Against, promise: Promise) -> Target {
    Target {
        workload,
        variant: Variant::Usual,
        metric,
        against,
        promise,
    }
}

/// The same with messages kept on disk.
fn on_disk(workload: &'static str, metric: Metric, against: Against, promise: Promise) -> Target {
    Target {
        variant: Variant::Disk,
        ..target(workload, metric, against, promise)
    }
}

/// What is promised of delivering and of connections.
fn delivery_targets() -> Vec<Target> {
    use Against::{BestPeer, Itself, One};
    use Promise::{AtLeast, AtMost};
    let mut all = Vec::new();
    for (workload, most) in CPU {
        let redis = One(System::Redis);
        all.push(target(workload, Metric::Cpu, redis, AtMost(most)));
    }
    for (workload, _) in CPU {
        let relay = One(System::Relay);
        all.push(target(workload, Metric::Cpu, relay, AtMost(CPU_OF_RELAY)));
    }
    for (workload, peer) in LEVEL {
        all.push(target(workload, Metric::Cpu, One(peer), AtMost(1.0)));
    }
    all.extend([
        target("open-loop", Metric::P99, BestPeer, AtMost(1.0)),
        target(
            "idle-10000",
            Metric::MemoryPerConnection,
            Itself,
            AtMost(1000.0),
        ),
        target("join-storm", Metric::Joins, BestPeer, AtLeast(1.0)),
        target("join-storm", Metric::LateJoins, Itself, AtMost(0.0)),
        target("join-storm", Metric::FailedJoins, Itself, AtMost(0.0)),
        target("join-storm", Metric::ListenDrops, Itself, AtMost(0.0)),
        target(
            "stalled-reader",
            Metric::ThroughputKept,
            Itself,
            AtLeast(0.95),
        ),
        target("stalled-reader", Metric::P99Kept, Itself, AtMost(1.05)),
    ]);
    all
}

/// What is promised of the transports of browsers.
fn door_targets() -> Vec<Target> {
    use Against::{Extended, Itself, One};
    use Promise::AtMost;
    let transport = |workload, variant, metric, against, most| Target {
        variant,
        ..target(workload, metric, against, AtMost(most))
    };
    let (sse, websocket) = (Variant::Events, Variant::WebSocket);
    let mut all = Vec::new();
    for (workload, variant) in [
        ("sse-1000", sse),
        ("websocket-1000", websocket),
        ("websocket-100-burst", websocket),
    ] {
        let nchan = One(System::Nchan);
        all.push(transport(
            workload,
            variant,
            Metric::Cpu,
            nchan,
            CPU_OF_NCHAN,
        ));
        all.push(transport(
            workload,
            variant,
            Metric::Cpu,
            Extended,
            CPU_OF_TRANSPORT,
        ));
    }
    let memory = Metric::MemoryPerConnection;
    for (workload, most) in CPU_OF_PLAIN {
        let (cpu, plain) = (Metric::Cpu, Against::Plain);
        all.push(transport(workload, Variant::Tls, cpu, plain, most));
    }
    all.push(transport(
        "idle-tls",
        Variant::Tls,
        memory,
        Itself,
        IDLE_TLS,
    ));
    for (idle, stalled, variant) in [
        ("idle-sse", "stalled-sse", sse),
        ("idle-websocket", "stalled-websocket", websocket),
    ] {
        all.push(transport(idle, variant, memory, Itself, IDLE_TRANSPORT));
        all.push(transport(
            stalled,
            variant,
            memory,
            Extended,
            STALLED_TRANSPORT,
        ));
    }
    all
}

/// What is promised of keeping messages and of reading them.
fn history_targets() -> Vec<Target> {
    use Against::{Itself, One, WithoutHistory};
    use Promise::{AtLeast, AtMost};
    let mut all = Vec::new();
    for workload in SUSTAINED {
        let redis = One(System::Redis);
        all.push(on_disk(workload, Metric::Acks, redis, AtLeast(1.0)));
        all.push(on_disk(workload, Metric::P99, redis, AtMost(SUSTAINED_P99)));
    }
    for workload in SUSTAINED.into_iter().chain(["store-20gb"]) {
        let (memory, pause) = (AtMost(STORE_MEMORY), AtMost(STORE_PAUSE));
        all.push(on_disk(workload, Metric::PeakMemory, Itself, memory));
        all.push(on_disk(workload, Metric::LongestPause, Itself, pause));
    }
    let most = AtMost(TOPICS_MEMORY);
    all.push(target("history-topics", Metric::Memory, Itself, most));
    let (memory, disk) = (AtLeast(1_000_000.0), AtLeast(300_000.0));
    all.push(target("replay-memory", Metric::Replayed, Itself, memory));
    all.push(on_disk("replay-disk", Metric::Replayed, Itself, disk));
    for workload in FAN_OUTS {
        let most = AtMost(CPU_WITH_HISTORY);
        all.push(target(workload, Metric::Cpu, WithoutHistory, most));
    }
    all
}

/// The table of those promises that this run can tell anything of; `None`
/// when there are none.
pub(crate) fn table(outcomes: &[Outcome]) -> Option<String> {
    let mut rows = vec![
        [
            "workload",
            "measure",
            "divided by",
            "promised",
            "measured",
            "kept",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for target in targets() {
        let Some(outcome) = outcomes
            .iter()
            .find(|outcome| outcome.workload.name == target.workload)
        else {
            continue;
        };
        if let Some((measured, by)) = target.measure(outcome) {
            rows.push(target.row(measured, by));
        }
    }
    (rows.len() > 1).then(|| format!("### Targets\n\nMedians.\n\n{}", aligned(&rows)))
}

impl Target {
    /// The ratio, and the name of what ours was divided by.
    fn measure(&self, outcome: &Outcome) -> Option<(f64, String)> {
        let median_in = |variant: Variant, is_meant: &dyn Fn(&Contender) -> bool| {
            let index = outcome
                .contenders
                .iter()
                .position(|one| one.variant == variant && is_meant(one))?;
            let summary = outcome.results[index].summary(self.metric)?;
            Some((summary.median, outcome.contenders[index].name.clone()))
        };
        let median_of = |is_meant: &dyn Fn(&Contender) -> bool| median_in(self.variant, is_meant);
        let median = |system| Some(median_of(&|one| one.system == system)?.0);
        let is_ours = |one: &Contender| one.system == System::Natter;
        let (ours, _) = median_of(&|one| is_ours(one) && !one.is_without_history())?;
        let (theirs, name) = match self.against {
            Against::Itself => (1.0, "–".to_owned()),
            Against::One(system) => median_of(&|one| one.system == system)?,
            Against::Extended => median_in(Variant::Extended, &is_ours)?,
            Against::Plain => median_in(Variant::Usual, &is_ours)?,
            Against::WithoutHistory => median_of(&|one| is_ours(one) && one.is_without_history())?,
            Against::BestPeer => {
                let (best, system) = PEERS
                    .into_iter()
                    .filter_map(|system| Some((median(system)?, system)))
                    .min_by(|one, other| match self.promise {
                        Promise::AtMost(_) => one.0.total_cmp(&other.0),
                        Promise::AtLeast(_) => other.0.total_cmp(&one.0),
                    })?;
                (best, format!("best peer: {}", system.name()))
            }
        };
        Some((ours / theirs, name))
    }

    fn row(&self, measured: f64, by: String) -> Vec<String> {
        let (sign, promised, kept) = match self.promise {
            Promise::AtMost(most) => ("≤", most, measured <= most),
            Promise::AtLeast(least) => ("≥", least, measured >= least),
        };
        vec![
            self.workload.to_owned(),
            self.metric.describe().heading.to_owned(),
            by,
            format!("{sign} {}", shown(promised)),
            shown(measured),
            if kept { "yes" } else { "no" }.to_owned(),
        ]
    }
}

/// A ratio with two decimals at most, or a count.
fn shown(value: f64) -> String {
    if value >= 1000.0 {
        figure(value)
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::ContenderResult;
    use crate::measure::Sample;
    use crate::workloads::Workload;

    fn contender(system: System) -> Contender {
        Contender::new(system, "x".into())
    }

    fn outcome(
        workload: &str,
        metric: Metric,
        contenders: &[Contender],
        values: &[f64],
    ) -> Outcome {
        let results = values.iter().map(|&value| ContenderResult {
            samples: vec![Sample::from([(metric, value)])],
            failures: Vec::new(),
        });
        Outcome {
            workload: Workload::named(workload).unwrap(),
            contenders: contenders.to_vec(),
            results: results.collect(),
        }
    }

    #[test]
    fn every_target_names_a_workload_that_there_is() {
        for target in targets() {
            Workload::named(target.workload).unwrap();
        }
    }

    #[test]
    fn promises_kept_and_broken_are_told_apart() {
        let contenders = [System::Natter, System::Redis, System::Nats].map(contender);
        let outcomes = [
            outcome(
                "fanout-100-burst",
                Metric::Cpu,
                &contenders,
                &[0.3, 0.6, 2.0],
            ),
            outcome(
                "join-storm",
                Metric::Joins,
                &contenders,
                &[900.0, 800.0, 1000.0],
            ),
        ];
        let text = table(&outcomes).unwrap();
        let line = |word: &str| text.lines().find(|line| line.contains(word)).unwrap();
        assert!(line("fanout-100-burst").contains("0.50") && line("redis").contains("yes"));
        assert!(line("best peer: nats").contains("0.90") && line("nats").contains("no"));
    }

    #[test]
    fn without_ours_nothing_is_promised() {
        let redis = [contender(System::Redis)];
        let outcomes = [outcome("open-loop", Metric::P99, &redis, &[1.0])];
        assert_eq!(table(&outcomes), None);
    }

    #[test]
    fn what_is_promised_on_disk_is_measured_on_disk() {
        let usual = [System::Natter, System::Redis].map(contender);
        let sustained = Workload::named("publish-ack-64-sustained").unwrap();
        let contenders = sustained.entrants(&usual);
        let acks = outcome(sustained.name, Metric::Acks, &contenders, &[3.0, 2.0]);
        let disk = Workload::named("replay-disk").unwrap().entrants(&usual);
        let replay = outcome("replay-disk", Metric::Replayed, &disk, &[412_345.0, 1.0]);
        let text = table(&[acks, replay]).unwrap();
        let line = |word: &str| text.lines().find(|line| line.contains(word)).unwrap();
        assert!(line("redis on disk").contains("1.50"), "{text}");
        assert!(
            line("replay-disk").contains("≥ 300,000 |  412,000"),
            "{text}"
        );
    }

    #[test]
    fn a_store_is_promised_to_be_small_and_never_to_stand_still() {
        let ours = [contender(System::Natter).used_as(Variant::Disk).unwrap()];
        let memory = outcome("store-20gb", Metric::PeakMemory, &ours, &[401.0]);
        let text = table(&[memory]).unwrap();
        let line = text.lines().last().unwrap();
        assert!(
            line.contains("peak memory") && line.contains("no"),
            "{text}"
        );
        let pause = outcome("store-20gb", Metric::LongestPause, &ours, &[999.0]);
        let text = table(&[pause]).unwrap();
        let line = text.lines().last().unwrap();
        assert!(line.contains("pause") && line.contains("yes"), "{text}");
    }

    #[test]
    fn history_is_compared_with_none_in_either_order() {
        let mut bare = contender(System::Natter);
        bare.name = "bare".to_owned();
        bare.options = vec!["--history-messages=0".to_owned()];
        let contenders = [bare, contender(System::Natter)];
        let outcomes = [outcome(
            "fanout-1000",
            Metric::Cpu,
            &contenders,
            &[2.0, 2.2],
        )];
        let text = table(&outcomes).unwrap();
        let line = text.lines().find(|line| line.contains("bare")).unwrap();
        assert!(line.contains("≤ 1.05") && line.contains("1.10"), "{text}");
    }
}
