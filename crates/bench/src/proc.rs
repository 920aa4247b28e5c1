//! What the operating system knows: a process's processor time and memory,
//! connections that the kernel turned away, and what machine this is. Linux
//! only; elsewhere every answer is `None` and the report leaves it out.

/// Processor time that a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuClock {
    /// All threads' time on a processor, in nanoseconds, as the scheduler counts it.
    total: u64,
    /// The part outside and inside the kernel, in ticks: far coarser, so only
    /// their proportion is used.
    user_ticks: u64,
    system_ticks: u64,
}

/// Processor time spent between two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuSpent {
    /// User and system together, in seconds.
    pub(crate) total: f64,
    user_ticks: u64,
    system_ticks: u64,
}

/// With fewer ticks (of 10 ms) than this the proportion is noise.
const TELLING_TICKS: u64 = 10;

impl CpuClock {
    /// What was spent since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> CpuSpent {
        CpuSpent {
            total: self.total.saturating_sub(earlier.total) as f64 / 1e9,
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }
}

impl CpuSpent {
    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            user_ticks: self.user_ticks + other.user_ticks,
            system_ticks: self.system_ticks + other.system_ticks,
        }
    }

    /// How much of it was in user mode, from 0 to 1; `None` when it was too
    /// little to tell.
    pub(crate) fn user_share(self) -> Option<f64> {
        let ticks = self.user_ticks + self.system_ticks;
        (ticks >= TELLING_TICKS).then(|| self.user_ticks as f64 / ticks as f64)
    }
}

pub(crate) use system::{cpu_clock, listen_drops, machine, memory};

#[cfg(target_os = "linux")]
mod system {
    use super::CpuClock;
    use std::fs;

    /// The processor time of process `pid`.
    pub(crate) fn cpu_clock(pid: u32) -> Option<CpuClock> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name and may hold anything.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ').skip(11);
        Some(CpuClock {
            total: run_time(pid)?,
            user_ticks: fields.next()?.parse().ok()?,
            system_ticks: fields.next()?.parse().ok()?,
        })
    }

    /// Nanoseconds that the process's living threads have run.
    fn run_time(pid: u32) -> Option<u64> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
            // A thread may end between being listed and being read.
            let Ok(text) = fs::read_to_string(task.ok()?.path().join("schedstat")) else {
                continue;
            };
            total += text.split(' ').next()?.parse::<u64>().ok()?;
        }
        Some(total)
    }

    /// Bytes of memory that process `pid` has resident.
    pub(crate) fn memory(pid: u32) -> Option<u64> {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find(|line| line.starts_with("Rss:"))?;
        let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// Connections that the kernel has dropped since it started because some
    /// listener's queue was full.
    pub(crate) fn listen_drops() -> Option<u64> {
        let netstat = fs::read_to_string("/proc/net/netstat").ok()?;
        let mut lines = netstat.lines().filter(|line| line.starts_with("TcpExt:"));
        let names = lines.next()?.split(' ');
        let values = lines.next()?.split(' ');
        let (_, value) = names.zip(values).find(|(name, _)| *name == "ListenDrops")?;
        value.parse().ok()
    }

    /// Processors, memory and kernel of this machine, in a line.
    pub(crate) fn machine() -> Option<String> {
        let cpus = fs::read_to_string("/proc/cpuinfo").ok()?;
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map_or("unnamed processor", |rest| {
                rest.trim_start_matches([' ', '\t', ':'])
            });
        let count = std::thread::available_parallelism().ok()?;
        let memory = fs::read_to_string("/proc/meminfo").ok()?;
        let kilobytes: f64 = memory.split_whitespace().nth(1)?.parse().ok()?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
        Some(format!(
            "{count} × {model}, {:.1} GB, Linux {}",
            kilobytes * 1024.0 / 1e9,
            kernel.trim()
        ))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::CpuClock;

    /// Not known here.
    pub(crate) fn cpu_clock(_pid: u32) -> Option<CpuClock> {
        None
    }

    /// Not known here.
    pub(crate) fn memory(_pid: u32) -> Option<u64> {
        None
    }

    /// Not known here.
    pub(crate) fn listen_drops() -> Option<u64> {
        None
    }

    /// Not known here.
    pub(crate) fn machine() -> Option<String> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_processor_time() {
        let pid = std::process::id();
        assert!(memory(pid).unwrap() > 100_000);
        let before = cpu_clock(pid).unwrap();
        let mut sum = 0_u64;
        while cpu_clock(pid).unwrap().since(before).total == 0.0 {
            sum = std::hint::black_box((0..100_000).sum::<u64>() + sum % 7);
        }
        assert!(listen_drops().is_some());
        assert!(machine().unwrap().contains("Linux"));
    }

    #[test]
    fn a_process_that_is_not_there_has_no_figures() {
        assert!(cpu_clock(u32::MAX).is_none());
        assert!(memory(u32::MAX).is_none());
    }

    #[test]
    fn too_few_ticks_tell_no_proportion() {
        let clock = |user_ticks, system_ticks| CpuClock {
            total: 0,
            user_ticks,
            system_ticks,
        };
        let spent = |end: CpuClock| end.since(CpuClock::default()).user_share();
        assert_eq!(spent(clock(1, 2)), None);
        assert_eq!(spent(clock(5, 15)), Some(0.25));
    }
}
