//! What one run of a workload gives: figures by name, and the meter that
//! takes time and processor time of server and generator between two moments.

use crate::proc::{self, CpuClock, CpuSpent};
use crate::stats::Latencies;
use std::collections::BTreeMap;
use std::time::Instant;

/// A figure of the report, in the order in which it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    Throughput,
    Acks,
    Kept,
    Replayed,
    Cpu,
    CpuPerAck,
    CpuPerReplayed,
    CpuUser,
    CpuSystem,
    P50,
    P99,
    P999,
    LongestPause,
    Joins,
    SlowestJoin,
    LateJoins,
    FailedJoins,
    ListenDrops,
    CpuPerJoin,
    MemoryPerConnection,
    ThroughputKept,
    P99Kept,
    CpuKept,
    Memory,
    PeakMemory,
    Disk,
    GeneratorCpu,
}

/// What a metric is called, and how it is read.
pub(crate) struct Description {
    /// The column's heading, with its unit.
    pub(crate) heading: &'static str,
    /// The name in JSON, with its unit.
    pub(crate) key: &'static str,
    /// Whether the report shows the ratio of ours to theirs.
    pub(crate) compared: bool,
}

impl Metric {
    /// Name and reading of this metric.
    pub(crate) fn describe(self) -> Description {
        let (heading, key, compared) = match self {
            Self::Throughput => ("deliveries/s", "deliveries_per_second", true),
            Self::Acks => ("acks/s", "acks_per_second", true),
            Self::Kept => ("MB/s", "kept_mb_per_second", true),
            Self::Replayed => ("messages/s", "replayed_per_second", true),
            Self::CpuPerAck => ("CPU µs/ack", "cpu_per_ack_us", true),
            Self::CpuPerReplayed => ("CPU µs/message", "cpu_per_replayed_us", true),
            Self::Cpu => ("CPU µs/delivery", "cpu_us", true),
            Self::CpuUser => ("user", "cpu_user_us", false),
            Self::CpuSystem => ("system", "cpu_system_us", false),
            Self::P50 => ("p50 µs", "p50_us", false),
            Self::P99 => ("p99 µs", "p99_us", true),
            Self::P999 => ("p99.9 µs", "p999_us", false),
            Self::LongestPause => ("longest pause ms", "longest_pause_ms", false),
            Self::Joins => ("joins/s", "joins_per_second", true),
            Self::SlowestJoin => ("slowest join ms", "slowest_join_ms", false),
            Self::LateJoins => ("joins of ≥ 1 s", "late_joins", false),
            Self::FailedJoins => ("failed joins", "failed_joins", false),
            Self::ListenDrops => ("SYNs dropped", "listen_drops", false),
            Self::CpuPerJoin => ("CPU µs/join", "cpu_per_join_us", true),
            Self::MemoryPerConnection => ("bytes/connection", "bytes_per_connection", true),
            Self::ThroughputKept => ("throughput kept", "throughput_kept", false),
            Self::P99Kept => ("p99 with/without", "p99_with_over_without", false),
            Self::CpuKept => ("CPU with/without", "cpu_with_over_without", false),
            Self::Memory => ("memory MB", "memory_mb", false),
            Self::PeakMemory => ("peak memory MB", "peak_memory_mb", false),
            Self::Disk => ("disk MB", "disk_mb", false),
            Self::GeneratorCpu => ("generator µs", "generator_cpu_us", false),
        };
        Description {
            heading,
            key,
            compared,
        }
    }
}

/// The figures of one run.
pub(crate) type Sample = BTreeMap<Metric, f64>;

/// The same figures, some of them of something else than deliveries.
pub(crate) fn renamed(mut sample: Sample, names: &[(Metric, Metric)]) -> Sample {
    for (from, to) in names {
        if let Some(value) = sample.remove(from) {
            sample.insert(*to, value);
        }
    }
    sample
}

/// Reads the clocks at the beginning of what is measured.
pub(crate) struct Meter {
    /// The servers' processes, each with its clock; none where they aren't ours to look at.
    servers: Vec<(u32, Option<CpuClock>)>,
    started: Instant,
    own_clock: Option<CpuClock>,
}

/// What was spent between beginning and end, or in several such spans.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Wall time in seconds.
    pub(crate) seconds: f64,
    server: Option<CpuSpent>,
    generator: Option<CpuSpent>,
    memory: Option<u64>,
}

impl Meter {
    /// Begins to measure.
    pub(crate) fn start(servers: impl IntoIterator<Item = u32>) -> Self {
        let clocked = |pid| (pid, proc::cpu_clock(pid));
        Self {
            servers: servers.into_iter().map(clocked).collect(),
            own_clock: proc::cpu_clock(std::process::id()),
            started: Instant::now(),
        }
    }

    /// Ends measuring.
    pub(crate) fn stop(&self) -> Reading {
        let seconds = self.started.elapsed().as_secs_f64();
        let spent = |pid, earlier: Option<CpuClock>| Some(proc::cpu_clock(pid)?.since(earlier?));
        let each = self.servers.iter();
        let server = each.map(|&(pid, earlier)| spent(pid, earlier)).reduce(sum);
        let each = self.servers.iter();
        let memory = each.map(|&(pid, _)| proc::memory(pid));
        Reading {
            seconds,
            server: server.flatten(),
            generator: spent(std::process::id(), self.own_clock),
            memory: memory.reduce(|one, other| Some(one? + other?)).flatten(),
        }
    }
}

impl Reading {
    /// Adds a later span; the memory is that at its end.
    pub(crate) fn add(&mut self, later: Self) {
        self.seconds += later.seconds;
        self.server = sum(self.server, later.server);
        self.generator = sum(self.generator, later.generator);
        self.memory = later.memory;
    }

    /// The figures of `deliveries` made meanwhile.
    pub(crate) fn deliveries(&self, deliveries: u64, latencies: &Latencies) -> Sample {
        let mut sample = Sample::new();
        let mut put = |metric, value: Option<f64>| {
            if let Some(value) = value {
                sample.insert(metric, value);
            }
        };
        let each = |seconds: f64| seconds * 1e6 / deliveries.max(1) as f64;
        put(Metric::Throughput, Some(deliveries as f64 / self.seconds));
        put(Metric::Cpu, self.server.map(|spent| each(spent.total)));
        let share = self
            .server
            .and_then(|spent| Some((spent.total, spent.user_share()?)));
        put(
            Metric::CpuUser,
            share.map(|(total, user)| each(total * user)),
        );
        put(
            Metric::CpuSystem,
            share.map(|(total, user)| each(total * (1.0 - user))),
        );
        put(Metric::P50, latencies.percentile(50.0));
        put(Metric::P99, latencies.percentile(99.0));
        put(Metric::P999, latencies.percentile(99.9));
        put(Metric::Memory, self.memory.map(|bytes| bytes as f64 / 1e6));
        put(
            Metric::GeneratorCpu,
            self.generator.map(|spent| each(spent.total)),
        );
        sample
    }

    /// The generator's processor time in seconds.
    pub(crate) fn generator_cpu(&self) -> Option<f64> {
        self.generator.map(|spent| spent.total)
    }

    /// The server's processor time in seconds.
    pub(crate) fn server_cpu(&self) -> Option<f64> {
        self.server.map(|spent| spent.total)
    }

    /// The server's memory at the end, in bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.memory
    }
}

fn sum(earlier: Option<CpuSpent>, later: Option<CpuSpent>) -> Option<CpuSpent> {
    match (earlier, later) {
        (Some(earlier), Some(later)) => Some(earlier.plus(later)),
        (None, other) | (other, None) => other,
    }
}
